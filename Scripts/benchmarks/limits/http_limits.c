// Hello World over HTTP with nothing but the system calls: what no server with epoll can be faster than. serve PORT
#include "processes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, ROOM = 1 << 14 };

// The bytes that the bare loop of http-measurement sends.
static const char answer[] = "HTTP/1.1 200 OK\r\nDate: Tue, 01 Dec 2026 00:00:00 GMT\r\n"
                             "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 11\r\n\r\nHello World";
static const char last[] = "close\r\n\r\n";

static void watch(int epoll, int socket, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = socket};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event)) fail("epoll_ctl");
}

/// One read and one write. A request that is there in part would be answered twice: the load sends whole ones.
static void serve_one(int socket) {
    static char input[ROOM];
    ssize_t length = recv(socket, input, sizeof input, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN) return;
    if (length <= 0) {
        close(socket);
        return;
    }
    send(socket, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    size_t ending = sizeof last - 1;
    if ((size_t)length > ending && !memcmp(input + length - ending, last, ending)) close(socket);
}

int main(int count, char **words) {
    if (count < 3 || strcmp(words[1], "serve")) fail("usage: serve PORT");
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[2]))};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 1024)) fail("listen");
    watch(epoll, listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) serve_one(events[i].data.fd);
            else watch(epoll, accept4(listener, NULL, NULL, SOCK_NONBLOCK), EPOLLIN | EPOLLET | EPOLLRDHUP);
        }
    }
}
