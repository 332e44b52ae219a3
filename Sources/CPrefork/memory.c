#define _GNU_SOURCE
#include "cprefork.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

const void *cprefork_find(const void *bytes, size_t count, const void *sequence, size_t length) {
    return memmem(bytes, count, sequence, length);
}

const void *cprefork_find_last(const void *bytes, size_t count, int byte) { return memrchr(bytes, byte, count); }

int cprefork_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }

int cprefork_seal_size(int fd) { return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL); }

int cprefork_is_size_sealed(int fd) {
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}
