// The options of a TCP listener that a process without privileges can change, and that accepted connections inherit or
// that decide which connections it gets: socket(7), ip(7), ipv6(7), tcp(7).
#define _GNU_SOURCE
#include "cprefork_host.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

// What older headers lack.
enum { BIND_TO_INTERFACE = 62, BUFFER_LOCK = 72, UNICAST_INTERFACE_6 = 76, MIN_HOP_COUNT = 73, TX_DELAY = 37 };

/// In this order they are restored: a buffer's size locks it, which the lock's own value takes back.
static const struct {
    int level;
    int name;
} options[CPREFORK_LISTENER_OPTIONS] = {
    {SOL_SOCKET, BIND_TO_INTERFACE},
    {SOL_SOCKET, SO_SNDBUF},
    {SOL_SOCKET, SO_RCVBUF},
    {SOL_SOCKET, BUFFER_LOCK},
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_DONTROUTE},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_INCOMING_CPU},
    {SOL_SOCKET, SO_MAX_PACING_RATE},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_MINTTL},
    {IPPROTO_IP, IP_MTU_DISCOVER},
    {IPPROTO_IP, IP_UNICAST_IF},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_IPV6, MIN_HOP_COUNT},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    {IPPROTO_IPV6, UNICAST_INTERFACE_6},
    {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_MAXSEG},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_LINGER2},
    {IPPROTO_TCP, TCP_SYNCNT},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TX_DELAY},
};

static int value_of(int fd, int index) {
    int value = 0;
    socklen_t size = sizeof value;
    if (getsockopt(fd, options[index].level, options[index].name, &value, &size) < 0) return INT_MIN;
    return size == sizeof value ? value : INT_MIN;
}

static void set(int fd, int index, int value) {
    (void)setsockopt(fd, options[index].level, options[index].name, &value, sizeof value);
}

void cprefork_note_listener_options(int fd, int32_t *values) {
    for (int index = 0; index < CPREFORK_LISTENER_OPTIONS; index++) values[index] = value_of(fd, index);
}

static void restore(int fd, int index, int noted) {
    int level = options[index].level;
    int name = options[index].name;
    // The kernel reports both sizes as twice the set value.
    if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF)) noted /= 2;
    // The kernel's own choice has no value that can be set.
    const int default_segment = 536;
    if (level == IPPROTO_TCP && name == TCP_MAXSEG && noted == default_segment) noted = 0;
    if (level == IPPROTO_TCP && name == TCP_WINDOW_CLAMP && noted == 0) noted = INT_MAX;
    set(fd, index, noted);
}

void cprefork_restore_listener_options(int fd, const int32_t *values) {
    for (int index = 0; index < CPREFORK_LISTENER_OPTIONS; index++) {
        if (values[index] != INT_MIN && value_of(fd, index) != values[index]) restore(fd, index, values[index]);
    }
    // Source routes and the like.
    unsigned char route[40];
    socklen_t size = sizeof route;
    if (getsockopt(fd, IPPROTO_IP, IP_OPTIONS, route, &size) == 0 && size > 0) {
        (void)setsockopt(fd, IPPROTO_IP, IP_OPTIONS, NULL, 0);
    }
}
