// From clone to exec. The child runs in its parent's memory, beside threads that may hold any lock. It makes raw system
// calls only, touches only its stack and the result, and never returns (swift-subprocess #374: a libc call at this
// place waited for a lock that no thread could release).
#define _GNU_SOURCE
#include "cprefork_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "close_listed.h"
#include "kernel_numbers.h"

enum { SIGNALS = 64, SIGNAL_BYTES = SIGNALS / 8, STACK_BYTES = 16 * 1024 };

struct child {
    const struct cprefork_spawn_plan *plan;
    struct cprefork_spawn_result *result;
    pid_t parent;
    uint64_t ignored;
    int ruleset;  ///< where the child has put the sandbox's, or -1
};

static _Noreturn void leave(void) {
    while (1) syscall(SYS_exit_group, 127);
}

static _Noreturn void fail(const struct child *child, int step, int object) {
    child->result->error = errno;  // the suspended parent's errno, which it saves
    child->result->object = object;
    child->result->step = step;
    leave();
}

#define CHECK(child, step, object, call) \
    do { if ((call) < 0) fail(child, step, object); } while (0)

/// Handlers of the parent must not run here, and what the parent ignores for itself must not stay ignored in the
/// program (a program that is started with SIGPIPE ignored keeps it so). What the parent was itself started with stays:
/// a job of nohup(1) is one in all of its parts. The mask is still closed.
static void reset_signals(const struct child *child) {
    // The kernel's struct sigaction, of which SIG_DFL, no flags and an empty mask are all zero. The handler comes
    // first.
    const uint64_t standard[4] = {0};
    for (int number = 1; number <= SIGNALS; number++) {
        uint64_t now[4] = {0};
        bool was_ignored = child->ignored >> (number - 1) & 1;
        if (was_ignored && syscall(SYS_rt_sigaction, number, NULL, now, SIGNAL_BYTES) == 0 &&
            now[0] == (uint64_t)(uintptr_t)SIG_IGN)
            continue;
        syscall(SYS_rt_sigaction, number, standard, NULL, SIGNAL_BYTES);
    }
}

static void open_signal_mask(void) {
    const uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGNAL_BYTES);
}

/// Turns "inherited" into a number or the null device, and the null device into a number.
static void resolve_sources(const struct child *child) {
    const struct cprefork_spawn_plan *plan = child->plan;
    for (int i = 0; i < plan->descriptor_count; i++) {
        struct cprefork_spawn_descriptor *descriptor = &plan->descriptors[i];
        if (descriptor->source > CPREFORK_SOURCE_INHERIT) continue;
        int number = CPREFORK_SOURCE_INHERIT - descriptor->source;
        long flags = syscall(SYS_fcntl, number, F_GETFD, 0);
        descriptor->is_handed_on = flags >= 0 && (flags & FD_CLOEXEC) == 0;
        descriptor->source = descriptor->is_handed_on ? number : CPREFORK_SOURCE_NULL_DEVICE;
    }
    int null_device = -1;
    for (int i = 0; i < plan->descriptor_count; i++) {
        struct cprefork_spawn_descriptor *descriptor = &plan->descriptors[i];
        if (descriptor->source != CPREFORK_SOURCE_NULL_DEVICE) continue;
        if (null_device < 0) {
            null_device = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
            CHECK(child, CPREFORK_STEP_NULL_DEVICE, descriptor->target, null_device);
        }
        descriptor->source = null_device;
    }
}

/// Puts every source at its target. Sources that lie where another one must go (stdout and stderr swapped, a pipe
/// that got number 0 because the program was started with a closed stdin) first move out of the way.
static void place_descriptors(struct child *child) {
    const struct cprefork_spawn_plan *plan = child->plan;
    resolve_sources(child);
    int highest_target = plan->descriptor_count ? plan->descriptors[plan->descriptor_count - 1].target : -1;
    if (plan->sandbox != NULL && plan->sandbox->ruleset >= 0) {
        child->ruleset = (int)syscall(SYS_fcntl, plan->sandbox->ruleset, F_DUPFD_CLOEXEC, highest_target + 1);
        CHECK(child, CPREFORK_STEP_SANDBOX, -1, child->ruleset);
    }
    for (int i = 0; i < plan->descriptor_count; i++) {
        struct cprefork_spawn_descriptor *descriptor = &plan->descriptors[i];
        if (descriptor->source == descriptor->target || descriptor->source > highest_target) continue;
        // Above all targets, and a number that is free is no other one's source.
        int moved = (int)syscall(SYS_fcntl, descriptor->source, F_DUPFD_CLOEXEC, highest_target + 1);
        CHECK(child, CPREFORK_STEP_DESCRIPTORS, descriptor->source, moved);
        descriptor->source = moved;
    }
    for (int i = 0; i < plan->descriptor_count; i++) {
        int source = plan->descriptors[i].source, target = plan->descriptors[i].target;
        if (source == target) {
            if (!plan->descriptors[i].is_handed_on)
                CHECK(child, CPREFORK_STEP_DESCRIPTORS, source, syscall(SYS_fcntl, source, F_SETFD, 0));
        } else {
            CHECK(child, CPREFORK_STEP_DESCRIPTORS, source, syscall(SYS_dup3, source, target, 0));
        }
    }
}

