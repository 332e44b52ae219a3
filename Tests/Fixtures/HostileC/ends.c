// Attacks on how a supervisor hears of its children's ends.
#define _GNU_SOURCE
#include "dice.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// Ends the calling helper soon after the deadline, whatever it does. It has no parent that would.
static void end_at(int64_t deadline) {
    int64_t left = deadline - now_nanoseconds();
    if (left <= 0) _exit(0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGALRM, SIG_DFL);
    alarm((unsigned)(left / 1000000000) + 1);
}

static void nap_until(int64_t instant) {
    struct timespec time = {instant / 1000000000, instant % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0) {}
}

pid_t hostile_be_traced(bool at_exit, int64_t deadline) {
    int order[2], answer[2];
    // A change of user has turned it off, and with it tracing by the same user.
    prctl(PR_SET_DUMPABLE, 1);
    if (pipe(order) != 0 || pipe(answer) != 0) return -1;
    pid_t traced = getpid();
    pid_t helper = fork();
    char byte = 0;
    if (helper == 0) {
        end_at(deadline + 1000000000);
        close(order[1]);
        close(answer[0]);
        // The Yama module asks the traced one first.
        if (read(order[0], &byte, 1) != 1) _exit(1);
        byte = ptrace(PTRACE_SEIZE, traced, NULL, at_exit ? PTRACE_O_TRACEEXIT : 0) == 0;
        if (write(answer[1], &byte, 1) != 1 || !byte) _exit(1);
        nap_until(deadline);
        _exit(0);
    }
    close(order[0]);
    close(answer[1]);
    if (helper > 0) prctl(PR_SET_PTRACER, helper);
    bool is_traced = helper > 0 && write(order[1], &byte, 1) == 1 && read(answer[0], &byte, 1) == 1 && byte;
    close(order[1]);
    close(answer[0]);
    return is_traced ? helper : -1;
}

void hostile_be_trapped(void) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGUSR1);
}

void hostile_leave_children(int count) {
    for (int number = 0; number < count; number++) {
        // The supervisor's child, as this process is.
        long child = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) syscall(SYS_exit_group, 0);
    }
}

pid_t hostile_be_stopped(volatile int64_t *rounds, int64_t deadline) {
    pid_t victim = getpid();
    pid_t helper = fork();
    if (helper != 0) return helper;
    end_at(deadline + 1000000000);
    while (now_nanoseconds() < deadline) {
        kill(victim, SIGSTOP);
        kill(victim, SIGCONT);
        *rounds += 1;
    }
    kill(victim, SIGCONT);
    _exit(0);
}

bool hostile_continue(pid_t process, volatile int64_t *rounds, int64_t deadline) {
    bool was_sent = false;
    while (now_nanoseconds() < deadline) {
        was_sent |= kill(process, SIGCONT) == 0;
        *rounds += 1;
    }
    return was_sent;
}

int hostile_orphan_group(pid_t group, int rounds) {
    int joined = 0;
    for (int round = 0; round < rounds; round++) {
        pid_t parent = fork();
        if (parent == 0) {
            setpgid(0, 0);
            pid_t member = fork();
            if (member == 0) {
                if (setpgid(0, group) != 0) _exit(1);
                kill(getpid(), SIGSTOP);
                _exit(0);
            }
            int status = 0;
            waitpid(member, &status, WUNTRACED);
            _exit(WIFSTOPPED(status) ? 0 : 1);
        }
        int status = 1;
        if (parent > 0) waitpid(parent, &status, 0);
        joined += status == 0;
    }
    return joined;
}

static volatile int64_t *continues;

static void count_continue(int number) {
    (void)number;
    *continues += 1;
}

void hostile_count_continues(volatile int64_t *count) {
    continues = count;
    struct sigaction action = {.sa_handler = count_continue, .sa_flags = SA_RESTART};
    sigaction(SIGCONT, &action, NULL);
}
