// What a new program of an upgrade does at its end, until it has proved itself: it executes the previous program.
//
// The previous program has left in the environment what that takes,
// PREFORK_WAY_BACK=PID:IMAGE:DIRECTORY:FILE:KEPT:OTHERS:LIMIT: descriptors of its own file, of its working directory and
// of the description of what it gets back, the list of all that it keeps (3-17,20), that of what the new program alone
// has, and in how many milliseconds it must begin to supervise.
// A constructor takes it before main, and before the program can end in any other way. From there on the actions at the end are system calls alone: descriptors lose close-on-exec, and execveat(2) follows. The
// program is never asked for anything that it may have broken.
#define _GNU_SOURCE
#include "cprefork_rollback.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cprefork.h"
#include "cprefork_crash.h"

static const char VARIABLE[] = "PREFORK_WAY_BACK";
static const char HANDOVER[] = "PREFORK_HANDOVER=";

/// Signals by which a program ends itself. Signals that are orders to a supervisor are blocked, and wait for the
/// previous program.
static const int signals[] = {SIGILL,  SIGTRAP, SIGABRT,   SIGBUS,  SIGFPE,  SIGSEGV, SIGSYS,   SIGXCPU,
                              SIGXFSZ, SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR,  SIGSTKFLT};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

struct description {
    int file;
    int count;
    int kept[];
};

/// The process that has the way back. A child that this process forks has all of this, and must not take it.
static atomic_int owner;
static _Atomic(struct description *) description;
static int image = -1, directory = -1;
static char **arguments, **environment;
/// As the previous program has left it, with the supervisor's signals blocked.
static sigset_t mask;
static struct sigaction below[SIGNALS];
static atomic_bool is_taken[SIGNALS];
/// The first end: `s` for a signal, `e` for exit(3), `q` for quick_exit(3), `t` when the time for the start is over.
static atomic_int cause;
static atomic_bool has_new_child;
/// The real-time signal of the limit for the start; 0: there is none, or no longer.
static atomic_int limit_signal;
static int limit_timer;

bool cprefork_has_rollback(void) { return atomic_load(&owner) == getpid(); }

static char *append(char *end, const char *text) {
    while (*text != '\0') *end++ = *text++;
    return end;
}

static char *append_number(char *end, unsigned number) {
    char digits[12];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0) *end++ = digits[--count];
    return end;
}

/// Returns only when execveat(2) has failed.
static void go_back(void) {
    static char text[96];
    const struct description *known = atomic_load(&description);
    if (known == NULL) return;
    int why = atomic_load(&cause);
    char *end = append(text, HANDOVER);
    end = append_number(end, (unsigned)known->file);
    *end++ = ':';
    end = append_number(end, (unsigned)getpid());
    end = append(end, ":back:");
    *end++ = (char)(why >> 16);
    end = append_number(end, (unsigned)why & 0xFFFF);
    if (atomic_load(&has_new_child)) end = append(end, ":new");
    *end = '\0';
    environment[0] = text;
    for (int index = 0; index < known->count; index++) fcntl(known->kept[index], F_SETFD, 0);
    if (directory >= 0 && fchdir(directory) < 0) { /* it stays where it is */ }
    sigprocmask(SIG_SETMASK, &mask, NULL);
    syscall(SYS_execveat, image, "", arguments, environment, AT_EMPTY_PATH);
}

static int index_of(int number) {
    for (int index = 0; index < SIGNALS; index++) {
        if (signals[index] == number) return index;
    }
    return -1;
}

/// The kernel signals children about their parent's end when the thread ends that has forked them (PR_SET_PDEATHSIG of
/// prctl(2)), and an execve(2) by another thread ends it. The main thread therefore executes. Returns when it has not
/// done so in time.
static void have_main_thread_go_back(void) {
    for (int index = 0; index < SIGNALS; index++) {
        if (!atomic_load(&is_taken[index])) continue;
        syscall(SYS_tgkill, getpid(), getpid(), signals[index]);
        break;
    }
    struct timespec rest = {.tv_sec = 2};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR) {}
}

static void end_here(int kind, int value) {
    int none = 0;
    atomic_compare_exchange_strong(&cause, &none, kind << 16 | value);
    if ((pid_t)syscall(SYS_gettid) != getpid()) have_main_thread_go_back();
    go_back();
}

/// What would happen without a way back.
static void pass_on(int number, siginfo_t *info, void *context) {
    int index = index_of(number);
    const struct sigaction *before = &below[index];
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(number, info, context);
        return;
    }
    // The default: of a fault when the instruction is tried again, of a signal that was sent now.
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(number, &standard, NULL);
    if (info->si_code <= 0 || info->si_code == SI_KERNEL) {
        syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), number);
    }
}

/// Runs at any instant in any thread, on the alternate stack where there is one.
static void on_end_by_signal(int number, siginfo_t *info, void *context) {
    int saved = errno;
    if (cprefork_has_rollback()) end_here('s', number);
    pass_on(number, info, context);
    errno = saved;
}

