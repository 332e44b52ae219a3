// The stack of an interrupted thread by its frame pointers, for signal handlers.
#ifndef CPREFORK_FRAME_WALK_H
#define CPREFORK_FRAME_WALK_H

#include <stdint.h>

struct cprefork_registers {
    uintptr_t counter, frame, stack;
};

/// - context: a handler's third argument.
struct cprefork_registers cprefork_registers_of(const void *context);

/// Return addresses along the frame pointers, which Swift keeps in every function on Linux: [frame] is the caller's
/// frame, the word above it the return address. A function of the C library may omit its frame pointer. Then its
/// callers are left out or the walk ends.
///
/// Writes at most `most` words, the instruction's address first. Memory that is not there ends the walk: system calls
/// check each page.
int cprefork_walk_frames(const struct cprefork_registers *at, uint64_t *frames, int most);

/// Whether the kernel would let this process read the eight bytes at an address.
_Bool cprefork_is_readable(uintptr_t address);

#endif
