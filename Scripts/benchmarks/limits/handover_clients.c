// Clients that stay connected while a server is deployed, and count what they notice of it:
// handover_clients KIND PORT COUNT PROBES [PATH].
//
// KIND `websocket` sends a numbered message of 16 bytes each second on each connection, whole, in two fragments or in two
// pieces by turns, and takes its echo for lost, doubled, or the next one. KIND `http` asks on kept connections instead.
// PROBES of the connections send their next message 2 ms after the last answer: the longest time that one of them has
// waited is a pause. A connection that ends is opened again at once, as a page does it. The word `report` on standard
// input prints what has happened since the last one as a line of JSON, `cut N` resets so many connections, and `end` waits
// for the last answers and reports. `lost` is what had no answer when its connection ended, `missing` a gap between answers.
#include "processes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    MESSAGE = 16,
    PERIOD = 1000,
    PROBE_PAUSE = 2,
    RETRY = 100,
    ROOM = 1 << 16,
    PART = 2048,
    TIMES = 16,
    AT_ONCE = 256,
    EVENTS = 512,
    PATIENCE = 10
};

enum state { CLOSED, CONNECTING, GREETED, OPEN };

struct connection {
    int fd;
    enum state state;
    uint64_t sent, answered;
    double sent_at[TIMES], closed_at, pause, answered_at;
    /// The second half of a message that was sent in two.
    unsigned char rest[MESSAGE + 6];
    size_t rest_count, part_count;
    char part[PART];
};

static struct {
    long disconnects, resets, codes[8], refused, lost, missing, doubled, sent, answered;
} window;

/// Since all connections were last open.
static double first_close, last_open;

/// Seconds, in the order in which they came.
struct times {
    double *all;
    int count, room;
};

static struct times answers, absences;
static struct connection *connections;
static int *retries;
static int count, probes, epoll, port, is_http, open_count, under_way, retry_first, retry_count, has_all, is_ending;
static char greeting[512];

static void note(struct times *times, double seconds) {
    if (times->count == times->room) {
        times->room = times->room ? times->room * 2 : 1 << 16;
        times->all = realloc(times->all, sizeof(double) * (size_t)times->room);
        if (!times->all) fail("realloc");
    }
    times->all[times->count++] = seconds;
}

static void expect(struct connection *connection, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(connection - connections)};
    if (epoll_ctl(epoll, operation, connection->fd, &event)) fail("epoll_ctl");
}

/// Opens it. Ten thousand connections and their ends in TIME_WAIT need more ports than one address has.
static void open_(struct connection *connection) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}, from = {.sin_family = AF_INET};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)((connection - connections) & 7));
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection->fd < 0) fail("socket");
    setsockopt(connection->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(connection->fd, (struct sockaddr *)&from, sizeof from)) fail("bind");
    connection->state = CONNECTING;
    connection->part_count = connection->rest_count = 0;
    connection->answered = connection->sent;
    under_way++;
    if (connect(connection->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) fail("connect");
    expect(connection, EPOLLOUT, EPOLL_CTL_ADD);
}

static void try_later(struct connection *connection) {
    connection->answered_at = now() + RETRY / 1000.0;
    retries[(retry_first + retry_count++) % count] = (int)(connection - connections);
}

/// What was sent and has no answer is lost: its client cannot know more.
static void close_(struct connection *connection) {
    enum state before = connection->state;
    close(connection->fd);
    connection->state = CLOSED;
    if (before != OPEN) {
        under_way--;
        window.refused += !is_ending;
        return try_later(connection);
    }
    open_count--;
    if (is_ending) return;
    window.disconnects++;
    window.lost += (long)(connection->sent - connection->answered);
    connection->closed_at = now();
    if (first_close == 0) first_close = connection->closed_at;
    open_(connection);
}