static void close_range_of(const struct child *child, unsigned first, unsigned last) {
    if (first > last) return;
    if (!child->plan->without_close_range && syscall(SYS_close_range, first, last, 0) == 0) return;
    CHECK(child, CPREFORK_STEP_CLOSE_OTHERS, -1, cprefork_close_listed(first, last));
}

/// Closes everything that is not a target: between the targets, and above them. The sandbox's rules stay until exec.
static void close_others(const struct child *child) {
    unsigned next = 0;
    for (int i = 0; i < child->plan->descriptor_count; i++) {
        unsigned target = (unsigned)child->plan->descriptors[i].target;
        if (target > 0) close_range_of(child, next, target - 1);
        next = target + 1;
    }
    if (child->ruleset >= 0) {
        if (child->ruleset > 0) close_range_of(child, next, (unsigned)child->ruleset - 1);
        next = (unsigned)child->ruleset + 1;
    }
    close_range_of(child, next, ~0u);
}

/// The last step before exec, which the sandbox must allow. The child's errno is the parent's, which is suspended.
static void enter_sandbox(const struct child *child) {
    struct cprefork_sandbox sandbox = *child->plan->sandbox;
    sandbox.ruleset = child->ruleset;
    if (cprefork_enter_sandbox(&sandbox) != CPREFORK_SANDBOX_ENTERED) fail(child, CPREFORK_STEP_SANDBOX, -1);
}

static void join_control_group(const struct child *child, const char *path) {
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    CHECK(child, CPREFORK_STEP_CONTROL_GROUP, -1, file);
    CHECK(child, CPREFORK_STEP_CONTROL_GROUP, -1, syscall(SYS_write, file, "0", 1));  // 0: the writer (cgroups(7))
    syscall(SYS_close, file);
}

/// What may need the parent's privileges comes before they are given up, and groups before the user
/// (swift-subprocess #342). The raw calls change this process only. glibc's calls would also change the parent's
/// threads.
static void become_user(const struct child *child) {
    const struct cprefork_spawn_plan *plan = child->plan;
    if (plan->control_group) join_control_group(child, plan->control_group);
    if (plan->sets_niceness)
        CHECK(child, CPREFORK_STEP_NICENESS, -1, syscall(SYS_setpriority, PRIO_PROCESS, 0, plan->niceness));
    for (int i = 0; i < plan->limit_count; i++) {
        const uint64_t limit[2] = {plan->limits[i].soft, plan->limits[i].hard};
        CHECK(child, CPREFORK_STEP_RESOURCE_LIMITS, plan->limits[i].resource,
              syscall(SYS_prlimit64, 0, plan->limits[i].resource, limit, NULL));
    }
    if (plan->mask >= 0) syscall(SYS_umask, plan->mask);
    if (plan->group_count >= 0)
        CHECK(child, CPREFORK_STEP_SUPPLEMENTARY_GROUPS, -1, syscall(SYS_setgroups, plan->group_count, plan->groups));
    if (plan->group_id >= 0) CHECK(child, CPREFORK_STEP_GROUP_ID, -1, syscall(SYS_setgid, (gid_t)plan->group_id));
    if (plan->user_id >= 0) CHECK(child, CPREFORK_STEP_USER_ID, -1, syscall(SYS_setuid, (uid_t)plan->user_id));
}

