// A worker's own profiler: timer_create(2) with CLOCK_PROCESS_CPUTIME_ID, and a handler that walks frame pointers.
//
// An idle process takes no samples and is not woken. The kernel looks at the timer at its own ticks (CONFIG_HZ), and
// sends the signal to the thread that runs (Linux 6.4; before, to the main thread, whose stack is sampled then).
#define _GNU_SOURCE
#include "cprefork_profile.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "frame_walk.h"

static uint64_t *_Atomic lanes;
static uint32_t lane_count;
/// The process that the handler was installed in. A process that it forks takes no orders.
static pid_t owner;

/// Only the handler touches these, one thread at a time (`is_busy`).
static uint64_t *lane;
static bool has_timer;
static int timer;  // the kernel's timer_t is an int
static struct timespec end;
static atomic_bool is_busy;

static void put(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

static void stop(void) {
    if (has_timer) syscall(SYS_timer_delete, timer);
    has_timer = false;
}

/// Raw calls: glibc's timer_create may allocate.
static void start(int number, struct cprefork_profile_order order) {
    stop();
    lane = atomic_load(&lanes) + (size_t)order.lane * CPREFORK_PROFILE_LANE_WORDS;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += order.seconds;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = number;
    long period = 1000000000L / order.rate;
    struct timespec tick = {.tv_sec = period / 1000000000L, .tv_nsec = period % 1000000000L};
    struct itimerspec time = {.it_interval = tick, .it_value = tick};
    if (syscall(SYS_timer_create, CLOCK_PROCESS_CPUTIME_ID, &event, &timer) < 0) {
        put(lane + CPREFORK_PROFILE_REFUSED, (uint64_t)errno);
        return;
    }
    has_timer = true;
    if (syscall(SYS_timer_settime, timer, 0, &time, NULL) < 0) {
        put(lane + CPREFORK_PROFILE_REFUSED, (uint64_t)errno);
        stop();
    }
}

static void obey(int number, uint32_t value) {
    struct cprefork_profile_order order = {
        .lane = value & 0xFF, .rate = value >> 8 & 0x3FF, .seconds = value >> 18 & 0xFFF};
    if (order.rate == 0 || order.lane >= lane_count) stop();
    else start(number, order);
}

static void sample(int overrun, const void *context) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec)) return stop();
    uint64_t written = __atomic_load_n(lane + CPREFORK_PROFILE_WRITTEN, __ATOMIC_RELAXED);
    uint64_t *words = lane + CPREFORK_PROFILE_SAMPLE_WORDS * (1 + written % CPREFORK_PROFILE_SAMPLES);
    struct cprefork_registers at = cprefork_registers_of(context);
    put(words + CPREFORK_PROFILE_WEIGHT, (uint64_t)(overrun > 0 ? overrun : 0) + 1);
    put(words + CPREFORK_PROFILE_COUNT,
        (uint64_t)cprefork_walk_frames(&at, words + CPREFORK_PROFILE_FIRST_FRAME, CPREFORK_PROFILE_FRAMES));
    __atomic_store_n(lane + CPREFORK_PROFILE_WRITTEN, written + 1, __ATOMIC_RELEASE);
}

/// Runs in any thread, at any instant: stores, raw system calls and clock_gettime(3), which is async-signal-safe.
static void on_signal(int number, siginfo_t *info, void *context) {
    int saved = errno;
    // si_pid is the kernel's word for a signal that another process has queued.
    bool is_order = info->si_code == SI_QUEUE && info->si_pid == getppid();
    bool is_mine = owner == getpid() && (is_order || info->si_code == SI_TIMER);
    // A sample of two threads at a time is one too many. An order waits for the other thread's sample.
    while (is_mine && atomic_exchange(&is_busy, true)) {
        if (!is_order) return;
        sched_yield();
    }
    if (is_mine) {
        if (is_order) obey(number, (uint32_t)info->si_value.sival_int);
        else if (has_timer) sample(info->si_overrun, context);
        atomic_store(&is_busy, false);
    }
    errno = saved;
}

int cprefork_install_profile(int signal, uint64_t *words, uint32_t count) {
    lane_count = count;
    owner = getpid();
    has_timer = false;
    atomic_store(&lanes, words);
    struct sigaction ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&ours.sa_mask);
    return sigaction(signal, &ours, NULL);
}

int cprefork_send_profile_order(pid_t pid, int signal, struct cprefork_profile_order order) {
    uint32_t value = (order.lane & 0xFF) | (order.rate & 0x3FF) << 8 | (order.seconds & 0xFFF) << 18;
    union sigval word = {.sival_int = (int)value};
    return sigqueue(pid, signal, word);
}
