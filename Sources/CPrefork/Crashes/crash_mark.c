// A worker's actions when it crashes: it informs its supervisor at once, disconnects its clients, and leaves the rest
// to the previous handler of the signal.
//
// The supervisor forks the successor as soon as the crash is reported. Until then it would have to wait for the end of
// the process, which may be long in coming: the Swift runtime starts a backtracer that reads debug information (0.1 s
// for a small program and 10 s for a large one were seen), and the kernel writes a core file first.
#define _GNU_SOURCE
#include "cprefork_crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cprefork.h"
#include "cprefork_lock.h"
#include "cprefork_rollback.h"
#include "frame_walk.h"

static const int crash_signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
enum { SIGNALS = sizeof crash_signals / sizeof crash_signals[0] };

int cprefork_is_crash_signal(int number) {
    for (int index = 0; index < SIGNALS; index++) {
        if (crash_signals[index] == number) return 1;
    }
    return 0;
}

/// What each of them did before: the default, or the Swift runtime's handler. Written while all signals are blocked and
/// there is one thread.
static struct sigaction previous[SIGNALS];
static uint64_t *_Atomic area;
static atomic_int button = -1;
/// The process whose crash is reported. A child that this process forks has the same handlers and must not speak for
/// it.
static atomic_int owner;
/// The thread that has crashed first.
static _Atomic pid_t crashed;

/// Words of memory that several processes share: see `cprefork_remember_locks`.
struct locks {
    const char *_Atomic first;
    _Atomic uint32_t count, stride;
};
enum { LOCK_TABLES = 256 };
static struct locks lock_tables[LOCK_TABLES];

int cprefork_remember_locks(const void *first, uint32_t count, uint32_t stride) {
    for (int number = 0; number < LOCK_TABLES; number++) {
        const char *none = NULL;
        // The handler reads no entry before the count is there.
        if (atomic_compare_exchange_strong(&lock_tables[number].first, &none, first)) {
            atomic_store(&lock_tables[number].stride, stride);
            atomic_store(&lock_tables[number].count, count);
            return number;
        }
    }
    return -1;
}

void cprefork_forget_locks(int number) {
    if (number < 0 || number >= LOCK_TABLES) return;
    atomic_store(&lock_tables[number].count, 0);
    atomic_store(&lock_tables[number].first, NULL);
}

static bool holds_lock(void) {
    uint64_t flags = (uint64_t)3 << 22; // LockOwner.waiting and .needsRepair
    uint64_t own = cprefork_lock_token();
    if (own == 0) return false;
    for (int number = 0; number < LOCK_TABLES; number++) {
        uint32_t count = atomic_load(&lock_tables[number].count);
        uint32_t stride = atomic_load(&lock_tables[number].stride);
        const char *first = atomic_load(&lock_tables[number].first);
        if (first == NULL) continue;
        for (uint32_t index = 0; index < count; index++) {
            uintptr_t word = (uintptr_t)first + (uintptr_t)index * stride;
            // Another thread may be unmapping it.
            if (index == 0 && !cprefork_is_readable(word)) break;
            if ((__atomic_load_n((const uint64_t *)word, __ATOMIC_RELAXED) & ~flags) == own) return true;
        }
    }
    return false;
}

static void put(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

/// The stack by the unwinder's tables, where frame pointers led nowhere, as in abort(3): after the bell, because the
/// heap and the tables of a process that crashes may be in any state, and a second crash here must cost nothing but
/// this.
static void walk_by_tables(uintptr_t counter, uint64_t *words) {
    void *frames[CPREFORK_CRASH_FRAMES + 4];
    int count = backtrace(frames, CPREFORK_CRASH_FRAMES + 4);
    int first = 0;
    // Before it: this function, the handler and the kernel's trampoline.
    while (first < count && (uintptr_t)frames[first] != counter) first++;
    uint64_t known = words[CPREFORK_CRASH_COUNT];
    int more = count - first;
    if (more > CPREFORK_CRASH_FRAMES) more = CPREFORK_CRASH_FRAMES;
    if (more <= (int)known) return;
    for (int index = 0; index < more; index++) {
        put(words + CPREFORK_CRASH_FIRST_FRAME + index, (uint64_t)(uintptr_t)frames[first + index]);
    }
    put(words + CPREFORK_CRASH_COUNT, (uint64_t)more);
}

static void tell(int number, const siginfo_t *info, const void *context, bool later) {
    uint64_t *words = atomic_load(&area);
    if (words != NULL) {
        struct cprefork_registers at = cprefork_registers_of(context);
        put(words + CPREFORK_CRASH_CODE, (uint32_t)info->si_code);
        uintptr_t address = info->si_code > 0 ? (uintptr_t)info->si_addr : (uintptr_t)info->si_pid;
        put(words + CPREFORK_CRASH_ADDRESS, address);
        put(words + CPREFORK_CRASH_THREAD, (uint64_t)syscall(SYS_gettid));
        put(words + CPREFORK_CRASH_LATER, later);
        put(words + CPREFORK_CRASH_COUNT,
            (uint64_t)cprefork_walk_frames(&at, words + CPREFORK_CRASH_FIRST_FRAME, CPREFORK_CRASH_FRAMES));
        __atomic_store_n(words + CPREFORK_CRASH_SIGNAL, (uint64_t)number, __ATOMIC_RELEASE);
    }
    uint64_t one = 1;
    int bell = atomic_load(&button);
    if (bell >= 0 && write(bell, &one, sizeof one) < 0) { /* full: it has rung */ }
    if (words != NULL && words[CPREFORK_CRASH_COUNT] < 4) walk_by_tables(cprefork_registers_of(context).counter, words);
}

/// Clients see the end now and file locks are free, whatever the handlers below still do. Only where another handler
/// follows: otherwise the kernel closes all in a moment.
///
/// The bell stays, as descriptor 3: with its last descriptor it would take its ring with it out of the supervisor's
/// epoll. That number has a second use. The Swift runtime (6.3) makes a socket pair for its backtracer, which inherits
/// both ends, its own as descriptor 4. With the other one at 3 it would wait forever when this process is killed. As 4
/// it is replaced there.
static void close_rest(void) {
    int bell = atomic_load(&button);
    if (bell >= 0 && bell != 3) dup3(bell, 3, O_CLOEXEC);
    cprefork_close_range(bell >= 0 ? 4 : 3, ~0U);
}

/// The default action, for this signal: of a fault when the instruction is tried again, of a signal that was sent now.
static void end_by(int number, const siginfo_t *info) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(number, &standard, NULL);
    if (info->si_code <= 0) syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), number);
}

