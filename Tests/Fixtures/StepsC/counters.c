// A counter as C has it, beside those that are tested.

#include "fixture_steps.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t *fixture_map_counters(const char *path) {
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return NULL;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return memory == MAP_FAILED ? NULL : memory;
}

void fixture_count(uint64_t *words, int index) { __atomic_fetch_add(words + index, 1, __ATOMIC_RELAXED); }
