// Every flag and option of every descriptor, and everything that can be written to it or read from it.
#define _GNU_SOURCE
#include "dice.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

void find_descriptors(struct descriptors *found) {
    found->count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder)) && found->count < MOST_DESCRIPTORS;) {
        int number = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && number != dirfd(folder)) found->numbers[found->count++] = number;
    }
    closedir(folder);
}

static bool is_kind(int number, mode_t kind) {
    struct stat status;
    return fstat(number, &status) == 0 && (status.st_mode & S_IFMT) == kind;
}

static void spoil_options(int number, struct dice *dice) {
    struct timeval time = {(time_t)below(dice, 5), 1000};
    struct linger linger = {1, 5};
    int sizes[] = {0, 1, 4096, 1 << 20, -1};
    int size = sizes[below(dice, 5)];
    switch (below(dice, 7)) {
    case 0: setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time); break;
    case 1: setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time); break;
    case 2: setsockopt(number, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); break;
    case 3: setsockopt(number, SOL_SOCKET, SO_RCVBUF, &size, sizeof size); break;
    case 4: setsockopt(number, SOL_SOCKET, SO_LINGER, &linger, sizeof linger); break;
    case 5: setsockopt(number, SOL_SOCKET, SO_RCVLOWAT, &size, sizeof size); break;
    default: setsockopt(number, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)); break;
    }
}

void flip_flags(const struct hostile_plan *plan, const struct descriptors *all, struct dice *dice) {
    static const int flags[] = {0, O_NONBLOCK, O_ASYNC, O_ASYNC | O_NONBLOCK, O_APPEND, O_DIRECT, O_DIRECT | O_NONBLOCK};
    for (int index = 0; index < all->count; index++) {
        int number = all->numbers[index];
        switch (below(dice, 8)) {
        // A blocking open file is what hurts most: half of the draws.
        case 0: case 1: case 2: fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK); break;
        case 3: fcntl(number, F_SETFL, flags[below(dice, sizeof flags / sizeof *flags)]); break;
        case 4:
            // SIGIO with the number of a signal that ends: the kernel must look at whose wish that was.
            fcntl(number, F_SETOWN, chance(dice, 50) ? plan->supervisor : plan->witness);
            fcntl(number, F_SETSIG, 1 + (int)below(dice, 64));
            fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_ASYNC);
            break;
        case 5: fcntl(number, F_SETPIPE_SZ, chance(dice, 50) ? 4096 : 1 << 18); break;
        case 6: spoil_options(number, dice); break;
        default: ioctl(number, chance(dice, 50) ? FIONBIO : FIOASYNC, &(int){(int)below(dice, 2)}); break;
        }
    }
}

/// Never waits, whatever the open file's flags are: the process has other things to do before its deadline.
static void write_without_waiting(int number, const void *bytes, size_t count) {
    if (is_kind(number, S_IFSOCK)) {
        send(number, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (!is_kind(number, S_IFREG)) {
        int flags = fcntl(number, F_GETFL);
        if (!(flags & O_NONBLOCK)) fcntl(number, F_SETFL, flags | O_NONBLOCK);
        if (write(number, bytes, count) < 0) return;
    }
}

void push_and_pull(const struct descriptors *all, struct dice *dice) {
    static __thread unsigned char bytes[1 << 16];
    for (size_t index = 0; index < sizeof bytes; index += 8) *(uint64_t *)(bytes + index) = roll(dice);
    for (int index = 0; index < all->count; index++) {
        int number = all->numbers[index];
        switch (below(dice, 6)) {
        case 0: // Full.
            for (int round = 0; round < 16; round++) write_without_waiting(number, bytes, sizeof bytes);
            // An eventfd that holds the most: the next writer would wait.
            write_without_waiting(number, &(uint64_t){UINT64_MAX - 1}, 8);
            break;
        case 1: write_without_waiting(number, bytes, 1 + below(dice, 64)); break;
        case 2: // A bell that does not stop.
            for (size_t rings = below(dice, 5000); rings > 0; rings--) write_without_waiting(number, &(uint64_t){1}, 8);
            break;
        case 3: case 4: // Empty.
            for (int round = 0; round < 16; round++) {
                if (is_kind(number, S_IFSOCK)) {
                    if (recv(number, bytes, sizeof bytes, MSG_DONTWAIT) <= 0) break;
                } else {
                    if (is_kind(number, S_IFREG)) break;
                    fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK);
                    if (read(number, bytes, sizeof bytes) <= 0) break;
                }
            }
            break;
        default: {
            int listens = 0;
            socklen_t size = sizeof listens;
            getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
            // Listeners have a part of their own.
            if (!listens) shutdown(number, (int)below(dice, 3));
        }
        }
        if (chance(dice, 60)) fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK);
    }
}

/// A connected TCP socket whose closing waits: unsent bytes, SO_LINGER, a peer that does not read.
static int lingering_socket(int seconds, int *peer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    static const char bytes[1 << 16];
    if (listener >= 0 && client >= 0 && bind(listener, (void *)&address, sizeof address) == 0
        && listen(listener, 1) == 0 && getsockname(listener, (void *)&address, &size) == 0
        && (connect(client, (void *)&address, sizeof address) == 0 || errno == EINPROGRESS)) {
        // The accepted end stays open, and goes with the process.
        *peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        for (int round = 0; round < 64 && send(client, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0; round++) {}
        struct linger linger = {1, seconds};
        setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(listener);
    return client;
}

static void pass(const struct descriptors *all, struct dice *dice, int passed) {
    for (int index = 0; index < all->count; index++) {
        if (!is_kind(all->numbers[index], S_IFSOCK)) continue;
        unsigned char bytes[16];
        for (size_t at = 0; at < sizeof bytes; at++) bytes[at] = (unsigned char)roll(dice);
        struct iovec vector = {bytes, 1 + below(dice, sizeof bytes)};
        union {
            struct cmsghdr head;
            char room[CMSG_SPACE(4 * sizeof(int))];
        } control = {0};
        int count = 1 + (int)below(dice, 4);
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control};
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        for (int at = 0; at < count; at++) memcpy(CMSG_DATA(&control.head) + at * (int)sizeof(int), &passed, sizeof(int));
        for (int round = 0; round < 8; round++) {
            if (sendmsg(all->numbers[index], &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) break;
        }
    }
}

void pass_sockets(const struct descriptors *all, struct dice *dice) {
    int peer;
    int passed = lingering_socket(5, &peer);
    if (passed < 0) return;
    pass(all, dice, passed);
    // The receivers must have the last reference: the process that closes it waits. If no process took one, this
    // process waits itself, until `end_late`.
    if (chance(dice, 80)) close(passed);
}

pid_t hostile_leave_lingering(int seconds) {
    struct descriptors all;
    find_descriptors(&all);
    int peer = -1;
    int passed = lingering_socket(seconds, &peer);
    if (passed < 0 || peer < 0) return -1;
    pid_t keeper = fork();
    if (keeper == 0) {
        for (int number = 0; number < 1024; number++) {
            if (number != peer) close(number);
        }
        signal(SIGALRM, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        alarm((unsigned)seconds);
        while (1) pause();
    }
    close(peer);
    struct dice dice = {1};
    pass(&all, &dice, passed);
    close(passed);
    return keeper;
}
