// The accept queue of a listening TCP socket, by sock_diag(7).
//
// TCP_INFO would say it, too, but getsockopt(2) takes the socket's lock, which a process that shares the socket can
// hold for as long as it likes (setsockopt(2) with memory that pages in slowly). Reading the kernel's tables takes no
// lock.
#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int ask(int netlink, int family) {
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } request = {
        .head = {.nlmsg_len = sizeof request,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1 << TCP_LISTEN},
    };
    return send(netlink, &request, sizeof request, MSG_DONTWAIT) == sizeof request ? 0 : -1;
}

/// Returns 1 when it was found, 0 when there is more to read, -1 and errno at the end and on failure.
static int look(struct nlmsghdr *message, unsigned left, ino_t inode, uint32_t *waiting, uint32_t *limit) {
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == NLMSG_ERROR) {
            errno = EPROTO;
            if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
                errno = -((struct nlmsgerr *)NLMSG_DATA(message))->error;
            return -1;
        }
        if (message->nlmsg_type == NLMSG_DONE) {
            errno = ENOTCONN;
            return -1;
        }
        if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) continue;
        const struct inet_diag_msg *found = NLMSG_DATA(message);
        if (found->idiag_inode != (uint32_t)inode) continue;
        *waiting = found->idiag_rqueue;
        *limit = found->idiag_wqueue;
        return 1;
    }
    return 0;
}

/// The kernel makes each part of its answer before send(2) or the recv(2) of the part before returns: nothing waits.
static int take(int netlink, ino_t inode, uint32_t *waiting, uint32_t *limit) {
    // A part is at most 32 KiB (netlink_dump). A server does not have more listeners than fit into so many parts.
    static _Thread_local union {
        struct nlmsghdr head;
        char bytes[32768];
    } answer;
    for (int part = 0; part < 64; part++) {
        ssize_t count = recv(netlink, &answer, sizeof answer, MSG_DONTWAIT);
        if (count < 0) return -1;
        int result = look(&answer.head, (unsigned)count, inode, waiting, limit);
        if (result != 0) return result < 0 ? -1 : 0;
    }
    errno = E2BIG;
    return -1;
}

int cprefork_tcp_listen_queue(int listener, int family, uint32_t *waiting, uint32_t *limit) {
    struct stat status;
    if (fstat(listener, &status) < 0) return -1;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0) return -1;
    int result = ask(netlink, family);
    if (result == 0) result = take(netlink, status.st_ino, waiting, limit);
    int saved = errno;
    close(netlink);
    errno = saved;
    return result;
}
