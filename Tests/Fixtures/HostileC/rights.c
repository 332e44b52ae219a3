// Calls that the kernel must refuse a process that has given up its rights. Each success is a finding.
#define _GNU_SOURCE
#include "dice.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

void tell(const struct hostile_plan *plan, const char *what) {
    char path[512], line[512];
    snprintf(path, sizeof path, "%s/tell/%d", plan->folder, (int)getpid());
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) return;
    int length = snprintf(line, sizeof line, "%s: %s\n", plan->is_worker ? "worker" : "managed process", what);
    if (write(file, line, (size_t)length) < 0) {}
    close(file);
}

static void try_signals(const struct hostile_plan *plan, pid_t pid, const char *whose, struct dice *dice) {
    static const int signals[] = {0, SIGTERM, SIGKILL, SIGSTOP, SIGUSR2, SIGIO, SIGCHLD};
    int signal = signals[below(dice, sizeof signals / sizeof *signals)];
    char what[128];
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool is_sent = kill(pid, signal) == 0;
    is_sent |= pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0;
    if (is_sent) {
        snprintf(what, sizeof what, "signal %d to %s", signal, whose);
        tell(plan, what);
    }
    int stolen = pidfd >= 0 ? (int)syscall(SYS_pidfd_getfd, pidfd, 0, 0) : -1;
    if (stolen >= 0) {
        snprintf(what, sizeof what, "a descriptor was taken from %s", whose);
        tell(plan, what);
        close(stolen);
    }
    if (pidfd >= 0) close(pidfd);
}

static void try_memory(const struct hostile_plan *plan) {
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)plan->supervisor);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file >= 0) {
        tell(plan, "the supervisor's memory was opened");
        close(file);
    }
    struct iovec own = {&byte, 1}, other = {(void *)tell, 1};
    if (process_vm_readv(plan->supervisor, &own, 1, &other, 1, 0) == 1) tell(plan, "the supervisor's memory was read");
    if (ptrace(PTRACE_SEIZE, plan->supervisor, NULL, NULL) == 0) {
        tell(plan, "the supervisor could be traced");
        ptrace(PTRACE_DETACH, plan->supervisor, NULL, NULL);
    }
    struct rlimit limit;
    if (prlimit(plan->supervisor, RLIMIT_NOFILE, NULL, &limit) == 0
        && prlimit(plan->supervisor, RLIMIT_NOFILE, &limit, NULL) == 0)
        tell(plan, "the supervisor's limits could be set");
}

static void try_paths(const struct hostile_plan *plan) {
    static const char *const names[] = {"log", "pid", "pid.lock", "control", "canary", "hostile-pool", "order"};
    char path[512], what[640];
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        snprintf(path, sizeof path, "%s/%s", plan->folder, names[index]);
        int file = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
        if (file >= 0 || rename(path, path) == 0) {
            // rename(2) of a file onto itself changes nothing. The kernel still checks the folder's rights.
            snprintf(what, sizeof what, "%s could be %s", names[index], file >= 0 ? "written" : "renamed");
            if (file >= 0) tell(plan, what);
        }
        if (file >= 0) close(file);
    }
    snprintf(path, sizeof path, "%s/pid.lock", plan->folder);
    int lock = open(path, O_RDONLY | O_CLOEXEC);
    if (lock >= 0) {
        tell(plan, "the pid file's lock could be opened");
        close(lock);
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control", plan->folder);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client >= 0 && connect(client, (void *)&address, sizeof address) == 0) tell(plan, "the control socket was connected to");
    if (client >= 0) close(client);
}

/// What the kernel does to a whole process group or session comes to the supervisor, too, if it is in it.
static void try_session(const struct hostile_plan *plan) {
    if (getsid(0) == getsid(plan->supervisor)) tell(plan, "it is in the supervisor's session");
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal >= 0) {
        tell(plan, "it has a terminal");
        close(terminal);
    }
    if (hostile_orphan_group(getpgid(plan->supervisor), 1) > 0) tell(plan, "the supervisor's process group was joined");
}

void try_rights(const struct hostile_plan *plan, struct dice *dice) {
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0) tell(plan, "it became root again");
    try_signals(plan, plan->supervisor, "the supervisor", dice);
    try_signals(plan, plan->witness, "a process of root", dice);
    try_memory(plan);
    try_paths(plan);
    try_read_only_memory(plan);
    try_session(plan);
}

bool hostile_drop_rights(const struct hostile_plan *plan) {
    if (geteuid() != 0 && getuid() != 0) return true;
    tell(plan, "it still has root's rights");
    return setgroups(0, NULL) == 0 && setresgid(plan->user, plan->user, plan->user) == 0
        && setresuid(plan->user, plan->user, plan->user) == 0;
}

void hostile_limit_self(void) {
    struct rlimit none = {0, 0}, file = {8 << 20, 8 << 20}, descriptors = {512, 512}, time = {20, 20};
    struct rlimit processes = {400, 400}, memory = {(rlim_t)4 << 30, (rlim_t)4 << 30};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_FSIZE, &file);
    setrlimit(RLIMIT_NOFILE, &descriptors);
    setrlimit(RLIMIT_CPU, &time);
    setrlimit(RLIMIT_NPROC, &processes);
    setrlimit(RLIMIT_AS, &memory);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}
