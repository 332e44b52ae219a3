#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static atomic_int bell = -1;
static atomic_int last;
static atomic_int count;
/// How many came since they are watched, taken or not.
static atomic_int seen;
/// No loop watches the bell: the second signal ends a program that does not react to the first.
static atomic_int is_unread;
static const int watched[] = {SIGTERM, SIGINT};

/// Runs at any instant in any thread.
static void on_stop_signal(int number) {
    int saved = errno;
    int fd = atomic_load_explicit(&bell, memory_order_acquire);
    atomic_store(&last, number);
    atomic_fetch_add(&count, 1);
    if (fd >= 0) cprefork_ring(fd);
    // Blocked while this runs, it ends the process when this returns.
    if (atomic_fetch_add(&seen, 1) > 0 && atomic_load(&is_unread)) {
        struct sigaction standard = {.sa_handler = SIG_DFL};
        if (sigaction(number, &standard, NULL) == 0) raise(number);
    }
    errno = saved;
}

void cprefork_watch_stop_signals(int new_bell, int unread) {
    // Unread, it interrupts the system call in which the program waits, which is the only way to inform the program.
    struct sigaction ours = {.sa_handler = on_stop_signal, .sa_flags = unread ? 0 : SA_RESTART};
    struct sigaction current;
    int is_new = 0;
    atomic_store_explicit(&bell, new_bell, memory_order_release);
    atomic_store(&is_unread, unread);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        // A handler of the program's own stays, and so does what nohup(1) or a shell's & has set to be ignored.
        if (sigaction(watched[i], NULL, &current) < 0 || current.sa_flags & SA_SIGINFO) continue;
        if (current.sa_handler != SIG_DFL && current.sa_handler != on_stop_signal) continue;
        if (current.sa_handler == SIG_DFL && !is_new) {
            is_new = 1;
            atomic_store(&count, 0);
            atomic_store(&seen, 0);
        }
        if (sigaction(watched[i], &ours, NULL) < 0) continue;
        // If the process that started the program had blocked it, it would never arrive.
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, watched[i]);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
}

void cprefork_unwatch_stop_signals(void) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    struct sigaction current;
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        if (sigaction(watched[i], NULL, &current) == 0 && !(current.sa_flags & SA_SIGINFO) &&
            current.sa_handler == on_stop_signal)
            sigaction(watched[i], &standard, NULL);
    }
}

int cprefork_take_stop_signals(int *number) {
    int taken = atomic_exchange(&count, 0);
    *number = atomic_load(&last);
    return taken;
}

void cprefork_end_by_signal(int number) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    if (sigaction(number, &standard, NULL) < 0) return;
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
