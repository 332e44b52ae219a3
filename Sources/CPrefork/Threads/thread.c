#define _GNU_SOURCE
#include "cprefork.h"
#include "cprefork_crash.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

// Asked at every stream operation: initial-exec spares the call of __tls_get_addr, at the price that a library with
// this package in it must be loaded with the program, not later by dlopen.
static __thread void *thread_loop __attribute__((tls_model("initial-exec")));

void *cprefork_thread_loop(void) { return thread_loop; }

void cprefork_set_thread_loop(void *loop) { thread_loop = loop; }

int cprefork_wait_condition(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline) {
    const struct timespec instant = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &instant);
}

void cprefork_unblock_crash_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    for (int number = 1; number < 32; number++) {
        if (cprefork_is_crash_signal(number)) sigaddset(&set, number);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int cprefork_join_thread(pthread_t thread, int64_t deadline) {
    const struct timespec instant = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &instant);
}
