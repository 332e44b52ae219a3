// A WebSocket echo with nothing but the system calls, and the client that loads it and its peers.
// serve PORT | load PORT CONNECTIONS MESSAGES SECONDS: frames of 64 bytes, so many in flight on each connection.
#include "processes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { PAYLOAD = 64, MASKED = PAYLOAD + 6, PLAIN = PAYLOAD + 2, EVENTS = 256, ROOM = 1 << 16, MOST = 64 };

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nC";

static struct sockaddr_in address(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch(int epoll, int socket, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = socket};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event)) fail("epoll_ctl");
}

/// Sends the masked frames of `input` back without their masks. A frame that is there in part ends the program: the load
/// sends whole ones.
static void echo(int socket, const unsigned char *input, size_t count) {
    unsigned char output[ROOM];
    size_t length = 0;
    for (const unsigned char *frame = input; frame < input + count; frame += MASKED) {
        output[length++] = frame[0];
        output[length++] = PAYLOAD;
        for (int i = 0; i < PAYLOAD; i++) output[length++] = frame[6 + i] ^ frame[2 + (i & 3)];
    }
    if (count % MASKED || send(socket, output, length, MSG_NOSIGNAL) != (ssize_t)length) fail("echo");
}

static void greet(int socket, const unsigned char *input, size_t count) {
    if (memmem(input, count, "Upgrade: ", 9)) {
        send(socket, answer, sizeof answer - 1, MSG_NOSIGNAL);
    } else {
        send(socket, page, sizeof page - 1, MSG_NOSIGNAL);
        shutdown(socket, SHUT_WR);
    }
}

static void serve(const char *port) {
    struct sockaddr_in place = address(port);
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) || listen(listener, 1024)) fail("listen");
    watch(epoll, listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            unsigned char input[ROOM];
            int socket = events[i].data.fd;
            if (socket == listener) {
                watch(epoll, accept4(listener, NULL, NULL, SOCK_NONBLOCK), EPOLLIN | EPOLLET | EPOLLRDHUP);
                continue;
            }
            ssize_t length = recv(socket, input, sizeof input, MSG_DONTWAIT);
            if (length < 0 && errno == EAGAIN) continue;
            if (length <= 0) close(socket);
            else if (input[0] == 'G') greet(socket, input, (size_t)length);
            else echo(socket, input, (size_t)length);
        }
    }
}

/// A socket whose handshake is done.
static int opened(const char *port) {
    struct sockaddr_in place = address(port);
    int socket_ = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    char head[4096];
    size_t length = 0;
    if (connect(socket_, (struct sockaddr *)&place, sizeof place)) fail("connect");
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (write(socket_, request, sizeof request - 1) < 0) fail("write");
    while (length < 4 || memcmp(head + length - 4, "\r\n\r\n", 4)) {
        ssize_t count = read(socket_, head + length, sizeof head - length);
        if (count <= 0) fail("handshake");
        length += (size_t)count;
    }
    if (memcmp(head, "HTTP/1.1 101", 12)) fail("handshake");
    return socket_;
}

static void load(const char *port, int connections, size_t messages, double seconds) {
    static unsigned char frames[MOST * MASKED];
    static size_t received[1 << 16];
    if (messages < 1 || messages > MOST) fail("messages");
    for (size_t at = 0; at < sizeof frames; at++) {
        const unsigned char head[6] = {0x82, 0x80 | PAYLOAD, 1, 2, 3, 4};
        size_t place = at % MASKED;
        frames[at] = place < 6 ? head[place] : (unsigned char)('a' ^ head[2 + ((place - 6) & 3)]);
    }
    int epoll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        int socket = opened(port);
        watch(epoll, socket, EPOLLIN);
        if (send(socket, frames, messages * MASKED, MSG_NOSIGNAL) < 0) fail("send");
    }
    double start = seconds_of(CLOCK_MONOTONIC), now;
    long total = 0;
    while ((now = seconds_of(CLOCK_MONOTONIC)) < start + seconds) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < count; i++) {
            unsigned char input[ROOM];
            int socket = events[i].data.fd;
            ssize_t length = recv(socket, input, sizeof input, MSG_DONTWAIT);
            if (length <= 0) fail("recv");
            received[socket] += (size_t)length;
            size_t complete = received[socket] / PLAIN;
            received[socket] %= PLAIN;
            total += (long)complete;
            if (complete && send(socket, frames, complete * MASKED, MSG_NOSIGNAL) < 0) fail("send");
        }
    }
    printf("{\"messages_per_s\": %.0f, \"messages\": %ld}\n", (double)total / (now - start), total);
}

int main(int count, char **words) {
    if (count == 3 && strcmp(words[1], "serve") == 0) serve(words[2]);
    if (count != 6 || strcmp(words[1], "load")) fail("usage: serve PORT | load PORT CONNECTIONS MESSAGES SECONDS");
    load(words[2], atoi(words[3]), (size_t)atoi(words[4]), atof(words[5]));
    return 0;
}
