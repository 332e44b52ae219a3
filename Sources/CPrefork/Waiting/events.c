#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "kernel_numbers.h"

// Probed once: set when the kernel (before 5.11) or a seccomp filter does not know epoll_pwait2.
static atomic_bool without_pwait2;

int cprefork_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t timeout_ns) {
    if (timeout_ns <= 0) return epoll_wait(epoll, events, capacity, timeout_ns < 0 ? -1 : 0);
    if (!atomic_load_explicit(&without_pwait2, memory_order_relaxed)) {
        struct timespec timeout = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
        int answer = (int)syscall(SYS_epoll_pwait2, epoll, events, capacity, &timeout, NULL, 0);
        if (answer >= 0 || (errno != ENOSYS && errno != EPERM)) return answer;
        atomic_store_explicit(&without_pwait2, true, memory_order_relaxed);
    }
    int64_t milliseconds = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    return epoll_wait(epoll, events, capacity, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds);
}

int cprefork_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t word) {
    struct epoll_event event = {.events = events, .data = {.u64 = word}};
    return epoll_ctl(epoll, operation, fd, &event);
}
