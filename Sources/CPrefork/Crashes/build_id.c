// The build ID of a file, to check whether it is the file that a process has loaded (elf(5)).
#define _GNU_SOURCE
#include "cprefork_stack.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "cprefork.h"

/// All of it, or false: also for a file that is shorter.
static int read_all(int fd, void *buffer, size_t size, off_t at) {
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(fd, (char *)buffer + done, size - done, at + (off_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return 0;
        done += (size_t)count;
    }
    return 1;
}

const unsigned char *cprefork_build_id_in_notes(const unsigned char *notes, size_t size, size_t *length) {
    size_t place = 0;
    while (size - place >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) head;
        memcpy(&head, notes + place, sizeof head);
        place += sizeof head;
        size_t name = ((size_t)head.n_namesz + 3) & ~(size_t)3;
        size_t content = ((size_t)head.n_descsz + 3) & ~(size_t)3;
        if (name > size - place || content > size - place - name) return NULL;
        if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 && memcmp(notes + place, "GNU", 4) == 0) {
            *length = head.n_descsz;
            return notes + place + name;
        }
        place += name + content;
    }
    return NULL;
}

static int in_notes(int fd, off_t at, size_t size, unsigned char *buffer, int room) {
    // A note segment is some hundred bytes. A file can say anything.
    unsigned char notes[4096];
    if (size > sizeof notes || !read_all(fd, notes, size, at)) return 0;
    size_t length;
    const unsigned char *id = cprefork_build_id_in_notes(notes, size, &length);
    if (id == NULL || length > (size_t)room) return 0;
    memcpy(buffer, id, length);
    return (int)length;
}

int cprefork_build_id_of_file(const char *path, unsigned char *buffer, int room) {
    int fd;
    // O_NONBLOCK: the path may name a FIFO.
    do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); while (fd < 0 && errno == EINTR);
    if (fd < 0) return 0;
    ElfW(Ehdr) head;
    int found = 0;
    if (read_all(fd, &head, sizeof head, 0) && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 &&
        head.e_phentsize == sizeof(ElfW(Phdr)) && head.e_phnum <= 128) {
        for (int index = 0; index < head.e_phnum && found == 0; index++) {
            ElfW(Phdr) segment;
            if (!read_all(fd, &segment, sizeof segment, (off_t)(head.e_phoff + (size_t)index * sizeof segment))) break;
            if (segment.p_type == PT_NOTE)
                found = in_notes(fd, (off_t)segment.p_offset, segment.p_filesz, buffer, room);
        }
    }
    close(fd);
    return found;
}