/// What the program has printed and not yet written is its last word. Nothing here waits: neither for a lock that
/// another thread has, nor for the reader of the pipe, which has room for a buffer that is no longer than PIPE_BUF.
static void write_last_words(void) {
    struct pollfd look = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (ftrylockfile(stdout) != 0) return;
    if (poll(&look, 1, 0) == 1 && look.revents & POLLOUT) fflush_unlocked(stdout);
    funlockfile(stdout);
}

/// Runs in the main thread, wherever it is.
static void on_limit(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    // Any process of the same user may send it.
    if (info->si_code == SI_TIMER && atomic_load(&limit_signal) == number && cprefork_has_rollback()) end_here('t', 0);
    errno = saved;
}

/// A program that hangs before it supervises would keep the service without an order that anyone could give. The timer
/// of the kernel (timer_create(2)) needs no thread and no code of the program. One that blocks all signals and then
/// hangs is not reached.
static void limit_start(int milliseconds) {
    const struct sigaction wanted = {.sa_sigaction = on_limit, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    int number = SIGRTMAX - 4;
    struct sigaction now;
    while (number >= SIGRTMIN && (sigaction(number, NULL, &now) < 0 || now.sa_handler != SIG_DFL)) number--;
    if (number < SIGRTMIN || sigaction(number, &wanted, NULL) < 0) return;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number};
    event._sigev_un._tid = getpid();
    const struct itimerspec end = {
        .it_value = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L}};
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &limit_timer) < 0) {
        signal(number, SIG_DFL);
        return;
    }
    sigset_t open;
    sigemptyset(&open);
    sigaddset(&open, number);
    sigprocmask(SIG_UNBLOCK, &open, NULL);
    atomic_store(&limit_signal, number);
    syscall(SYS_timer_settime, limit_timer, 0, &end, NULL);
}

void cprefork_end_start_limit(void) {
    int number = atomic_exchange(&limit_signal, 0);
    if (number == 0) return;
    // A forked child has no timers of its parent (timer_create(2)).
    if (cprefork_has_rollback()) syscall(SYS_timer_delete, limit_timer);
    struct sigaction now;
    // One that the program has put in its place stays.
    if (sigaction(number, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_limit) {
        signal(number, SIG_DFL);
    }
}

static void on_exit_here(int status, void *unused) {
    (void)unused;
    if (!cprefork_has_rollback()) return;
    write_last_words();
    end_here('e', status & 0xFF);
}

static void on_quick_exit(void) {
    if (cprefork_has_rollback()) end_here('q', 0);
}

/// The Swift runtime's crash handler, recognised by its flags and its address. A program's handler may well repair what
/// happened.
static bool is_runtimes(const struct sigaction *action) {
    if ((action->sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_NODEFER)) != (SA_SIGINFO | SA_ONSTACK | SA_NODEFER)) return false;
    void *runtime = dlsym(RTLD_DEFAULT, "swift_retain");
    Dl_info own, its, of_runtime;
    if (dladdr((void *)action->sa_sigaction, &its) == 0) return false;
    if (runtime != NULL) return dladdr(runtime, &of_runtime) != 0 && of_runtime.dli_fbase == its.dli_fbase;
    return dladdr((void *)&signals, &own) != 0 && own.dli_fbase == its.dli_fbase;
}

