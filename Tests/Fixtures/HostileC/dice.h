// Seeded numbers, and what the parts of the attack share.
#pragma once

#include "hostile.h"

#include <stddef.h>

/// SplitMix64, as PreforkSystem's: the same attack for the same seed.
struct dice {
    uint64_t state;
};

static inline uint64_t roll(struct dice *dice) {
    dice->state += 0x9E3779B97F4A7C15u;
    uint64_t word = dice->state;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

static inline size_t below(struct dice *dice, size_t bound) { return bound ? (size_t)(roll(dice) % bound) : 0; }

static inline bool chance(struct dice *dice, unsigned percent) { return below(dice, 100) < percent; }

enum { MOST_DESCRIPTORS = 256 };

/// The descriptors that the process had when the attack began: its own later ones are not among them.
struct descriptors {
    int count;
    int numbers[MOST_DESCRIPTORS];
};

int64_t now_nanoseconds(void);
void find_descriptors(struct descriptors *found);
/// Writes a finding into a file that the judge reads: what the kernel should have refused.
void tell(const struct hostile_plan *plan, const char *what);

void scribble(const struct hostile_plan *plan, struct dice *dice);
void try_read_only_memory(const struct hostile_plan *plan);
void flip_flags(const struct hostile_plan *plan, const struct descriptors *all, struct dice *dice);
void push_and_pull(const struct descriptors *all, struct dice *dice);
void pass_sockets(const struct descriptors *all, struct dice *dice);
void spoil_files(const struct descriptors *all, struct dice *dice);
void spoil_listeners(const struct descriptors *all, struct dice *dice);
void try_rights(const struct hostile_plan *plan, struct dice *dice);
