// Binding a Unix socket with an exact mode and a name relative to a directory.
//
// The mode of the new file is the socket's own less the umask, and the name is relative to the working directory. Both
// belong to the whole process: changing them for the call would let all users open the new files of other threads. A
// child that shares memory and descriptors, but not these two (no CLONE_FS), makes the call instead.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cprefork_paths.h"
#include "kernel_numbers.h"

enum { SIGNAL_BYTES = 8, STACK_BYTES = 16 * 1024 };

struct order {
    int socket, directory;
    const void *address;
    uint32_t length;
    int error;
};

/// Runs in the parent's memory while the parent's thread waits: system calls only.
static int run(void *argument) {
    struct order *order = argument;
    syscall(SYS_umask, 0);
    long result = order->directory >= 0 ? syscall(SYS_fchdir, order->directory) : 0;
    if (result == 0) result = syscall(SYS_bind, order->socket, order->address, order->length);
    order->error = result == 0 ? 0 : errno;
    while (1) syscall(SYS_exit_group, 0);
}

int cprefork_bind_unix(int socket, int directory, const void *address, uint32_t length, mode_t mode) {
    // unix_bind (net/unix/af_unix.c) gives the file this mode: it is never open wider than asked for.
    if (fchmod(socket, mode) < 0) return -1;
    char stack[STACK_BYTES] __attribute__((aligned(16)));
    struct order order = {
        .socket = socket, .directory = directory, .address = address, .length = length, .error = ECHILD};
    const uint64_t all = ~(uint64_t)0;
    uint64_t before;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_BYTES);
    // No signal at its end: the program's own SIGCHLD and wait(2) do not see it.
    pid_t child = clone(run, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_FILES, &order);
    int error = child < 0 ? errno : order.error;
    if (child > 0) while (syscall(SYS_waitid, P_PID, child, NULL, WEXITED | __WALL, NULL) < 0 && errno == EINTR) {}
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_BYTES);
    errno = error;
    return error == 0 ? 0 : -1;
}
