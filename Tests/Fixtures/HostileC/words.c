// Random words over every shared mapping. Read-only mappings must stay read-only.
#define _GNU_SOURCE
#include "dice.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_MAPPINGS = 128, PAGE = 4096 };

struct mapping {
    uint64_t *words;
    size_t count;
};

/// Shared mappings by their rights, from /proc/self/maps. Nothing is allocated.
static int find_mappings(struct mapping *found, bool writable) {
    static __thread char text[1 << 18];
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    size_t length = 0;
    ssize_t more;
    while (length < sizeof text - 1 && (more = read(file, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)more;
    close(file);
    text[length] = 0;
    int count = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line && count < MOST_MAPPINGS; line = strtok_r(NULL, "\n", &rest)) {
        unsigned long begin, end;
        char rights[5] = "";
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, rights) != 3 || rights[3] != 's' || rights[0] != 'r') continue;
        if ((rights[1] == 'w') != writable) continue;
        found[count++] = (struct mapping){(uint64_t *)begin, (end - begin) / sizeof(uint64_t)};
    }
    return count;
}

static uint64_t value(const struct mapping *in, uint64_t *at, struct dice *dice) {
    switch (below(dice, 8)) {
    case 0: return 0;
    case 1: return ~(uint64_t)0;
    case 2: return below(dice, 17);
    // As an owner of a lock: this thread, with and without the bits of a futex.
    case 3: return (uint64_t)syscall(SYS_gettid) | (roll(dice) & 0xE0000000u);
    case 4: return in->words[below(dice, in->count)];
    case 5: return *at ^ (uint64_t)1 << below(dice, 64);
    // As a pointer of a list: into this mapping.
    case 6: return (uint64_t)(uintptr_t)(in->words + below(dice, in->count));
    default: return roll(dice);
    }
}

/// A word to spoil. Headers, locks and lists are where words are not zero, and at the beginning.
static size_t place(const struct mapping *in, struct dice *dice) {
    size_t at = below(dice, in->count);
    switch (below(dice, 10)) {
    case 0: case 1: case 2: case 3: return below(dice, in->count < 512 ? in->count : 512);
    case 4: case 5: case 6: case 7:
        for (size_t step = 0; step < PAGE; step++) {
            size_t next = (at + step) % in->count;
            if (in->words[next] != 0) return next;
        }
        return at;
    default: return at;
    }
}

void scribble(const struct hostile_plan *plan, struct dice *dice) {
    (void)plan;
    struct mapping all[MOST_MAPPINGS];
    int count = find_mappings(all, true);
    if (count == 0) return;
    size_t writes = 1 + below(dice, 400);
    for (size_t number = 0; number < writes; number++) {
        const struct mapping *in = &all[below(dice, (size_t)count)];
        size_t at = place(in, dice);
        if (chance(dice, 1)) {
            // A page of noise.
            at &= ~(size_t)(PAGE / 8 - 1);
            for (size_t step = 0; step < PAGE / 8 && at + step < in->count; step++) in->words[at + step] = roll(dice);
        } else if (chance(dice, 50)) {
            __atomic_store_n(&in->words[at], value(in, &in->words[at], dice), __ATOMIC_SEQ_CST);
        } else {
            uint32_t *half = (uint32_t *)&in->words[at] + below(dice, 2);
            __atomic_store_n(half, (uint32_t)value(in, &in->words[at], dice), __ATOMIC_SEQ_CST);
        }
    }
}

void try_read_only_memory(const struct hostile_plan *plan) {
    struct mapping all[MOST_MAPPINGS];
    int count = find_mappings(all, false);
    for (int number = 0; number < count; number++) {
        if (mprotect(all[number].words, PAGE, PROT_READ | PROT_WRITE) == 0)
            tell(plan, "a shared mapping that was read-only is writable by mprotect");
    }
    struct descriptors inherited;
    find_descriptors(&inherited);
    for (int number = 0; number < inherited.count; number++) {
        char path[64], target[256] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", inherited.numbers[number]);
        ssize_t length = readlink(path, target, sizeof target - 1);
        int flags = fcntl(inherited.numbers[number], F_GETFL);
        if (length <= 0 || strncmp(target, "/memfd:", 7) != 0 || (flags & O_ACCMODE) != O_RDONLY) continue;
        int again = open(path, O_RDWR | O_CLOEXEC);
        if (again < 0) continue;
        close(again);
        tell(plan, "a read-only memory file was opened for writing through /proc/self/fd");
    }
}
