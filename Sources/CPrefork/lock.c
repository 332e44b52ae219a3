#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

_Static_assert(sizeof(pthread_mutex_t) <= CPREFORK_LOCK_BYTES, "the room that layouts leave for a lock is too small");

int cprefork_lock_init(void *lock) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    int error = pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return error;
}

int cprefork_lock(void *lock, int64_t timeout_ns) {
    int error = pthread_mutex_trylock(lock);
    if (error != EBUSY || timeout_ns == 0) return error;
    if (timeout_ns < 0) return pthread_mutex_lock(lock);
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    int64_t nanoseconds = deadline.tv_nsec + timeout_ns % 1000000000;
    deadline.tv_sec += timeout_ns / 1000000000 + nanoseconds / 1000000000;
    deadline.tv_nsec = nanoseconds % 1000000000;
    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &deadline);
}

int cprefork_lock_recovered(void *lock) { return pthread_mutex_consistent(lock); }
