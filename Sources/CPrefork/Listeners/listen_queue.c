// The accept queue of a listening Unix socket, by sock_diag(7): it has no TCP_INFO, and SIOCINQ and SIOCOUTQ refuse
// listening sockets (net/unix/af_unix.c).
#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int ask(int netlink, ino_t inode) {
    struct {
        struct nlmsghdr head;
        struct unix_diag_req body;
    } request = {
        .head = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = AF_UNIX,
                 .udiag_states = -1,
                 .udiag_ino = (uint32_t)inode,
                 .udiag_show = UDIAG_SHOW_RQLEN,
                 .udiag_cookie = {(uint32_t)-1, (uint32_t)-1}},
    };
    return send(netlink, &request, sizeof request, MSG_DONTWAIT) == sizeof request ? 0 : -1;
}

/// The kernel has answered before send(2) returned: nothing here waits.
static int take(int netlink, uint32_t *waiting, uint32_t *limit) {
    union {
        struct nlmsghdr head;
        char bytes[1024];
    } answer;
    ssize_t count = recv(netlink, &answer, sizeof answer, MSG_DONTWAIT);
    if (count < 0) return -1;
    errno = EPROTO;
    if (!NLMSG_OK(&answer.head, (unsigned)count)) return -1;
    if (answer.head.nlmsg_type == NLMSG_ERROR) {
        if (answer.head.nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
            errno = -((struct nlmsgerr *)NLMSG_DATA(&answer.head))->error;
        return -1;
    }
    if (answer.head.nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) return -1;
    struct rtattr *attribute = (struct rtattr *)((struct unix_diag_msg *)NLMSG_DATA(&answer.head) + 1);
    unsigned left = answer.head.nlmsg_len - NLMSG_LENGTH(sizeof(struct unix_diag_msg));
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type != UNIX_DIAG_RQLEN) continue;
        if (RTA_PAYLOAD(attribute) < sizeof(struct unix_diag_rqlen)) return -1;
        struct unix_diag_rqlen lengths;
        memcpy(&lengths, RTA_DATA(attribute), sizeof lengths);
        *waiting = lengths.udiag_rqueue;
        *limit = lengths.udiag_wqueue;
        return 0;
    }
    return -1;
}

int cprefork_unix_listen_queue(int listener, uint32_t *waiting, uint32_t *limit) {
    struct stat status;
    if (fstat(listener, &status) < 0) return -1;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0) return -1;
    int result = ask(netlink, status.st_ino);
    if (result == 0) result = take(netlink, waiting, limit);
    int saved = errno;
    close(netlink);
    errno = saved;
    return result;
}
