// What the programs in C share: keys, clocks, processes that do the same for a while, figures as a line of JSON.
// Include it first: it asks for GNU's names.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// A step is so many operations: the clock is read once per step.
enum { KEYS = 1000, STEP = 250, KEY_BYTES = 12, WORDS = 8, VALUE_BYTES = 8 * WORDS, MAXIMUM_PROCESSES = 128 };

static char keys[KEYS][KEY_BYTES + 1], counters[KEYS][KEY_BYTES + 1];

static inline void fail(const char *what) {
    perror(what);
    _exit(70);
}

static inline void *shared_memory(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    return memory;
}

static inline void make_keys(void) {
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "key:%08d", i);
        snprintf(counters[i], sizeof counters[i], "sum:%08d", i);
    }
}

static inline double seconds_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline double now(void) { return seconds_of(CLOCK_MONOTONIC); }

static inline void sleep_until(double instant) {
    struct timespec time = {(time_t)instant, (long)((instant - (double)(time_t)instant) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0) {}
}

/// Eight copies of one word, so that a torn value is seen.
static inline void fill(uint64_t value[WORDS], uint64_t word) {
    for (int i = 0; i < WORDS; i++) value[i] = word;
}

static inline void check(const uint64_t value[WORDS], long bytes) {
    if (bytes == VALUE_BYTES && value[0] == value[WORDS - 1]) return;
    fprintf(stderr, "not the value that was set: %ld bytes\n", bytes);
    _exit(70);
}

static inline int compare(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static inline double *room_for(int count) {
    double *seconds = malloc(sizeof *seconds * (size_t)(count > 0 ? count : 1));
    if (!seconds) fail("malloc");
    return seconds;
}

/// Sorts.
static inline double median(double *seconds, int count) {
    qsort(seconds, (size_t)count, sizeof *seconds, compare);
    return seconds[count / 2];
}

static inline void report_latencies(double *seconds, int count) {
    double middle = median(seconds, count);
    printf("{\"median_us\": %f, \"p99_us\": %f, \"max_us\": %f}\n", middle * 1e6, seconds[count * 99 / 100] * 1e6,
           seconds[count - 1] * 1e6);
}

/// What a process does: `begin` once (may be NULL), then `step` on STEP keys from `first` on, again and again.
struct job {
    void (*begin)(void);
    void (*step)(int first, uint64_t round);
    /// Steps each second; 0: as many as it can.
    double pace;
};

struct figures {
    double operations, seconds, processor_seconds;
};

static inline struct figures repeat(const struct job *job, int process, double start, double seconds) {
    struct figures figures = {0};
    if (job->begin) job->begin();
    job->step(0, 0);
    sleep_until(start);
    // A process that comes late measures its own time.
    double begun = now(), processor = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t round = (uint64_t)process + 1;
    do {
        if (job->pace > 0) sleep_until(begun + figures.operations / STEP / job->pace);
        job->step((int)(round % (KEYS / STEP)) * STEP, round);
        round++;
        figures.operations += STEP;
        figures.seconds = now() - begun;
    } while (figures.seconds < seconds);
    figures.processor_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - processor;
    return figures;
}

/// Forks a process for each job; their figures are in `figures` afterwards, which must be shared memory.
static inline void run_jobs(const struct job *const *jobs, int count, double seconds, struct figures *figures) {
    double start = now() + 0.02;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0) fail("fork");
        if (pid == 0) {
            figures[i] = repeat(jobs[i], i, start, seconds);
            _exit(0);
        }
    }
    for (int i = 0; i < count; i++) {
        int status;
        if (wait(&status) < 0 || status != 0) fail("a process");
    }
}

/// Time and processor time of an operation in one process, and operations of all together.
static inline void report(const struct figures *figures, int count) {
    double rate = 0, nanoseconds = 0, processor = 0;
    for (int i = 0; i < count; i++) {
        rate += figures[i].operations / figures[i].seconds;
        nanoseconds += figures[i].seconds / figures[i].operations * 1e9 / count;
        processor += figures[i].processor_seconds / figures[i].operations * 1e9 / count;
    }
    printf("{\"ns\": %f, \"cpu_ns\": %f, \"mops\": %f}\n", nanoseconds, processor, rate / 1e6);
}

/// `count` processes with one job each, and one more with `beside`, which is not counted (NULL: none).
/// Returns how many operations the counted ones did, `begin` and warming up not among them.
static inline double measure(const struct job *job, int count, const struct job *beside, double seconds) {
    const struct job *jobs[MAXIMUM_PROCESSES];
    struct figures *figures = shared_memory(sizeof *figures * MAXIMUM_PROCESSES);
    if (count < 1 || count >= MAXIMUM_PROCESSES) _exit(64);
    for (int i = 0; i < count; i++) jobs[i] = job;
    jobs[count] = beside;
    run_jobs(jobs, count + (beside != NULL), seconds, figures);
    report(figures, count);
    double operations = 0;
    for (int i = 0; i < count; i++) operations += figures[i].operations;
    return operations;
}