/// execve(2) of each candidate, by the rules of execvp(3): it continues after a missing file and remembers a refusal. A
/// file that is there although the kernel says ENOENT lacks its interpreter: a better answer than "not found", too.
static _Noreturn void run_program(const struct child *child) {
    const struct cprefork_spawn_plan *plan = child->plan;
    int error = ENOENT, program = 0;
    bool is_telling = false;
    for (int i = 0; plan->programs[i] != NULL; i++) {
        syscall(SYS_execve, plan->programs[i], plan->arguments, plan->environment);
        int now = errno;
        bool is_absent = now == ENOENT || now == ENOTDIR || now == ENODEV || now == ESTALE || now == ETIMEDOUT;
        bool tells_more = now == EACCES ||
            (now == ENOENT && syscall(SYS_faccessat, AT_FDCWD, plan->programs[i], F_OK) == 0);
        if (tells_more && !is_telling) {
            is_telling = true;
            error = now;
            program = i;
        } else if (!is_absent && !tells_more) {
            error = now;
            program = i;
            break;
        } else if (i == 0) {
            error = now;
        }
    }
    child->result->program = program;
    errno = error;
    fail(child, CPREFORK_STEP_EXEC, -1);
}

/// Runs in the child, on a part of its parent's stack.
static int run_child(void *argument) {
    struct child *child = argument;
    const struct cprefork_spawn_plan *plan = child->plan;
    reset_signals(child);
    if (plan->new_session) CHECK(child, CPREFORK_STEP_SESSION, -1, syscall(SYS_setsid));
    if (plan->process_group >= 0 && !plan->new_session)
        CHECK(child, CPREFORK_STEP_GROUP, -1, syscall(SYS_setpgid, 0, plan->process_group));
    place_descriptors(child);
    close_others(child);
    if (plan->terminal >= 0)
        CHECK(child, CPREFORK_STEP_TERMINAL, plan->terminal, syscall(SYS_ioctl, plan->terminal, TIOCSCTTY, 0));
    become_user(child);
    if (plan->working_directory)
        CHECK(child, CPREFORK_STEP_WORKING_DIRECTORY, -1, syscall(SYS_chdir, plan->working_directory));
    if (plan->parent_death_signal) {
        // After the change of user, which would clear it. If the parent ended before it is set, no signal comes
        // (prctl(2), PR_SET_PDEATHSIG).
        long answer = syscall(SYS_prctl, PR_SET_PDEATHSIG, plan->parent_death_signal, 0, 0, 0);
        if (!plan->parent_death_is_wish) CHECK(child, CPREFORK_STEP_PARENT_DEATH, -1, answer);
        if (syscall(SYS_getppid) != child->parent) leave();
    }
    if (plan->no_new_privileges)
        CHECK(child, CPREFORK_STEP_NO_NEW_PRIVILEGES, -1, syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    open_signal_mask();
    if (plan->sandbox != NULL) enter_sandbox(child);
    run_program(child);
}

/// Collects a child that failed before its program ran, unless other code has already collected it.
static void reap_failed(const struct cprefork_spawn_result *result) {
    while (syscall(SYS_waitid, P_PID, result->pid, NULL, WEXITED | __WALL, NULL) < 0 && errno == EINTR) {}
    if (result->pidfd >= 0) close(result->pidfd);
}

void cprefork_spawn(const struct cprefork_spawn_plan *plan, struct cprefork_spawn_result *result) {
    // The child's stack: a part of this stack, whose thread waits. No page is mapped, and no memory is shared with
    // others.
    char stack[STACK_BYTES] __attribute__((aligned(16)));
    struct child child = {.plan = plan, .result = result, .parent = plan->parent_death_signal ? getpid() : 0,
                          .ignored = cprefork_inherited_ignored_signals(), .ruleset = -1};
    *result = (struct cprefork_spawn_result){.pidfd = -1, .step = CPREFORK_STEP_NONE, .object = -1};
    // All 64, the two that glibc hides as well: a setuid in another thread must not interrupt the child.
    const uint64_t all = ~(uint64_t)0;
    uint64_t before;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_BYTES);
    int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (plan->without_pidfd ? 0 : CLONE_PIDFD);
    pid_t pid = clone(run_child, stack + STACK_BYTES, flags, &child, &result->pidfd);
    int error = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_BYTES);
    if (pid < 0) {
        result->step = CPREFORK_STEP_CLONE;
        result->error = error;
        return;
    }
    result->pid = pid;
    if (result->step != CPREFORK_STEP_NONE) reap_failed(result);
}
