// A process that keeps sockets open, so that the process that closes them is never the last.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cprefork.h"
#include "cprefork_passing.h"
#include "kernel_numbers.h"

enum { SIGNAL_BYTES = 8 };

/// System calls only: other threads of the parent may have held any lock at the fork.
static void hold(const int *sorted, int count, int input) {
    unsigned next = 0;
    for (int index = 0, more = 1; index < count || more;) {
        unsigned kept;
        if (more && (index == count || input < sorted[index])) {
            kept = (unsigned)input;
            more = 0;
        } else {
            kept = (unsigned)sorted[index++];
        }
        if (kept > next) cprefork_close_range(next, kept - 1);
        if (kept >= next) next = kept + 1;
    }
    // Also the parent's end of the pipe: it ends with the parent.
    cprefork_close_range(next, ~0u);
    char byte;
    while (syscall(SYS_read, input, &byte, 1) < 0 && errno == EINTR) {}
    while (1) syscall(SYS_exit_group, 0);
}

pid_t cprefork_fork_holder(const int *sorted, int count, int *release) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    const uint64_t all = ~(uint64_t)0;
    uint64_t before;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_BYTES);
    // No signal at its end: the program's own SIGCHLD and wait(2) do not see it.
    pid_t child = (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
    if (child == 0) hold(sorted, count, ends[0]);
    int saved = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_BYTES);
    close(ends[0]);
    if (child < 0) close(ends[1]);
    *release = ends[1];
    errno = saved;
    return child;
}

int cprefork_reap_holder(pid_t child) {
    siginfo_t info = {.si_pid = 0};
    int answer;
    do {
        answer = (int)syscall(SYS_waitid, P_PID, child, &info, WEXITED | WNOHANG | __WALL, NULL);
    } while (answer < 0 && errno == EINTR);
    return answer < 0 || info.si_pid == child;
}
