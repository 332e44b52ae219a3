#define _GNU_SOURCE
#include "cprefork_host.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

static pid_t wait_for(idtype_t type, id_t id, int options, uid_t *user) {
    siginfo_t info;
    memset(&info, 0, sizeof info);  // waitid(2) leaves si_pid alone when nobody has ended
    int answer;
    do {
        // __WALL (Linux 4.7 for waitid): also children that were cloned with another exit signal.
        answer = waitid(type, id, &info, WEXITED | WNOHANG | __WALL | options);
    } while (answer < 0 && errno == EINTR);
    if (user != NULL) *user = info.si_uid;
    return answer < 0 ? -1 : info.si_pid;
}

pid_t cprefork_peek_ended_child(pid_t pid, uid_t *user) {
    return wait_for(pid == 0 ? P_ALL : P_PID, (id_t)pid, WNOWAIT, user);
}

pid_t cprefork_collect_child(pid_t pid) { return wait_for(P_PID, (id_t)pid, 0, NULL); }
