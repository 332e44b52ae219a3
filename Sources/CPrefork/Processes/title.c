#define _GNU_SOURCE
#include "cprefork_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// The kernel shows arg_start ..< arg_end as the command line. When the last byte there is not NUL, it takes the memory
// for a title: a string from arg_start on, which may continue into the environment (get_mm_cmdline in fs/proc/base.c,
// Linux 5.3, and similarly in older kernels). So a short title has no NULs behind it, and a long one is not cut at
// arg_end.

enum { WANTED_ROOM = 512, LARGEST_AREA = 8 << 20 };

static char *title;
static size_t room;        // bytes that may be written from `title` on
static size_t argument_bytes;
static size_t last_length;
static bool is_prepared;

/// Whether the kernel lets this process read and write there: it answers EFAULT where a wrong number from /proc (an
/// emulator's, a sandbox's) would be SIGSEGV here. What is written is what was read.
static bool is_ours(char *start, size_t count) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return false;
    bool good = true;
    for (size_t done = 0; good && done < count;) {
        size_t part = count - done < 4096 ? count - done : 4096;
        ssize_t written = write(ends[1], start + done, part);
        good = written > 0 && read(ends[0], start + done, (size_t)written) == written;
        done += good ? (size_t)written : 0;
    }
    close(ends[0]);
    close(ends[1]);
    return good;
}

/// Copies the environment's strings that lie in the area to the heap. They are never freed, because getenv(3) has
/// handed them out.
static bool move_environment(char *start, char *end) {
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (*entry < start || *entry >= end) continue;
        char *copy = strdup(*entry);
        if (copy == NULL) return false;
        *entry = copy;
    }
    return true;
}

/// glibc's own pointers into argv[0], for its error messages.
static bool move_program_name(char *start, char *end) {
    if (program_invocation_name < start || program_invocation_name >= end) return true;
    char *copy = strdup(program_invocation_name);
    if (copy == NULL) return false;
    char *slash = strrchr(copy, '/');
    program_invocation_name = copy;
    program_invocation_short_name = slash == NULL ? copy : slash + 1;
    return true;
}

size_t cprefork_prepare_title(uintptr_t arg_start, uintptr_t arg_end, uintptr_t env_start, uintptr_t env_end) {
    if (is_prepared) return room;
    is_prepared = true;
    if (arg_start == 0 || arg_end <= arg_start + 1 || arg_end - arg_start > LARGEST_AREA) return 0;
    size_t arguments = arg_end - arg_start;
    size_t capacity = arguments;
    bool follows = env_start == arg_end && env_end > env_start && env_end - env_start <= LARGEST_AREA;
    if (follows && capacity < WANTED_ROOM) {
        // Not more of the environment than titles need: /proc/pid/environ keeps the rest.
        size_t all = env_end - arg_start;
        capacity = all < WANTED_ROOM ? all : WANTED_ROOM;
    }
    char *start = (char *)arg_start;
    if (!is_ours(start, capacity)) return 0;
    if (!move_program_name(start, start + capacity) || !move_environment(start, start + capacity)) return 0;
    title = start;
    argument_bytes = arguments;
    last_length = capacity;
    room = capacity;
    return room;
}

void cprefork_set_title(const unsigned char *text, size_t length) {
    if (room == 0) return;
    const unsigned char *end = memchr(text, 0, length);
    if (end != NULL) length = (size_t)(end - text);
    // Its NUL must stay, or a reader would continue into what follows.
    if (length > room - 1) {
        length = room - 1;
        while (length > 0 && (text[length] & 0xC0) == 0x80) length--;
    }
    memcpy(title, text, length);
    if (last_length > length) memset(title + length, 0, last_length - length);
    title[length] = 0;
    if (length < argument_bytes) title[argument_bytes - 1] = length == argument_bytes - 1 ? 0 : '.';
    last_length = length > argument_bytes ? length : argument_bytes;
}

int cprefork_set_thread_name(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }
