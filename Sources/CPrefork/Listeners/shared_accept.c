// accept4(2) on a listener that other processes have, too.
//
// Whether it waits for a connection depends on O_NONBLOCK, which belongs to the open file. Any process that has the
// listener can clear the flag, honestly (Python's settimeout) or not, at any instant until accept4(2) has read it. A
// timer signal to this thread ends a call that waits nevertheless.
#define _GNU_SOURCE
#include "cprefork.h"
#include "cprefork_passing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { LONGEST_WAIT_NS = 10 * 1000 * 1000 };

static _Thread_local timer_t timer;
/// The process that owns the timer, by its number of forks: a child inherits no timers (timer_create(2)). 0 means no
/// process.
static _Thread_local uint64_t owner;
/// The listener in whose accept4(2) this thread may be, or -1.
static _Thread_local volatile sig_atomic_t guarded = -1;
static _Thread_local volatile sig_atomic_t has_fired;
/// The listener was found blocking. Without it the call was slow, on a machine with too much to do.
static _Thread_local volatile sig_atomic_t was_blocking;

static void make_nonblocking(int fd) {
    int on = 1;
    (void)ioctl(fd, FIONBIO, &on);
}

static void on_guard_signal(int number) {
    (void)number;
    if (guarded < 0) return;
    int saved = errno;
    has_fired = 1;
    int flags = fcntl(guarded, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0) {
        was_blocking = 1;
        make_nonblocking(guarded);
    }
    errno = saved;
}

/// A real-time signal that the program does not use, from SIGRTMAX - 3 downwards, with the handler above. No
/// SA_RESTART: accept4(2) must come back whatever the flag is by then. The signal comes during a guarded call only.
static int take_signal(void) {
    for (int number = SIGRTMAX - 3; number >= SIGRTMIN; number--) {
        struct sigaction current;
        if (sigaction(number, NULL, &current) < 0) continue;
        if (!(current.sa_flags & SA_SIGINFO) && current.sa_handler == on_guard_signal) return number;
        if ((current.sa_flags & SA_SIGINFO) || current.sa_handler != SIG_DFL) continue;
        struct sigaction ours = {.sa_handler = on_guard_signal};
        sigemptyset(&ours.sa_mask);
        if (sigaction(number, &ours, NULL) == 0) return number;
    }
    return -1;
}

static bool has_timer(void) {
    if (owner == cprefork_fork_count()) return true;
    int number = take_signal();
    if (number < 0) return false;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = number;
    event.sigev_notify_thread_id = gettid();
    // Without one (RLIMIT_SIGPENDING) checking the flag must suffice.
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) return false;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    owner = cprefork_fork_count();
    return true;
}

void cprefork_end_shared_accept(void) {
    if (owner == cprefork_fork_count()) timer_delete(timer);
    owner = 0;
}

int cprefork_accept_shared(int listener, void *peer, uint32_t *length, int *is_repaired) {
    *is_repaired = 0;
    // The flag is read, not set: the file's lock would be shared by all workers.
    int flags = fcntl(listener, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0) {
        make_nonblocking(listener);
        *is_repaired = 1;
    }
    bool is_armed = has_timer();
    has_fired = 0;
    was_blocking = 0;
    if (is_armed) {
        // Again and again: the first may come before the call.
        const struct timespec wait = {.tv_nsec = LONGEST_WAIT_NS};
        const struct itimerspec times = {.it_value = wait, .it_interval = wait};
        guarded = listener;
        timer_settime(timer, 0, &times, NULL);
    }
    int connection = accept4(listener, peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int saved = errno;
    if (is_armed) {
        const struct itimerspec never = {.it_value = {.tv_sec = 0}};
        timer_settime(timer, 0, &never, NULL);
        guarded = -1;
    }
    if (has_fired) {
        if (was_blocking) *is_repaired = 1;
        if (connection < 0 && saved == EINTR) saved = EAGAIN;
    }
    errno = saved;
    return connection;
}
