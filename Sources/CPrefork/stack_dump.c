#define _GNU_SOURCE
#include "cprefork_host.h"

#include <errno.h>
#include <execinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_FRAMES = 64 };

static atomic_int descriptor = -1;
static atomic_bool is_writing;

/// As snprintf, which signal-safety(7) does not list.
static char *append(char *end, const char *text) {
    size_t length = strlen(text);
    memcpy(end, text, length);
    return end + length;
}

static char *append_number(char *end, unsigned long number) {
    char digits[24];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) *end++ = digits[--count];
    return end;
}

/// A log that is a full pipe would hold the worker even longer than what it hangs in.
static bool can_take(int fd) {
    struct pollfd status = {.fd = fd, .events = POLLOUT};
    return poll(&status, 1, 0) == 1 && (status.revents & POLLOUT) != 0;
}

static void put(int fd, const char *start, const char *end) {
    if (write(fd, start, (size_t)(end - start)) < 0) { /* nobody is left to be told */ }
}

/// Runs in the hung thread, at any instant. The unwinder of GCC 12 finds its tables without a lock (_dl_find_object,
/// glibc 2.35); with an older one a thread that hangs inside of dlopen(3) may not get past backtrace, and is killed by
/// its hard deadline like any other.
static void on_dump_signal(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    int fd = atomic_load(&descriptor);
    bool other = atomic_exchange(&is_writing, true);
    if (!other && fd >= 0 && can_take(fd)) {
        void *frames[MOST_FRAMES];
        int count = backtrace(frames, MOST_FRAMES);
        char line[160];
        char *end = append(line, "prefork[");
        end = append_number(end, (unsigned long)getpid());
        end = append(end, "] stack of thread ");
        end = append_number(end, (unsigned long)syscall(SYS_gettid));
        end = append(end, " at signal ");
        end = append_number(end, (unsigned long)number);
        if (info != NULL && info->si_code <= 0) {
            end = append(end, " from process ");
            end = append_number(end, (unsigned long)info->si_pid);
        }
        end = append(end, ":\n");
        put(fd, line, end);
        // The first two frames are this function and the kernel's trampoline.
        int skipped = count > 2 ? 2 : 0;
        backtrace_symbols_fd(frames + skipped, count - skipped, fd);
        end = append(line, "prefork[");
        end = append_number(end, (unsigned long)getpid());
        end = append(end, count == MOST_FRAMES ? "] deeper frames are not shown\n" : "] end of stack\n");
        put(fd, line, end);
    }
    if (!other) atomic_store(&is_writing, false);
    errno = saved;
}

int cprefork_install_stack_dump(int signal, int fd) {
    void *frames[4];
    backtrace(frames, 4);
    atomic_store(&descriptor, fd);
    // Returns to where it was: abort(3) then ends the process all the same, and a dump on request harms nobody.
    struct sigaction ours = {.sa_sigaction = on_dump_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&ours.sa_mask);
    return sigaction(signal, &ours, NULL);
}

int cprefork_real_time_signal(int offset) { return SIGRTMAX + offset; }

int cprefork_first_real_time_signal(void) { return SIGRTMIN; }
