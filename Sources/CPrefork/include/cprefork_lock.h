// Kernel calls for a lock between processes: a futex, and a check whether a process still lives.
#ifndef CPREFORK_LOCK_H
#define CPREFORK_LOCK_H

#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// FUTEX_WAIT (futex(2)) on a word that processes share, at most `nanoseconds` long. Returns at a wake-up, at the end
/// of that time, when the word is not `expected`, and at a signal. The caller checks the word again in any case.
void cprefork_futex_wait(void *word, uint32_t expected, int64_t nanoseconds);

/// FUTEX_WAKE of one waiter.
void cprefork_futex_wake(void *word);

/// What a pidfd says of a process (pidfd_open(2), Linux 5.3). 1: it lives. 0: it does not exist, or it has ended and
/// has not been collected. -1: no pidfd was available (no descriptor left, an older kernel, a filter). `number`:
/// permanently identifies the process (inode in pidfs, Linux 6.9), or 0 if the kernel has no such number.
int cprefork_look_at_process(pid_t pid, uint64_t *number);

/// Tells the processor that it spins.
static inline void cprefork_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

extern uint64_t cprefork_lock_token_word;

/// The word by which this process owns locks, or 0 before it has made one. A forked child has no word
/// (pthread_atfork(3)).
static inline uint64_t cprefork_lock_token(void) {
    return __atomic_load_n(&cprefork_lock_token_word, __ATOMIC_RELAXED);
}

/// Where it is, for code that cannot call in its shortest path.
static inline void *cprefork_lock_token_address(void) { return &cprefork_lock_token_word; }

static inline void cprefork_set_lock_token(uint64_t token) {
    __atomic_store_n(&cprefork_lock_token_word, token, __ATOMIC_RELAXED);
}

#pragma clang assume_nonnull end
#endif
