// The attack as a whole: which parts a seed draws, how long it lasts, how the process ends.
#define _GNU_SOURCE
#include "dice.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int64_t now_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void hostile_die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

static void sleep_until(int64_t instant) {
    struct timespec time = {instant / 1000000000, instant % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0) {}
}

/// Whatever the attack waits for in the kernel: the process is gone 300 ms after its deadline.
static void *end_late(void *deadline) {
    sleep_until((int64_t)(intptr_t)deadline + 300000000);
    kill(getpid(), SIGKILL);
    return NULL;
}

static void rounds(const struct hostile_plan *plan, uint32_t kinds, struct dice *dice, int64_t end) {
    struct descriptors all;
    find_descriptors(&all);
    while (now_nanoseconds() < end) {
        uint32_t kind = 1u << below(dice, 7);
        switch (kinds & kind) {
        case HOSTILE_WORDS: scribble(plan, dice); break;
        case HOSTILE_FLAGS: flip_flags(plan, &all, dice); break;
        case HOSTILE_TRAFFIC: push_and_pull(&all, dice); break;
        case HOSTILE_PASSING: pass_sockets(&all, dice); break;
        case HOSTILE_FILES: spoil_files(&all, dice); break;
        case HOSTILE_LISTENERS: spoil_listeners(&all, dice); break;
        case HOSTILE_RIGHTS: try_rights(plan, dice); break;
        default: continue;
        }
        if (chance(dice, 50)) usleep((useconds_t)below(dice, 3000));
    }
}

/// Copies that no supervisor knows: they stay until the deadline, and end by their own timer.
static void fork_stayers(const struct hostile_plan *plan, uint32_t kinds, struct dice *dice) {
    size_t count = 1 + below(dice, 3);
    for (size_t number = 0; number < count; number++) {
        uint64_t seed = roll(dice);
        if (fork() != 0) continue;
        if (chance(dice, 50)) setsid();
        if (fork() != 0) _exit(0);
        prctl(PR_SET_PDEATHSIG, 0);
        int64_t left = plan->deadline + 400000000 - now_nanoseconds();
        if (left <= 0) _exit(0);
        struct itimerval timer = {.it_value = {left / 1000000000, left % 1000000000 / 1000 + 1}};
        signal(SIGALRM, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setitimer(ITIMER_REAL, &timer, NULL);
        struct dice own = {seed};
        rounds(plan, kinds & ~(uint32_t)HOSTILE_RIGHTS, &own, plan->deadline + 300000000);
        _exit(0);
    }
}

/// Stops the process. Hang detection ends a worker. A managed process has a child that continues it.
static void stop_self(const struct hostile_plan *plan) {
    if (!plan->is_worker) {
        pid_t stopped = getpid();
        if (fork() == 0) {
            usleep(200000);
            kill(stopped, SIGCONT);
            _exit(0);
        }
    }
    kill(getpid(), SIGSTOP);
}

static void end(const struct hostile_plan *plan, uint32_t kinds, struct dice *dice) {
    sigset_t crash;
    if (kinds & HOSTILE_DEATH) {
        switch (below(dice, 8)) {
        case 0: case 1: kill(getpid(), SIGKILL); break;
        case 2:
            // The thread of a worker was started with every signal blocked.
            signal(SIGSEGV, SIG_DFL);
            sigemptyset(&crash);
            sigaddset(&crash, SIGSEGV);
            pthread_sigmask(SIG_UNBLOCK, &crash, NULL);
            raise(SIGSEGV);
            break;
        case 3: abort();
        // A worker says with code 0 that it is done, and its slot stays empty. A managed process would be gone for good.
        case 4: _exit(plan->is_worker && chance(dice, 25) ? 0 : 1 + (int)below(dice, 255));
        case 5: stop_self(plan); break;
        case 6: // Deaf until it is killed.
            signal(SIGTERM, SIG_IGN);
            signal(SIGINT, SIG_IGN);
            sleep_until(plan->deadline);
            break;
        default:
            for (int number = 0; number < 512; number++) close(number);
            sleep_until(plan->deadline);
        }
    }
    kill(getpid(), SIGKILL);
}

void hostile_attack(const struct hostile_plan *plan) {
    struct dice dice = {plan->seed};
    uint32_t kinds = 0;
    // Two or three kinds at a time: what one does must not always hide what another would have done.
    for (int draw = 0; draw < 3; draw++) kinds |= 1u << below(&dice, 7);
    if (chance(&dice, 60)) kinds |= HOSTILE_WORDS;
    if (chance(&dice, 30)) kinds |= HOSTILE_FORKS;
    if (chance(&dice, 80)) kinds |= HOSTILE_DEATH;
    if (chance(&dice, 20)) kinds |= HOSTILE_TRACED;
    if (chance(&dice, 20)) kinds |= HOSTILE_CHILDREN;
    kinds &= plan->kinds;
    // The next life of the process under the same order does the same kinds of things, but not the same things.
    dice.state ^= (uint64_t)getpid() << 32;
    int64_t now = now_nanoseconds();
    if (plan->deadline <= now) return;
    pthread_t thread;
    pthread_create(&thread, NULL, end_late, (void *)(intptr_t)plan->deadline);
    // What others show of a process must not reach a terminal or a log as it is.
    if (chance(&dice, 30)) prctl(PR_SET_NAME, chance(&dice, 50) ? "\x1b[2J\nroot: x" : "\r\xff\xc3 } 1\n\x07");
    if (kinds & HOSTILE_FORKS) fork_stayers(plan, kinds, &dice);
    if (kinds & HOSTILE_CHILDREN) hostile_leave_children(1 + (int)below(&dice, 100));
    if (kinds & HOSTILE_TRACED) hostile_be_traced(chance(&dice, 50), plan->deadline);
    int64_t length = 5000000 + (int64_t)below(&dice, 300000000);
    int64_t last = now + length < plan->deadline ? now + length : plan->deadline;
    if (kinds & 0x7F) rounds(plan, kinds, &dice, last); else sleep_until(last);
    end(plan, kinds, &dice);
}