static void take_signals(void) {
    const struct sigaction ours = {.sa_sigaction = on_end_by_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    struct sigaction wanted = ours;
    sigfillset(&wanted.sa_mask);
    for (int index = 0; index < SIGNALS; index++) {
        struct sigaction now;
        if (sigaction(signals[index], NULL, &now) < 0) continue;
        bool is_default = !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
        if (!is_default && !is_runtimes(&now)) continue;
        below[index] = now;
        if (sigaction(signals[index], &wanted, NULL) == 0) atomic_store(&is_taken[index], true);
    }
}

void cprefork_find_handlers_below(void) {
    struct sigaction other;
    if (!cprefork_has_rollback() || sigaction(SIGQUIT, NULL, &other) < 0) return;
    // The seventh signal for which the runtime installs its handler. It is blocked in a supervisor.
    if (!is_runtimes(&other)) return;
    for (int index = 0; index < SIGNALS; index++) {
        bool is_default = !(below[index].sa_flags & SA_SIGINFO) && below[index].sa_handler == SIG_DFL;
        if (cprefork_is_crash_signal(signals[index]) && is_default) below[index] = other;
    }
}

void cprefork_action_below(int number, struct sigaction *now) {
    int index = index_of(number);
    if (index < 0 || !(now->sa_flags & SA_SIGINFO) || now->sa_sigaction != on_end_by_signal) return;
    *now = below[index];
}

void cprefork_leave_rollback(void) {
    cprefork_end_start_limit();
    for (int index = 0; index < SIGNALS; index++) {
        struct sigaction now;
        // Most children have nothing to leave. A write would cost each of them a copied page.
        if (!atomic_load(&is_taken[index]) || !atomic_exchange(&is_taken[index], false)) continue;
        if (sigaction(signals[index], NULL, &now) < 0) continue;
        // One that the program has put above stays.
        bool is_ours = now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_end_by_signal;
        if (is_ours) sigaction(signals[index], &below[index], NULL);
    }
    int process = atomic_load(&owner);
    if (process != 0 && process != getpid()) atomic_store(&owner, 0);
}

void cprefork_end_rollback(void) {
    if (!cprefork_has_rollback()) return;
    cprefork_end_start_limit();
    atomic_store(&owner, 0);
    cprefork_leave_rollback();
}

void cprefork_note_new_child(bool is_new) {
    if (!is_new || cprefork_has_rollback()) atomic_store(&has_new_child, is_new);
}

static struct description *make_description(int file, int count) {
    struct description *new = malloc(sizeof *new + sizeof(int) * (size_t)count);
    if (new == NULL) return NULL;
    new->file = file;
    new->count = count;
    return new;
}

int cprefork_describe_rollback(int file, const int *kept, int count) {
    struct description *new = make_description(file, count);
    if (new == NULL) return -1;
    memcpy(new->kept, kept, sizeof(int) * (size_t)count);
    // Read by the main thread, which this is.
    free(atomic_exchange(&description, new));
    atomic_store(&has_new_child, false);
    return 0;
}

// ---- before main ------------------------------------------------------------------------------------------------

/// The next number of a list, and the text after it. -1 if there is no number.
static int next_number(const char **text) {
    char *end;
    if (**text < '0' || **text > '9') return -1;
    long number = strtol(*text, &end, 10);
    if (number > INT32_MAX) return -1;
    *text = end;
    return (int)number;
}

/// `12:` of the text. An empty one is -1.
static int next_field(const char **text) {
    int number = next_number(text);
    if (**text == ':') ++*text;
    return number;
}

/// The next run of a list. False if there is no run.
static bool next_run(const char **text, int *first, int *last) {
    if (**text == ',') ++*text;
    *last = *first = next_number(text);
    if (**text == '-') {
        ++*text;
        *last = next_number(text);
    }
    return *first >= 0 && *last >= *first;
}

/// How many numbers a list has. Writes them to `numbers`, as far as there is room. No descriptor of it is passed on to
/// other programs.
static int read_list(const char **text, int *numbers) {
    int first, last, count = 0;
    while (next_run(text, &first, &last)) {
        // Only those that are open: the list is as long as the table of descriptors at most.
        for (int number = first; number <= last && fcntl(number, F_SETFD, FD_CLOEXEC) == 0; number++) {
            if (numbers != NULL) numbers[count] = number;
            count++;
        }
    }
    if (**text == ':') ++*text;
    return count;
}

/// Copies, because a title is written where the originals lie, and the program may change its environment. In the copy
/// of the environment, the first place is for the description. NULL if there is no memory.
static char **copy_of(char *const *strings, int first) {
    int count = 0;
    while (strings[count] != NULL) count++;
    char **copy = calloc((size_t)(count + first + 1), sizeof *copy);
    int next = first;
    for (int index = 0; copy != NULL && index < count; index++) {
        bool is_own = strncmp(strings[index], HANDOVER, sizeof HANDOVER - 1) == 0 ||
                      (strncmp(strings[index], VARIABLE, sizeof VARIABLE - 1) == 0 &&
                       strings[index][sizeof VARIABLE - 1] == '=');
        if (first > 0 && is_own) continue;
        copy[next] = strdup(strings[index]);
        if (copy[next++] == NULL) return NULL;
    }
    return copy;
}

/// glibc calls constructors with what main gets.
__attribute__((constructor)) static void take_rollback(int count, char **argv, char **envp) {
    const char *text = getenv(VARIABLE);
    if (text == NULL || count < 1) return;
    int pid = next_field(&text);
    // Another process's variable, inherited by mistake, is ignored.
    if (pid != getpid()) {
        unsetenv(VARIABLE);
        return;
    }
    image = next_field(&text);
    directory = next_field(&text);
    int file = next_field(&text);
    const char *list = text;
    struct description *new = make_description(file, read_list(&text, NULL));
    read_list(&text, NULL);
    int limit = next_field(&text);
    arguments = copy_of(argv, 0);
    environment = copy_of(envp, 1);
    unsetenv(VARIABLE);
    // Without memory for these few pages a program cannot begin to serve. Its end is then the pool's end.
    if (new == NULL || arguments == NULL || environment == NULL || image < 0 || file < 0) return;
    read_list(&list, new->kept);
    fcntl(image, F_SETFD, FD_CLOEXEC);
    if (directory >= 0) fcntl(directory, F_SETFD, FD_CLOEXEC);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    cprefork_give_alternate_stack();
    atomic_store(&description, new);
    // Until the program says which children it has.
    atomic_store(&has_new_child, true);
    on_exit(on_exit_here, NULL);
    at_quick_exit(on_quick_exit);
    take_signals();
    atomic_store(&owner, pid);
    if (limit > 0) limit_start(limit);
}
