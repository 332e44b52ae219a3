// What C can do, as the limit for the publishing rows: a log in shared memory, and an eventfd for each subscriber.
// publish PROCESSES SECONDS: nobody to wake; wake SUBSCRIBERS COUNT.
#include "subscribers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

enum { RECORDS = 8192 };

struct record {
    uint64_t number, channel;
    uint64_t value[WORDS];
};

/// `committed`: how many records there are; the last RECORDS of them can be read. `reserved` runs ahead of it while one
/// is being written, so that a reader knows that it is overtaken.
struct log {
    pthread_mutex_t lock;
    _Atomic uint64_t reserved __attribute__((aligned(64))), committed;
    _Atomic uint32_t asleep[MAXIMUM_PROCESSES] __attribute__((aligned(64)));
    struct record records[RECORDS];
};

static struct log *news;
static int doorbells[MAXIMUM_PROCESSES];

static void make_log(void) {
    news = shared_memory(sizeof *news);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&news->lock, &attributes);
}

static void append(const uint64_t value[WORDS]) {
    int error = pthread_mutex_lock(&news->lock);
    uint64_t number = atomic_load_explicit(&news->committed, memory_order_relaxed);
    // A record that a dead publisher has not committed is written over.
    if (error == EOWNERDEAD) pthread_mutex_consistent(&news->lock);
    else if (error != 0) abort();
    atomic_store_explicit(&news->reserved, number + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    struct record *record = &news->records[number % RECORDS];
    record->number = number;
    record->channel = 1;
    memcpy(record->value, value, VALUE_BYTES);
    // Sequentially consistent, as the look at who sleeps: one of the two sides sees the other.
    atomic_store(&news->committed, number + 1);
    pthread_mutex_unlock(&news->lock);
}

static void publish(void) {
    uint64_t value[WORDS], one = 1;
    fill(value, 7);
    append(value);
    for (int i = 0; i < subscriber_count; i++) {
        if (atomic_load(&news->asleep[i]) == 0 || atomic_exchange(&news->asleep[i], 0) == 0) continue;
        if (write(doorbells[i], &one, sizeof one) != sizeof one) fail("eventfd");
    }
}

static void publish_step(int first, uint64_t round) {
    (void)round;
    for (int i = first; i < first + STEP; i++) publish();
}

/// Reads what there is; returns the new cursor. The rows let nobody be overtaken.
static uint64_t read_log(uint64_t cursor) {
    while (cursor < atomic_load(&news->committed)) {
        uint64_t value[WORDS];
        memcpy(value, news->records[cursor % RECORDS].value, VALUE_BYTES);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&news->reserved, memory_order_relaxed) - cursor > RECORDS) _exit(70);
        check(value, VALUE_BYTES);
        cursor++;
        note_received();
    }
    return cursor;
}

static void subscribe(int index) {
    uint64_t cursor = 0, rings;
    note_received();
    for (;;) {
        cursor = read_log(cursor);
        atomic_store(&news->asleep[index], 1);
        if (cursor < atomic_load(&news->committed)) continue;
        if (read(doorbells[index], &rings, sizeof rings) != sizeof rings) _exit(70);
    }
}

static void wake(int subscribers, int count) {
    received = shared_memory(sizeof *received);
    for (int i = 0; i < subscribers; i++) doorbells[i] = eventfd(0, EFD_CLOEXEC);
    start_subscribers(subscribers, subscribe);
    wait_for_received((unsigned)subscribers);
    measure_wakes(count, publish);
}

int main(int count, char **words) {
    struct job job = {NULL, publish_step, 0};
    if (count != 4) return 64;
    make_log();
    if (strcmp(words[1], "publish") == 0) measure(&job, atoi(words[2]), NULL, atof(words[3]));
    else if (strcmp(words[1], "wake") == 0) wake(atoi(words[2]), atoi(words[3]));
    else return 64;
    return 0;
}
