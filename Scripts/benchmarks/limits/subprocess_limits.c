// What C can do, as the limit for the subprocess rows: the same arguments and figures as subprocess-peers.
// posix-spawn | vfork COUNT AT_ONCE RESIDENT_MB; drain CHILDREN BYTES; lines PATH BYTES; echo COUNT.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static void report(double *seconds, int count, double total) {
    qsort(seconds, (size_t)count, sizeof *seconds, compare);
    printf("{\"median_us\": %f, \"p99_us\": %f, \"mean_us\": %f}\n", seconds[count / 2] * 1e6,
           seconds[count * 99 / 100] * 1e6, total / count * 1e6);
}

static char *const true_arguments[] = {"/bin/true", NULL};

static pid_t by_posix_spawn(void) {
    pid_t pid;
    if (posix_spawn(&pid, "/bin/true", NULL, NULL, true_arguments, environ) != 0) abort();
    return pid;
}

static pid_t by_vfork(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        execve("/bin/true", true_arguments, environ);
        _exit(127);
    }
    return pid;
}

/// `at_once` are kept running; with one, each start follows the end before.
static void spawn(pid_t (*start)(void), int count, int at_once, size_t resident) {
    char *ballast = resident ? malloc(resident) : NULL;
    if (ballast) memset(ballast, 1, resident);
    double *seconds = malloc(sizeof *seconds * (size_t)count), *started = calloc((size_t)at_once, sizeof *started);
    pid_t *running = calloc((size_t)at_once, sizeof *running);
    for (int i = 0; i < 10; i++) waitpid(start(), NULL, 0);
    double begin = now();
    int begun = 0, ended = 0;
    while (ended < count) {
        for (int i = 0; i < at_once && begun < count; i++) {
            if (running[i]) continue;
            started[i] = now();
            running[i] = start();
            begun++;
        }
        pid_t pid = waitpid(-1, NULL, 0);
        for (int i = 0; i < at_once; i++) {
            if (running[i] != pid) continue;
            seconds[ended++] = now() - started[i];
            running[i] = 0;
        }
    }
    report(seconds, count, now() - begin);
    free(ballast);
}

static pid_t with_pipes(char *const *arguments, int *input, int *output) {
    int in[2] = {-1, -1}, out[2];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (input) {
        if (pipe2(in, O_CLOEXEC)) abort();
        posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        *input = in[1];
    }
    if (pipe2(out, O_CLOEXEC)) abort();
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    *output = out[0];
    pid_t pid;
    if (posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ) != 0) abort();
    if (input) close(in[0]);
    close(out[1]);
    return pid;
}

/// Blocking reads of 64 KiB: one after the other for one child, by poll for several.
static void drain(int children, const char *bytes) {
    enum { CHUNK = 64 * 1024 };
    char *buffer = malloc(CHUNK), *arguments[] = {"head", "-c", (char *)bytes, "/dev/zero", NULL};
    struct pollfd *polls = calloc((size_t)children, sizeof *polls);
    double begin = now(), total = 0;
    for (int i = 0; i < children; i++) {
        with_pipes(arguments, NULL, &polls[i].fd);
        polls[i].events = POLLIN;
    }
    for (int open = children; open > 0;) {
        if (children > 1) poll(polls, (nfds_t)children, -1);
        for (int i = 0; i < children; i++) {
            if (polls[i].fd < 0 || (children > 1 && polls[i].revents == 0)) continue;
            ssize_t count = read(polls[i].fd, buffer, CHUNK);
            if (count > 0) {
                total += (double)count;
                continue;
            }
            polls[i].fd = -1;
            open--;
        }
    }
    for (int i = 0; i < children; i++) wait(NULL);
    printf("{\"gb_per_s\": %f}\n", total / (now() - begin) / 1e9);
}

static void lines(const char *path, double bytes) {
    char *arguments[] = {"cat", (char *)path, NULL}, *line = NULL;
    size_t capacity = 0, count = 0;
    int output;
    double begin = now();
    with_pipes(arguments, NULL, &output);
    FILE *file = fdopen(output, "r");
    while (getline(&line, &capacity, file) > 0) count++;
    wait(NULL);
    printf("{\"gb_per_s\": %f, \"lines\": %zu}\n", bytes / (now() - begin) / 1e9, count);
}

static void echo(int count) {
    char *arguments[] = {"cat", NULL}, message[64] = {0};
    int input, output;
    with_pipes(arguments, &input, &output);
    double *seconds = malloc(sizeof *seconds * (size_t)count), begin = now();
    for (int i = 0; i < count; i++) {
        double start = now();
        if (write(input, message, 64) != 64) abort();
        for (ssize_t received = 0; received < 64;) received += read(output, message, 64);
        seconds[i] = now() - start;
    }
    double total = now() - begin;
    close(input);
    wait(NULL);
    report(seconds, count, total);
}

int main(int count, char **words) {
    if (count == 5 && strcmp(words[1], "posix-spawn") == 0)
        spawn(by_posix_spawn, atoi(words[2]), atoi(words[3]), (size_t)atol(words[4]) << 20);
    else if (count == 5 && strcmp(words[1], "vfork") == 0)
        spawn(by_vfork, atoi(words[2]), atoi(words[3]), (size_t)atol(words[4]) << 20);
    else if (count == 4 && strcmp(words[1], "drain") == 0) drain(atoi(words[2]), words[3]);
    else if (count == 4 && strcmp(words[1], "lines") == 0) lines(words[2], atof(words[3]));
    else if (count == 3 && strcmp(words[1], "echo") == 0) echo(atoi(words[2]));
    else return 64;
}
