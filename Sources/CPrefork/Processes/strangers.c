#define _GNU_SOURCE
#include "cprefork_host.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_once(idtype_t type, id_t id, int options, siginfo_t *info) {
    memset(info, 0, sizeof *info);  // < waitid(2) leaves si_pid alone if no child has ended
    int answer;
    do {
        // __WALL (Linux 4.7 for waitid): also children that were cloned with another exit signal.
        answer = waitid(type, id, info, WNOHANG | __WALL | options);
    } while (answer < 0 && errno == EINTR);
    return answer;
}

static pid_t wait_for(idtype_t type, id_t id, int options, uid_t *user) {
    // A child can have its parent trace it (PTRACE_TRACEME), and a wait for ends then reports its stops. These reports
    // are consumed, because they would hide the ends of others. Each process reports one stop, and no tracer continues
    // it.
    const int most_stops = 64;
    siginfo_t info;
    for (int stops = 0; stops < most_stops; stops++) {
        if (wait_once(type, id, WEXITED | options, &info) < 0) return -1;
        if (user != NULL) *user = info.si_uid;
        if (info.si_pid == 0 || info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED)
            return info.si_pid;
        siginfo_t stop;
        if (options & WNOWAIT) wait_once(P_PID, (id_t)info.si_pid, WSTOPPED, &stop);
    }
    return 0;
}

pid_t cprefork_peek_ended_child(pid_t pid, uid_t *user) {
    return wait_for(pid == 0 ? P_ALL : P_PID, (id_t)pid, WNOWAIT, user);
}

int cprefork_end_group_of_killed_child(pid_t pid) {
    siginfo_t info;
    if (wait_once(P_PID, (id_t)pid, WEXITED | WNOWAIT, &info) < 0) return 0;
    if (info.si_pid != pid || info.si_code != CLD_KILLED || info.si_status != SIGKILL) return 0;
    // Both are those of the dead until it is collected, and so is the number.
    if (getpgid(pid) != pid || getsid(pid) == pid) return 0;
    return kill(-pid, SIGKILL) == 0;
}

pid_t cprefork_collect_child(pid_t pid) { return wait_for(P_PID, (id_t)pid, 0, NULL); }
