// The rows by Redis on a Unix socket, through hiredis: SOCKET get | set | increment | publish PROCESSES
// SECONDS, or SOCKET wake SUBSCRIBERS COUNT. Single commands: each waits for its answer.
#include "../limits/subscribers.h"

#include <hiredis/hiredis.h>

static const char *path;
static redisContext *server;

static void begin(void) {
    server = redisConnectUnix(path);
    if (server && !server->err) return;
    fprintf(stderr, "redis: %s\n", server ? server->errstr : "no memory");
    _exit(70);
}

static redisReply *call(int count, const char **words, const size_t *bytes) {
    redisReply *reply = redisCommandArgv(server, count, words, bytes);
    if (reply && reply->type != REDIS_REPLY_ERROR) return reply;
    fprintf(stderr, "redis: %s\n", reply ? reply->str : server->errstr);
    _exit(70);
}

static void get_step(int first, uint64_t round) {
    (void)round;
    uint64_t value[WORDS];
    for (int i = first; i < first + STEP; i++) {
        redisReply *reply = call(2, (const char *[]){"GET", keys[i]}, (const size_t[]){3, KEY_BYTES});
        if (reply->len == VALUE_BYTES) memcpy(value, reply->str, VALUE_BYTES);
        check(value, (long)reply->len);
        freeReplyObject(reply);
    }
}

static void set_step(int first, uint64_t round) {
    uint64_t value[WORDS];
    for (int i = first; i < first + STEP; i++) {
        fill(value, round + (uint64_t)i);
        const char *words[] = {"SET", keys[i], (const char *)value};
        freeReplyObject(call(3, words, (const size_t[]){3, KEY_BYTES, VALUE_BYTES}));
    }
}

static void increment_step(int first, uint64_t round) {
    (void)round;
    for (int i = first; i < first + STEP; i++) {
        redisReply *reply = call(2, (const char *[]){"INCR", counters[i]}, (const size_t[]){4, KEY_BYTES});
        if (reply->type != REDIS_REPLY_INTEGER) fail("INCR");
        freeReplyObject(reply);
    }
}

static const char *publish_words[] = {"PUBLISH", "news",
                                      "64 bytes: ......................................................"};
static const size_t publish_bytes[] = {7, 4, VALUE_BYTES};

static void publish(void) { freeReplyObject(call(3, publish_words, publish_bytes)); }

static void publish_step(int first, uint64_t round) {
    (void)round;
    for (int i = first; i < first + STEP; i++) publish();
}

/// Counts the answer to SUBSCRIBE, too: then it is there.
static void subscribe(int index) {
    (void)index;
    begin();
    void *reply = call(2, (const char *[]){"SUBSCRIBE", "news"}, (const size_t[]){9, 4});
    for (;;) {
        freeReplyObject(reply);
        note_received();
        if (redisGetReply(server, &reply) != REDIS_OK) _exit(70);
    }
}

static void wake(int subscribers, int count) {
    received = shared_memory(sizeof *received);
    start_subscribers(subscribers, subscribe);
    wait_for_received((unsigned)subscribers);
    begin();
    measure_wakes(count, publish);
}

static void fill_server(void) {
    begin();
    for (int first = 0; first < KEYS; first += STEP) set_step(first, 0);
    redisFree(server);
}

int main(int count, char **words) {
    struct job job = {begin, NULL, 0};
    if (count != 5) return 64;
    path = words[1];
    if (strcmp(words[2], "wake") == 0) {
        wake(atoi(words[3]), atoi(words[4]));
        return 0;
    }
    if (strcmp(words[2], "get") == 0) job.step = get_step;
    else if (strcmp(words[2], "set") == 0) job.step = set_step;
    else if (strcmp(words[2], "increment") == 0) job.step = increment_step;
    else if (strcmp(words[2], "publish") == 0) job.step = publish_step;
    else return 64;
    make_keys();
    fill_server();
    measure(&job, atoi(words[3]), NULL, atof(words[4]));
    return 0;
}
