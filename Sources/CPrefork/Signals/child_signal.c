#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_int bell = -1;
static struct sigaction previous;
/// Ours is called, by the kernel or by a handler that was put above it.
static atomic_bool is_installed;

/// Runs at any instant in any thread: one ring, then the previous handler of the signal.
static void on_child_signal(int number, siginfo_t *info, void *context) {
    int saved = errno;
    int fd = atomic_load_explicit(&bell, memory_order_acquire);
    if (fd >= 0) cprefork_ring(fd);
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    }
    errno = saved;
}

int cprefork_watch_child_signal(int new_bell) {
    struct sigaction ours = {.sa_sigaction = on_child_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_NOCLDSTOP};
    struct sigaction current;
    if (sigaction(SIGCHLD, NULL, &current) < 0) return -1;
    atomic_store_explicit(&bell, new_bell, memory_order_release);
    // A program inherits the signal mask of the process that started it. One thread that takes the signal is enough.
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    pthread_sigmask(SIG_UNBLOCK, &children, NULL);
    // Installed a second time above a handler that calls ours, the two would call each other forever.
    if (atomic_load(&is_installed)) return 0;
    previous = current;
    if (sigaction(SIGCHLD, &ours, NULL) < 0) return -1;
    atomic_store(&is_installed, true);
    return 0;
}

void cprefork_unwatch_child_signal(void) {
    struct sigaction current;
    // Other code may have put a handler above ours. Then ours stays under it and rings nothing.
    if (sigaction(SIGCHLD, NULL, &current) == 0 && current.sa_flags & SA_SIGINFO &&
        current.sa_sigaction == on_child_signal && sigaction(SIGCHLD, &previous, NULL) == 0)
        atomic_store(&is_installed, false);
    atomic_store_explicit(&bell, -1, memory_order_release);
}
