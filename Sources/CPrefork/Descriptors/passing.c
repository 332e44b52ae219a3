#define _GNU_SOURCE
#include "cprefork_passing.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int cprefork_packet_pair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

int cprefork_refuse_descriptors(int socket) {
    const int pass_rights = 83;  // SO_PASSRIGHTS of asm-generic/socket.h, the number of all architectures with Swift
    const int off = 0;
    return setsockopt(socket, SOL_SOCKET, pass_rights, &off, sizeof off);
}

union control {
    struct cmsghdr header;  // for its alignment
    char bytes[CMSG_SPACE(CPREFORK_PASSING_LIMIT * sizeof(int))];
};

ssize_t cprefork_send_passing(
    int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count) {
    union control control;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor_count > 0) {
        size_t size = (size_t)descriptor_count * sizeof(int);
        memset(&control, 0, CMSG_SPACE(size));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), descriptors, size);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t receive(
    int socket, void *bytes, size_t capacity, int *descriptors, int *descriptor_count, int *is_truncated, int flags) {
    union control control;
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *descriptor_count = 0;
    *is_truncated = 0;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | flags);
    if (received < 0) return received;
    *is_truncated = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    // The control buffer has room for CPREFORK_PASSING_LIMIT descriptors, in however many headers.
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t size = header->cmsg_len - CMSG_LEN(0);
        memcpy(descriptors + *descriptor_count, CMSG_DATA(header), size);
        *descriptor_count += (int)(size / sizeof(int));
    }
    return received;
}

ssize_t cprefork_receive_passing(
    int socket, void *bytes, size_t capacity, int *descriptors, int *descriptor_count, int *is_truncated) {
    return receive(socket, bytes, capacity, descriptors, descriptor_count, is_truncated, 0);
}

ssize_t cprefork_copy_passing(
    int socket, void *bytes, size_t capacity, int *descriptors, int *descriptor_count, int *is_truncated) {
    return receive(socket, bytes, capacity, descriptors, descriptor_count, is_truncated, MSG_PEEK);
}

int cprefork_set_peek_offset(int socket, int offset) {
    return setsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset);
}

static int option(int socket, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

int cprefork_is_packet_socket(int fd) {
    return option(fd, SO_DOMAIN) == AF_UNIX && option(fd, SO_TYPE) == SOCK_SEQPACKET && option(fd, SO_ACCEPTCONN) == 0;
}

static __thread void *luggage[2] __attribute__((tls_model("initial-exec")));

void *cprefork_luggage(int arriving) { return luggage[arriving != 0]; }

void cprefork_set_luggage(int arriving, void *place) { luggage[arriving != 0] = place; }

int cprefork_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }

uint64_t cprefork_forks = 1;

static void count_fork(void) { cprefork_forks++; }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }
