#define _GNU_SOURCE
#include "stepping.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

void stepping_begin(void) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
}

int stepping_wait(pid_t child) {
    int status;
    return waitpid(child, &status, 0) == child && WIFSTOPPED(status) ? 0 : -1;
}

long stepping_run(pid_t child, long count) {
    for (long done = 0; done < count; done++) {
        int status;
        if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) != 0) return done;
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return done;
    }
    return count;
}

void stepping_kill(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
}

void stepping_release(pid_t child) { ptrace(PTRACE_DETACH, child, 0, 0); }
