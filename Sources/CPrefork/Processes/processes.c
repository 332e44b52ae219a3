#define _GNU_SOURCE
#include "cprefork.h"
#include "cprefork_crash.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "close_listed.h"
#include "kernel_numbers.h"

int64_t cprefork_microseconds(struct timeval time) { return (int64_t)time.tv_sec * 1000000 + time.tv_usec; }

int cprefork_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int cprefork_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int cprefork_pidfd_send_signal_to_group(int pidfd, int signal) {
    const unsigned to_process_group = 1u << 2;  // PIDFD_SIGNAL_PROCESS_GROUP of linux/pidfd.h
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, to_process_group);
}

int cprefork_waitid(int pidfd, pid_t pid, int options, struct cprefork_exit *result) {
    siginfo_t info;
    memset(&info, 0, sizeof info);  // with WNOHANG and nothing to report, waitid leaves si_pid alone (waitid(2))
    int answer;
    do {
        int type = pidfd >= 0 ? P_PIDFD : P_PID;
        int target = pidfd >= 0 ? pidfd : pid;
        answer = (int)syscall(SYS_waitid, type, target, &info, WEXITED | WNOHANG | options, &result->usage);
        // EINVAL before Linux 5.4, the others from filters. The number is as good, because the caller has not collected
        // the child.
        bool is_refused = answer < 0 && pidfd >= 0 && (errno == EINVAL || errno == ENOSYS || errno == EPERM);
        if (is_refused) pidfd = -1;
        if (!is_refused && !(answer < 0 && errno == EINTR)) break;
    } while (true);
    // A child can have its parent trace it (PTRACE_TRACEME), and a wait for ends then reports its stops.
    bool is_end = info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
    result->pid = is_end ? info.si_pid : 0;
    result->code = info.si_code;
    result->status = info.si_status;
    return answer;
}

int cprefork_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }

int cprefork_affinity_count(void) {
    // The mask must be as large as the kernel's own, which a build for many processors makes larger than cpu_set_t
    // (sched_getaffinity(2): EINVAL).
    for (int processors = 1024; processors <= 1 << 20; processors *= 2) {
        cpu_set_t *set = CPU_ALLOC(processors);
        if (set == NULL) return 0;
        size_t size = CPU_ALLOC_SIZE(processors);
        CPU_ZERO_S(size, set);
        int answer = sched_getaffinity(0, size, set);
        int count = answer == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (answer == 0 || errno != EINVAL) return count;
    }
    return 0;
}

/// Their addresses are written when the program is loaded. A call by name would look the name up in each child
/// (`cprefork_bind_symbols`), and none of them can be called ahead without effect.
static void (*volatile const seed_random)(unsigned) = srandom;
static void (*volatile const seed_drand48)(long) = srand48;
static void (*volatile const purge)(FILE *) = __fpurge;
static int (*volatile const set_buffer)(FILE *, char *, int, size_t) = setvbuf;

void cprefork_reseed(void) {
    struct { unsigned random; long drand48; } seeds;
    if (getrandom(&seeds, sizeof seeds, GRND_NONBLOCK) != (ssize_t)sizeof seeds) {
        // Early boot of a machine without entropy: the process ID alone keeps siblings apart.
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        seeds.random = (unsigned)getpid() * 2654435761u ^ (unsigned)now.tv_nsec;
        seeds.drand48 = (long)seeds.random;
    }
    seed_random(seeds.random);  // rand(3) is the same generator in glibc
    seed_drand48(seeds.drand48);
}

void cprefork_bind_symbols(void) {
    // Each call is without effect. The first call of a function through the procedure linkage table looks its name up
    // and writes its address (ld.so(8), LD_BIND_NOW): in a child that is a copied page more, and again in the next one.
    struct timespec nothing = {0, 0};
    struct itimerspec off = {nothing, nothing};
    struct sigevent silent;
    memset(&silent, 0, sizeof silent);
    silent.sigev_notify = SIGEV_NONE;
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &silent, &timer) == 0) {
        timer_settime(timer, 0, &off, NULL);
        timer_delete(timer);
    }
    int counter = eventfd(0, EFD_CLOEXEC);
    if (counter >= 0) close(counter);
    accept4(-1, NULL, NULL, SOCK_CLOEXEC);
    int on = 1;
    ioctl(-1, FIONBIO, &on);
    poll(NULL, 0, 0);
    (void)!dup2(-1, -1);
    (void)time(NULL);
    char byte;
    (void)!getrandom(&byte, 0, GRND_NONBLOCK);
    sigaction(SIGPIPE, NULL, NULL);
    (void)SIGRTMIN;
    (void)SIGRTMAX;
    (void)gettid();
    (void)getppid();
}

int cprefork_close_range(unsigned first, unsigned last) {
    if (syscall(SYS_close_range, first, last, 0) == 0) return 0;
    return cprefork_close_listed(first, last);
}

char **cprefork_environment(void) { return environ; }

void cprefork_flush_stdio(void) { fflush(NULL); }

void cprefork_discard_stdio(void) {
    purge(stdout);
    purge(stderr);
    // Whole lines, and at once: into a pipe or a file stdout has a buffer of 4 KiB otherwise, which is written without
    // regard to lines, among the lines of siblings, and lost at a crash (setvbuf(3)).
    set_buffer(stdout, NULL, _IOLBF, 0);
}

void cprefork_reset_signal_actions(void) {
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    // SIGKILL, SIGSTOP and the two signals that glibc reserves refuse, which can be ignored.
    for (int number = 1; number < NSIG; number++) {
        if (cprefork_is_crash_signal(number) || cprefork_disregard_order(number)) continue;
        sigaction(number, &standard, NULL);
    }
    // The runtime's backtracer works in a worker as in a plain program.
    cprefork_take_crash_signals();
    // A server writes to sockets whose peer is gone: the result must be EPIPE, never a death (signal(7)).
    signal(SIGPIPE, SIG_IGN);
}
