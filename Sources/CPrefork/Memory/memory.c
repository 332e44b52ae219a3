#define _GNU_SOURCE
#include "cprefork.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

const void *cprefork_find(const void *bytes, size_t count, const void *sequence, size_t length) {
    return memmem(bytes, count, sequence, length);
}

const void *cprefork_find_last(const void *bytes, size_t count, int byte) { return memrchr(bytes, byte, count); }

int cprefork_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }

int cprefork_reserve(int fd, int64_t count) { return fallocate(fd, 0, 0, count); }

int cprefork_punch(int fd, int64_t offset, int64_t count) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int cprefork_seal_size(int fd) { return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL); }

int cprefork_is_size_sealed(int fd) {
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return 0;
    // Huge pages (MFD_HUGETLB) have seals, too, and to touch one where none is left is SIGBUS.
    struct statfs system;
    return fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

void cprefork_keep_whole(int fd, int on) {
    int flags;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) return;
    int wanted = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
    if (wanted != flags) (void)ioctl(fd, FS_IOC_SETFLAGS, &wanted);
}

static void *map(size_t count, int flags, int fd) {
    return mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
}

void *cprefork_shared_memory(size_t count) {
    int fd = cprefork_memory_file("prefork-shared");
    if (fd < 0) return map(count, MAP_ANONYMOUS, -1);
    void *memory = ftruncate(fd, (off_t)count) == 0 ? map(count, 0, fd) : MAP_FAILED;
    // Linux 5.1. Existing mappings stay writable, here and in children, but no hole can be made any more.
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    if (memory != MAP_FAILED && fcntl(fd, F_ADD_SEALS, seals) < 0) cprefork_seal_size(fd);
    close(fd);
    return memory != MAP_FAILED ? memory : map(count, MAP_ANONYMOUS, -1);
}

void *cprefork_private_memory(size_t count) {
    return mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

int cprefork_move_mapping(void *from, size_t count, void *to) {
    return mremap(from, count, count, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED ? -1 : 0;
}