static void send_(struct connection *connection, const void *bytes, size_t length) {
    if (send(connection->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) {
        window.resets++;
        close_(connection);
    }
}

/// A masked frame. Its mask is four zeros, which a server must apply as any other.
static size_t frame(unsigned char *bytes, int head, const void *payload, size_t length) {
    bytes[0] = (unsigned char)head;
    bytes[1] = (unsigned char)(0x80 | length);
    memset(bytes + 2, 0, 4);
    memcpy(bytes + 6, payload, length);
    return 6 + length;
}

static void send_rest(struct connection *connection) {
    size_t length = connection->rest_count;
    connection->rest_count = 0;
    if (!length || connection->state != OPEN) return;
    connection->sent_at[(connection->sent - 1) % TIMES] = now();
    send_(connection, connection->rest, length);
}

static void send_message(struct connection *connection) {
    uint64_t payload[2] = {(uint64_t)(connection - connections), connection->sent};
    unsigned char bytes[2 * (MESSAGE + 6)];
    size_t length = frame(bytes, 0x82, payload, MESSAGE);
    int way = connection - connections < probes ? 0 : (int)((connection - connections) % 4);
    if (way == 1) {
        // Two fragments.
        length = frame(bytes, 0x02, payload, 8);
        connection->rest_count = frame(connection->rest, 0x80, payload + 1, 8);
    } else if (way == 2) {
        // Two pieces of a frame.
        memcpy(connection->rest, bytes + 9, connection->rest_count = length - 9);
        length = 9;
    }
    send_(connection, bytes, length);
}

static void ask(struct connection *connection) {
    connection->sent_at[connection->sent % TIMES] = now();
    window.sent++;
    if (is_http) send_(connection, greeting, strlen(greeting));
    else send_message(connection);
    // Sent even if that has failed: then it was lost with the connection.
    if (connection->state == OPEN) connection->sent++;
    else window.lost++;
}

static void is_open(struct connection *connection) {
    connection->state = OPEN;
    under_way--;
    open_count++;
    connection->answered_at = last_open = now();
    if (connection->closed_at > 0) note(&absences, last_open - connection->closed_at);
    connection->closed_at = 0;
    if (open_count == count) has_all = 1;
}

static void answered(struct connection *connection, uint64_t number) {
    if (number < connection->answered) {
        window.doubled++;
        return;
    }
    window.missing += (long)(number - connection->answered);
    connection->answered_at = now();
    double seconds = connection->answered_at - connection->sent_at[number % TIMES];
    if (connection - connections < probes) {
        if (seconds > connection->pause) connection->pause = seconds;
    } else {
        note(&answers, seconds);
    }
    connection->answered = number + 1;
    window.answered++;
}

static void note_close(const unsigned char *frame, size_t length) {
    int code = length >= 2 ? frame[2] << 8 | frame[3] : 1005;
    window.codes[code >= 1000 && code <= 1014 ? (code == 1012 ? 7 : (code - 1000) & 7) : 6]++;
}

/// - Returns: how many bytes were taken, or -1 for the end.
static long take_frame(struct connection *connection, const unsigned char *bytes, size_t length) {
    if (length < 2) return 0;
    size_t payload = bytes[1] & 0x7F;
    if (payload > 125) return -1;
    if (length < 2 + payload) return 0;
    if (bytes[0] == 0x88) {
        note_close(bytes, payload);
        return -1;
    }
    if (bytes[0] == 0x89) {
        unsigned char pong[140];
        send_(connection, pong, frame(pong, 0x8A, bytes + 2, payload));
    } else if (bytes[0] == 0x82 && payload == MESSAGE) {
        uint64_t values[2];
        memcpy(values, bytes + 2, sizeof values);
        // Another connection's message is worse than none.
        if (values[0] != (uint64_t)(connection - connections)) window.doubled++;
        else answered(connection, values[1]);
    } else {
        return -1;
    }
    return (long)(2 + payload);
}

/// A response with a length. One that ends the connection is counted by code 0.
static long take_response(struct connection *connection, const char *bytes, size_t length) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    const char *field = memmem(bytes, (size_t)(end - bytes), "Content-Length: ", 16);
    if (!field) field = memmem(bytes, (size_t)(end - bytes), "content-length: ", 16);
    if (!field || memcmp(bytes, "HTTP/1.1 200", 12)) return -1;
    size_t whole = (size_t)(end - bytes) + 4 + (size_t)atol(field + 16);
    if (length < whole) return 0;
    answered(connection, connection->answered);
    if (memmem(bytes, (size_t)(end - bytes), "onnection: close", 16)) {
        window.codes[0]++;
        return -1;
    }
    return (long)whole;
}

