// The Unix sockets of this network namespace and the files that they are bound to, by sock_diag(7).
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cprefork_paths.h"

/// The kernel's own form of a device number (MAJOR, MINOR in linux/kdev_t.h), which sock_diag shows as it is.
static uint32_t kernel_device(uint32_t major, uint32_t minor) { return major << 20 | (minor & 0xFFFFF); }

static bool is_of(struct nlmsghdr *head, uint32_t device, uint32_t inode) {
    if (head->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg))) return false;
    struct rtattr *attribute = (struct rtattr *)((struct unix_diag_msg *)NLMSG_DATA(head) + 1);
    unsigned left = head->nlmsg_len - NLMSG_LENGTH(sizeof(struct unix_diag_msg));
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
        if (attribute->rta_type != UNIX_DIAG_VFS) continue;
        struct unix_diag_vfs file;
        if (RTA_PAYLOAD(attribute) < sizeof file) return false;
        memcpy(&file, RTA_DATA(attribute), sizeof file);
        return file.udiag_vfs_dev == device && file.udiag_vfs_ino == inode;
    }
    return false;
}

static int find(int netlink, uint32_t device, uint32_t inode) {
    struct {
        struct nlmsghdr head;
        struct unix_diag_req body;
    } request = {
        .head = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = AF_UNIX, .udiag_states = -1, .udiag_show = UDIAG_SHOW_VFS},
    };
    if (send(netlink, &request, sizeof request, MSG_DONTWAIT) != sizeof request) return -1;
    union {
        struct nlmsghdr head;
        char bytes[16 * 1024];
    } answer;
    int result = 0;
    while (1) {
        // The kernel fills the queue again in each recv(2): nothing here waits.
        ssize_t count = recv(netlink, &answer, sizeof answer, MSG_DONTWAIT);
        if (count < 0) return -1;
        for (struct nlmsghdr *head = &answer.head; NLMSG_OK(head, (unsigned)count); head = NLMSG_NEXT(head, count)) {
            if (head->nlmsg_type == NLMSG_DONE) return result;
            if (head->nlmsg_type == NLMSG_ERROR) {
                errno = EPROTO;
                if (head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
                    errno = -((struct nlmsgerr *)NLMSG_DATA(head))->error;
                return -1;
            }
            if (is_of(head, device, inode)) result = 1;
        }
    }
}

int cprefork_is_bound(uint32_t major, uint32_t minor, uint64_t inode) {
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0) return -1;
    int result = find(netlink, kernel_device(major, minor), (uint32_t)inode);
    int saved = errno;
    close(netlink);
    errno = saved;
    return result;
}
