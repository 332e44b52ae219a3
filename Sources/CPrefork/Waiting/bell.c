// Bells between processes that do not trust each other: timerfd_create(2) without a time.
//
// An eventfd cannot be one. O_NONBLOCK belongs to the open file, so a process that has it can clear the flag and fill
// the counter, and the next write(2) of another process sleeps. write(2) has no flag to prevent that. A pipe has one
// (RWF_NOWAIT), but its kernel mutex is held while bytes are copied, for as long as a writer's memory takes to page in
// (userfaultfd(2), FUSE). The calls here take one spinlock, copy before they take it, and fill nothing.
#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

// <linux/timerfd.h> does not mix with <sys/timerfd.h>.
#define SET_TICKS _IOW('T', 0, uint64_t)

/// Probed once: the kernel is built without CONFIG_CHECKPOINT_RESTORE, or a seccomp filter refuses the call.
static atomic_bool without_ticks;

int cprefork_bell(void) { return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK); }

int cprefork_is_bell(int fd) {
    struct itimerspec now;
    return timerfd_gettime(fd, &now) == 0;
}

int cprefork_ring(int bell) {
    if (!atomic_load_explicit(&without_ticks, memory_order_relaxed)) {
        const uint64_t one = 1;
        if (ioctl(bell, SET_TICKS, &one) == 0) return 0;
        if (cprefork_ring_by_timer(bell) < 0) return -1;
        atomic_store_explicit(&without_ticks, true, memory_order_relaxed);
        return 0;
    }
    return cprefork_ring_by_timer(bell);
}

int cprefork_ring_by_timer(int bell) {
    const struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
    return timerfd_settime(bell, 0, &at_once, NULL);
}

int cprefork_silence(int bell) {
    const struct itimerspec never = {.it_value = {.tv_sec = 0}};
    return timerfd_settime(bell, 0, &never, NULL);
}
