#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

static atomic_int bell = -1;
static atomic_int last;
static atomic_int count;
static const int watched[] = {SIGTERM, SIGINT};

/// Runs at any instant in any thread.
static void on_stop_signal(int number) {
    int saved = errno;
    int fd = atomic_load_explicit(&bell, memory_order_acquire);
    atomic_store(&last, number);
    atomic_fetch_add(&count, 1);
    if (fd >= 0) cprefork_ring(fd);
    errno = saved;
}

void cprefork_watch_stop_signals(int new_bell) {
    struct sigaction ours = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
    struct sigaction current;
    atomic_store_explicit(&bell, new_bell, memory_order_release);
    atomic_store(&count, 0);
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        // A handler of the program's own stays, and so does what nohup(1) or a shell's & has set to be ignored.
        if (sigaction(watched[i], NULL, &current) == 0 && !(current.sa_flags & SA_SIGINFO) &&
            current.sa_handler == SIG_DFL)
            sigaction(watched[i], &ours, NULL);
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