/// Runs in the thread that has crashed, at any instruction of it, on the alternate stack where there is one: stores,
/// system calls, and no function of the C library beyond them.
static void on_crash(int number, siginfo_t *info, void *context) {
    int saved = errno;
    const struct sigaction *before = NULL;
    for (int index = 0; index < SIGNALS; index++) {
        if (crash_signals[index] == number) before = &previous[index];
    }
    bool has_handler = before != NULL && before->sa_flags & SA_SIGINFO;
    pid_t none = 0;
    pid_t thread = (pid_t)syscall(SYS_gettid);
    if (atomic_load(&owner) != getpid()) {
        // A child of the process that this is the handler of.
    } else if (atomic_compare_exchange_strong(&crashed, &none, thread)) {
        bool later = has_handler && !holds_lock();
        has_handler = later;
        tell(number, info, context, later);
        if (later) close_rest();
    } else if (none == thread) {
        // The handler below has crashed.
        has_handler = false;
    } else {
        // The first one ends the process. The runtime's handler stops this thread meanwhile.
        for (;;) pause();
    }
    if (has_handler) {
        before->sa_sigaction(number, info, context);
        // Comes back when it has put the default in place of all handlers, for the instruction that is tried again.
        if (info->si_code <= 0) end_by(number, info);
    } else {
        end_by(number, info);
    }
    errno = saved;
}

/// Whether it is the Swift runtime's handler: one handler for all six, in the object that has the runtime's functions.
/// A program's handler, which may well repair what happened, does not count.
static bool is_runtimes(const struct sigaction *action) {
    if (!(action->sa_flags & SA_SIGINFO) || action->sa_sigaction == NULL) return false;
    for (int index = 0; index < SIGNALS; index++) {
        struct sigaction other;
        if (sigaction(crash_signals[index], NULL, &other) < 0) return false;
        cprefork_action_below(crash_signals[index], &other);
        bool is_ours = other.sa_flags & SA_SIGINFO && other.sa_sigaction == on_crash;
        if (!is_ours && other.sa_sigaction != action->sa_sigaction) return false;
    }
    void *runtime = dlsym(RTLD_DEFAULT, "swift_retain");
    Dl_info ours, its;
    if (dladdr((void *)action->sa_sigaction, &its) == 0) return false;
    // Linked statically it is the program's own object, and the symbol is not exported.
    if (runtime == NULL) return dladdr((void *)&crash_signals, &ours) != 0 && ours.dli_fbase == its.dli_fbase;
    return dladdr(runtime, &ours) != 0 && ours.dli_fbase == its.dli_fbase;
}

/// The Swift runtime's handler, or NULL while it has no handler. Found before the first fork, for all children.
static void (*runtimes_handler)(int, siginfo_t *, void *);
static const struct sigaction ours = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

void cprefork_prepare_crash_mark(void) {
    static bool is_prepared;
    if (is_prepared) return;
    is_prepared = true;
    struct sigaction now;
    if (runtimes_handler == NULL && sigaction(SIGSEGV, NULL, &now) == 0) {
        cprefork_find_handlers_below();
        cprefork_action_below(SIGSEGV, &now);
        if (now.sa_sigaction != on_crash && is_runtimes(&now)) runtimes_handler = now.sa_sigaction;
    }
    // The first call allocates and loads a library.
    void *frames[4];
    backtrace(frames, 4);
    cprefork_give_alternate_stack();
}

void cprefork_give_alternate_stack(void) {
    // For a handler, a backtracer's start and the kernel's registers, 11 KiB of them with AMX. Untouched it takes
    // nothing.
    static char stack[64 * 1024] __attribute__((aligned(64)));
    stack_t present;
    if (sigaltstack(NULL, &present) < 0 || !(present.ss_flags & SS_DISABLE)) return;
    stack_t wanted = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&wanted, NULL);
}

void cprefork_take_crash_signals(void) {
    cprefork_leave_rollback();
    for (int index = 0; index < SIGNALS; index++) {
        struct sigaction now;
        if (sigaction(crash_signals[index], &ours, &now) < 0) continue;
        if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_crash) continue; // a child of a child
        if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == runtimes_handler) {
            previous[index] = now;
        } else if (now.sa_flags & SA_SIGINFO || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN)) {
            sigaction(crash_signals[index], &now, NULL);
        } else {
            memset(&previous[index], 0, sizeof previous[index]);
        }
    }
    // The parent's, where this is the child of a child.
    atomic_store(&owner, 0);
    atomic_store(&crashed, 0);
    atomic_store(&button, -1);
    atomic_store(&area, NULL);
}

bool cprefork_has_crashed(void) { return atomic_load(&crashed) != 0 && atomic_load(&owner) == getpid(); }

void cprefork_arm_crash_mark(uint64_t *words, int bell) {
    atomic_store(&area, words);
    atomic_store(&button, bell);
    atomic_store(&owner, getpid());
}
