// The output of a child that has fewer privileges than its reader: a Unix stream socket, which is peeked before it is
// read.
#define _GNU_SOURCE
#include <sys/socket.h>
#include <unistd.h>

#include "cprefork_passing.h"

int cprefork_output_pair(int ends[2], int bytes) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return -1;
    const int on = 1;
    // Otherwise read(2) skips a byte sent with MSG_OOB, unseen, together with the descriptors sent with it.
    setsockopt(ends[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
    // Linux 6.16. Before, cprefork_peek is what finds them.
    cprefork_refuse_descriptors(ends[0]);
    // The reader says nothing.
    shutdown(ends[0], SHUT_WR);
    // Above net.core.wmem_max only for CAP_NET_ADMIN. Other processes get at most net.core.wmem_max.
    if (setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return 0;
}

ssize_t cprefork_peek(int socket, void *bytes, size_t capacity, int *has_files) {
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t count = recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT);
    *has_files = count >= 0 && (message.msg_flags & MSG_CTRUNC) != 0;
    return count;
}
