#define _GNU_SOURCE
#include "frame_walk.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static void put(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

/// rt_sigprocmask(2) reads the set before it checks the operation: EFAULT for memory that is not there, EINVAL for the
/// invalid operation.
bool cprefork_is_readable(uintptr_t address) {
    return syscall(SYS_rt_sigprocmask, ~0, address, NULL, 8) == -1 && errno == EINVAL;
}

struct cprefork_registers cprefork_registers_of(const void *context) {
    const ucontext_t *user = context;
#if defined(__x86_64__)
    const greg_t *general = user->uc_mcontext.gregs;
    return (struct cprefork_registers){
        (uintptr_t)general[REG_RIP], (uintptr_t)general[REG_RBP], (uintptr_t)general[REG_RSP]};
#elif defined(__aarch64__)
    return (struct cprefork_registers){user->uc_mcontext.pc, user->uc_mcontext.regs[29], user->uc_mcontext.sp};
#else
    (void)user;
    return (struct cprefork_registers){0, 0, 0};
#endif
}

/// The smallest page of both architectures: what was readable in it still is, since the stack belongs to the thread
/// that is interrupted.
static bool is_in_known_page(uintptr_t address, uintptr_t *known) {
    uintptr_t page = address & ~(uintptr_t)4095;
    if (page == *known) return true;
    if (!cprefork_is_readable(address)) return false;
    *known = page;
    return true;
}

int cprefork_walk_frames(const struct cprefork_registers *at, uint64_t *frames, int most) {
    int count = 0;
    put(frames + count++, at->counter);
    uintptr_t frame = at->frame, lowest = at->stack, known = 0;
    // A jump to an invalid address: the caller's address is on top of the stack.
    if (!cprefork_is_readable(at->counter) && lowest % 8 == 0 && cprefork_is_readable(lowest)) {
        put(frames + count++, *(const uintptr_t *)lowest);
    }
    while (count < most) {
        // Bit 60 marks the frame of an async function.
        frame &= ~((uintptr_t)0xF << 60);
        if (frame % 8 != 0 || frame < lowest || frame - lowest > (uintptr_t)1 << 30) break;
        if (!is_in_known_page(frame, &known) || !is_in_known_page(frame + 8, &known)) break;
        uintptr_t back = ((const uintptr_t *)frame)[1];
        if (back < 4096) break;
        put(frames + count++, back);
        lowest = frame + 16;
        frame = ((const uintptr_t *)frame)[0];
    }
    return count;
}
