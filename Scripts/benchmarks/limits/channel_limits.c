// What C can do, as the limit for the channel's rows: messages between two processes through a socket pair or pipes.
// seqpacket | stream | pipe, then round-trip COUNT PAUSE_US | one-way BYTES SECONDS.
#include "processes.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>

/// One side of a connection of two processes. A packet socket keeps the limits of messages, the others do not.
struct side {
    int reading, writing;
    bool packets;
};

static void connect_sides(const char *transport, struct side *here, struct side *there) {
    int one[2], two[2];
    here->packets = there->packets = strcmp(transport, "seqpacket") == 0;
    if (strcmp(transport, "pipe") == 0) {
        if (pipe(one) || pipe(two)) fail("pipe");
        fcntl(one[1], F_SETPIPE_SZ, 1 << 20);
        fcntl(two[1], F_SETPIPE_SZ, 1 << 20);
        here->reading = one[0], there->writing = one[1];
        there->reading = two[0], here->writing = two[1];
    } else {
        if (socketpair(AF_UNIX, here->packets ? SOCK_SEQPACKET : SOCK_STREAM, 0, one)) fail("socketpair");
        here->reading = here->writing = one[0];
        there->reading = there->writing = one[1];
    }
}

static void close_side(struct side side) {
    close(side.reading);
    if (side.writing != side.reading) close(side.writing);
}

static void send_message(struct side side, const char *message, size_t bytes) {
    for (size_t sent = 0; sent < bytes;) {
        ssize_t count = write(side.writing, message + sent, bytes - sent);
        if (count <= 0) fail("write");
        sent += (size_t)count;
    }
}

/// False at the end.
static bool receive_message(struct side side, char *buffer, size_t bytes) {
    size_t received = 0;
    while (received < bytes) {
        ssize_t count = read(side.reading, buffer + received, bytes - received);
        if (count < 0) fail("read");
        if (count == 0) return false;
        received += (size_t)count;
        if (side.packets && received != bytes) fail("a packet of another size");
    }
    return true;
}

/// 64 bytes there and back. With a pause before each, both sides are surely asleep when a message comes.
static void round_trips(const char *transport, int count, int pause) {
    struct side here, there;
    char message[64] = {0};
    double *seconds = room_for(count);
    connect_sides(transport, &here, &there);
    if (fork() == 0) {
        close_side(here);
        while (receive_message(there, message, sizeof message)) send_message(there, message, sizeof message);
        _exit(0);
    }
    close_side(there);
    for (int i = -10; i < count; i++) {
        if (pause) usleep((useconds_t)pause);
        double start = now();
        send_message(here, message, sizeof message);
        if (!receive_message(here, message, sizeof message)) fail("the other process");
        if (i >= 0) seconds[i] = now() - start;
    }
    close_side(here);
    wait(NULL);
    report_latencies(seconds, count);
}

static void send_for(struct side side, size_t bytes, double seconds) {
    char *message = malloc(bytes);
    uint64_t number = 0;
    memset(message, 1, bytes);
    for (double start = now(); number % 64 != 0 || now() - start < seconds; number++) {
        memcpy(message, &number, sizeof number);
        send_message(side, message, bytes);
    }
    close_side(side);
    _exit(0);
}

/// A reader of small messages from a stream takes as many as there are.
static double receive_all(struct side side, size_t bytes) {
    size_t room = side.packets || bytes > 65536 ? bytes : 65536 / bytes * bytes;
    char *buffer = malloc(room);
    double total = 0;
    for (;;) {
        ssize_t count = read(side.reading, buffer, room);
        if (count < 0) fail("read");
        if (count == 0) break;
        total += (double)count;
    }
    free(buffer);
    return total;
}

/// From the first message to the end.
static void one_way(const char *transport, size_t bytes, double seconds) {
    struct side here, there;
    connect_sides(transport, &here, &there);
    pid_t pid = fork();
    if (pid == 0) {
        close_side(here);
        send_for(there, bytes, seconds);
    }
    close_side(there);
    char *first = malloc(bytes);
    if (!receive_message(here, first, bytes)) fail("the sender");
    double start = now(), total = receive_all(here, bytes), elapsed = now() - start;
    free(first);
    int status;
    if (waitpid(pid, &status, 0) < 0 || status != 0) fail("the sender");
    printf("{\"messages_per_s\": %f, \"gb_per_s\": %f}\n", total / (double)bytes / elapsed, total / elapsed / 1e9);
}

int main(int count, char **words) {
    if (count == 5 && strcmp(words[2], "round-trip") == 0) round_trips(words[1], atoi(words[3]), atoi(words[4]));
    else if (count == 5 && strcmp(words[2], "one-way") == 0) one_way(words[1], (size_t)atol(words[3]), atof(words[4]));
    else return 64;
    return 0;
}
