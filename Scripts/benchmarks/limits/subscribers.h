// What the publishing programs in C share: subscribers that are asleep when a message comes, and how long it takes.
#include "processes.h"

#include <sched.h>
#include <signal.h>

static pid_t subscribers[MAXIMUM_PROCESSES];
static int subscriber_count;
/// How many messages all subscribers have received together, in shared memory.
static unsigned *received;

static void end_subscribers(void) {
    for (int i = 0; i < subscriber_count; i++) kill(subscribers[i], SIGKILL);
    while (wait(NULL) > 0) {}
}

/// They are killed when this process exits.
static void start_subscribers(int count, void (*subscribe)(int index)) {
    if (count >= MAXIMUM_PROCESSES) exit(64);
    atexit(end_subscribers);
    for (; subscriber_count < count; subscriber_count++) {
        pid_t pid = fork();
        if (pid < 0) fail("fork");
        if (pid == 0) subscribe(subscriber_count);
        subscribers[subscriber_count] = pid;
    }
}

static void note_received(void) { __atomic_add_fetch(received, 1, __ATOMIC_RELAXED); }

static void wait_for_received(unsigned count) {
    double deadline = now() + 10;
    while (__atomic_load_n(received, __ATOMIC_RELAXED) < count) {
        if (now() > deadline) {
            fprintf(stderr, "messages are missing\n");
            exit(70);
        }
        sched_yield();
    }
}

/// So many times: `publish` when all subscribers have had time to fall asleep; its own time, and the time until the
/// last one has the message.
static void measure_wakes(int count, void (*publish)(void)) {
    double *calls = room_for(count), *deliveries = room_for(count);
    unsigned expected = *received;
    for (int i = 0; i < count; i++) {
        usleep(1000 + 20 * (useconds_t)subscriber_count);
        double start = now();
        publish();
        calls[i] = now() - start;
        wait_for_received(expected += (unsigned)subscriber_count);
        deliveries[i] = now() - start;
    }
    printf("{\"publish_us\": %f, \"delivered_us\": %f}\n", median(calls, count) * 1e6, median(deliveries, count) * 1e6);
}