static long take(struct connection *connection, const char *bytes, size_t length) {
    if (connection->state == OPEN && is_http) return take_response(connection, bytes, length);
    if (connection->state == OPEN) return take_frame(connection, (const unsigned char *)bytes, length);
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end) return 0;
    if (memcmp(bytes, "HTTP/1.1 101", 12)) return -1;
    is_open(connection);
    return end - bytes + 4;
}

static void receive(struct connection *connection) {
    static char bytes[PART + ROOM];
    memcpy(bytes, connection->part, connection->part_count);
    ssize_t received = recv(connection->fd, bytes + connection->part_count, ROOM, 0);
    if (received < 0 && errno == EAGAIN) return;
    if (received <= 0) {
        window.resets += received < 0 && connection->state == OPEN;
        return close_(connection);
    }
    size_t length = connection->part_count + (size_t)received, offset = 0;
    int fd = connection->fd;
    while (offset < length) {
        long taken = take(connection, bytes + offset, length - offset);
        // A send in it may have found the connection broken.
        if (connection->fd != fd || connection->state < GREETED) return;
        if (taken < 0) return close_(connection);
        if (taken == 0) break;
        offset += (size_t)taken;
    }
    connection->part_count = length - offset;
    if (connection->part_count > PART) return close_(connection);
    memcpy(connection->part, bytes + offset, connection->part_count);
}

static void greet(struct connection *connection) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return close_(connection);
    expect(connection, EPOLLIN | EPOLLRDHUP, EPOLL_CTL_MOD);
    if (is_http) return is_open(connection);
    connection->state = GREETED;
    send_(connection, greeting, strlen(greeting));
}

/// Each connection has its millisecond of the second, in which its message is sent, and half a second later the rest.
static void tick(long millisecond) {
    long first = millisecond % PERIOD, half = (millisecond + PERIOD / 2) % PERIOD;
    for (long at = first; at < count; at += PERIOD) {
        struct connection *connection = connections + at;
        if (connection->state == OPEN && at >= probes && has_all && !is_ending) ask(connection);
    }
    for (long at = half; at < count; at += PERIOD) send_rest(connections + at);
    double instant = now();
    for (int at = 0; at < probes && has_all && !is_ending; at++) {
        struct connection *connection = connections + at;
        int is_due = connection->sent == connection->answered && instant - connection->answered_at > PROBE_PAUSE / 1000.0;
        if (connection->state == OPEN && is_due) ask(connection);
    }
    while (retry_count && connections[retries[retry_first]].answered_at <= instant) {
        int at = retries[retry_first];
        retry_first = (retry_first + 1) % count;
        retry_count--;
        if (!is_ending) open_(connections + at);
    }
}

static void print(const char *name, struct times *times) {
    double empty = 0, *all = times->count ? times->all : &empty;
    int number = times->count ? times->count : 1;
    qsort(all, (size_t)number, sizeof *all, compare);
    printf("\"%s\": {\"count\": %d, \"median\": %.6f, \"p99\": %.6f, \"max\": %.6f}, ", name, times->count, all[number / 2],
           all[(long)number * 99 / 100], all[number - 1]);
    times->count = 0;
}

static void print_codes(void) {
    // By the order of `note_close`.
    const char *names[] = {"1000", "1001", "1002", "1003", "1004", "1005", "other", "1012"};
    printf("\"codes\": {");
    for (int at = 0, is_next = 0; at < 8; at++) {
        if (!window.codes[at]) continue;
        printf("%s\"%s\": %ld", is_next ? ", " : "", is_http && at == 0 ? "close" : names[at], window.codes[at]);
        is_next = 1;
    }
    printf("}");
}

