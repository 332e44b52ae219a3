// A preloaded library that makes processes wait a random time beside their system calls (cc -shared -fPIC -ldl), as a
// busy machine does, but everywhere: an order of events that only mostly holds shows itself. `Scripts/test --delays`.
// What the C library calls within itself, posix_spawn for one, is not delayed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Of 1,000 looks so many wait, up to so many milliseconds each.
static long per_thousand, longest;
static uint64_t state;

__attribute__((constructor)) static void read_settings(void) {
    const char *share = getenv("DELAYS_PER_THOUSAND"), *time = getenv("DELAYS_LONGEST"), *seed = getenv("DELAYS_SEED");
    per_thousand = share ? atol(share) : 10;
    longest = time ? atol(time) : 50;
    state = seed ? strtoull(seed, NULL, 10) : 1;
}

// splitmix64. Threads that take the same number do no harm, nor does a child of fork: its number differs.
static uint64_t next(void) {
    uint64_t number = (state += 0x9E3779B97F4A7C15u) ^ ((uint64_t)getpid() << 32);
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9u;
    number = (number ^ (number >> 27)) * 0x94D049BB133111EBu;
    return number ^ (number >> 31);
}

static void delay(void) {
    uint64_t number = next();
    if (longest < 1 || (long)(number % 1000) >= per_thousand) return;
    uint64_t microseconds = (number >> 20) % ((uint64_t)longest * 1000);
    struct timespec time = {microseconds / 1000000, microseconds % 1000000 * 1000};
    int error = errno;
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    errno = error;
}

#define DELAYED(type, name, parameters, arguments) \
    type name parameters { \
        static type(*own) parameters; \
        if (!own) own = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        delay(); \
        type result = own arguments; \
        delay(); \
        return result; \
    }

DELAYED(ssize_t, read, (int fd, void *to, size_t count), (fd, to, count))
DELAYED(ssize_t, readv, (int fd, const struct iovec *to, int count), (fd, to, count))
DELAYED(ssize_t, write, (int fd, const void *from, size_t count), (fd, from, count))
DELAYED(ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count))
DELAYED(ssize_t, send, (int fd, const void *from, size_t count, int flags), (fd, from, count, flags))
DELAYED(ssize_t, recv, (int fd, void *to, size_t count, int flags), (fd, to, count, flags))
DELAYED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
DELAYED(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
DELAYED(int, connect, (int fd, const struct sockaddr *to, socklen_t count), (fd, to, count))
DELAYED(int, accept4, (int fd, struct sockaddr *from, socklen_t *count, int flags), (fd, from, count, flags))
DELAYED(int, close, (int fd), (fd))
DELAYED(int, unlink, (const char *path), (path))
DELAYED(int, rename, (const char *from, const char *to), (from, to))
DELAYED(int, kill, (pid_t pid, int number), (pid, number))
DELAYED(pid_t, fork, (void), ())
DELAYED(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags))
DELAYED(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int flags), (type, id, info, flags))
DELAYED(int, poll, (struct pollfd *fds, nfds_t count, int time), (fds, count, time))
DELAYED(int, epoll_wait, (int fd, struct epoll_event *events, int count, int time), (fd, events, count, time))

// Calls that the sources make by number; a clone must return at once.
long syscall(long number, ...) {
    static long (*own)(long, ...);
    if (!own) own = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_list list;
    va_start(list, number);
    long a[6];
    for (int index = 0; index < 6; index++) a[index] = va_arg(list, long);
    va_end(list);
    int is_delayed = number == SYS_epoll_pwait2 || number == SYS_pidfd_send_signal || number == SYS_pidfd_open;
    if (is_delayed) delay();
    long result = own(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (is_delayed) delay();
    return result;
}
