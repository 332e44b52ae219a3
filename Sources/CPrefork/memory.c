#define _GNU_SOURCE
#include "cprefork.h"

#include <string.h>

const void *cprefork_find(const void *bytes, size_t count, const void *sequence, size_t length) {
    return memmem(bytes, count, sequence, length);
}

const void *cprefork_find_last(const void *bytes, size_t count, int byte) { return memrchr(bytes, byte, count); }