static void report_window(void) {
    struct times pauses = {0};
    long waiting = 0;
    for (int at = 0; at < count; at++) {
        if (at < probes) {
            note(&pauses, connections[at].pause);
            connections[at].pause = 0;
        }
        if (connections[at].state == OPEN) waiting += (long)(connections[at].sent - connections[at].answered);
    }
    double back = first_close == 0 || open_count < count ? 0 : last_open - first_close;
    printf("{\"open\": %d, \"disconnects\": %ld, \"resets\": %ld, \"refused\": %ld, \"lost\": %ld, ", open_count,
           window.disconnects, window.resets, window.refused, window.lost);
    printf("\"missing\": %ld, \"doubled\": %ld, ", window.missing, window.doubled);
    printf("\"sent\": %ld, \"answered\": %ld, \"waiting\": %ld, \"back\": %.6f, ", window.sent, window.answered, waiting,
           back);
    print("answers", &answers);
    print("absences", &absences);
    print("pauses", &pauses);
    print_codes();
    printf("}\n");
    fflush(stdout);
    free(pauses.all);
    memset(&window, 0, sizeof window);
    if (open_count == count) first_close = 0;
}

/// Resets some connections, as a client does that crashes, and opens them again.
static void cut(int number) {
    struct linger at_once = {.l_onoff = 1};
    while (number-- > 0) {
        struct connection *connection = connections + rand() % count;
        if (connection->state != OPEN) continue;
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(connection->fd);
        open_count--;
        open_(connection);
    }
    printf("{}\n");
    fflush(stdout);
}

/// - Returns: false at the end.
static int obey(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char word[32];
    if (poll(&input, 1, 0) <= 0) return 1;
    if (!fgets(word, sizeof word, stdin)) return 0;
    if (strcmp(word, "end\n") == 0) is_ending = 1;
    else if (strncmp(word, "cut ", 4) == 0) cut(atoi(word + 4));
    else report_window();
    return 1;
}

static int is_waiting(void) {
    for (int at = 0; at < count; at++) {
        if (connections[at].rest_count) return 1;
        if (connections[at].state == OPEN && connections[at].sent != connections[at].answered) return 1;
    }
    return 0;
}

static void handle(double seconds) {
    struct epoll_event events[EVENTS];
    int number = epoll_wait(epoll, events, EVENTS, (int)(seconds * 1000));
    for (int at = 0; at < number; at++) {
        struct connection *connection = connections + events[at].data.u32;
        if (connection->state == CLOSED) continue;
        if (connection->state == CONNECTING) greet(connection);
        else receive(connection);
    }
}

static void run(void) {
    int opened = 0;
    double begin = now(), ended = 0;
    for (long millisecond = 0;;) {
        while (opened < count && under_way < AT_ONCE) open_(connections + opened++);
        handle(0.001);
        double instant = now();
        for (long until = (long)((instant - begin) * 1000); millisecond < until; millisecond++) tick(millisecond);
        if (!is_ending && !obey()) return;
        if (is_ending && ended == 0) ended = instant;
        if (is_ending && (!is_waiting() || instant > ended + PATIENCE)) return report_window();
    }
}

int main(int words, char **word) {
    if (words < 5) fail("usage: handover_clients KIND PORT COUNT PROBES [PATH]");
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    is_http = strcmp(word[1], "http") == 0;
    port = atoi(word[2]);
    count = atoi(word[3]);
    probes = atoi(word[4]);
    const char *path = words > 5 ? word[5] : "/";
    const char *upgrade = is_http ? ""
                                  : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    snprintf(greeting, sizeof greeting, "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", path, upgrade);
    connections = calloc((size_t)count, sizeof *connections);
    retries = calloc((size_t)count, sizeof *retries);
    epoll = epoll_create1(0);
    if (!connections || !retries || epoll < 0 || count < 1 || probes > count) fail("no clients");
    run();
    return 0;
}
