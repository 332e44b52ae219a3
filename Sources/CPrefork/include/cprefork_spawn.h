// Starting a program in a new process: the plan, made before the clone, and the one call that carries it out.
#ifndef CPREFORK_SPAWN_H
#define CPREFORK_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cprefork_sandbox.h"

#pragma clang assume_nonnull begin

/// The signals that were ignored when this program began, signal n as bit n - 1. Programs that it starts ignore them,
/// too, unless this program has begun to handle them itself. Never SIGPIPE, which service managers ignore and programs
/// rely on, and SIGCHLD, with which they would lose the status of their children.
uint64_t cprefork_inherited_ignored_signals(void);

/// Of an action without SA_SIGINFO. SIG_IGN is a macro that Swift does not see.
bool cprefork_is_ignored(const struct sigaction *action);

/// Where a start failed. SpawnStep in PreforkSystem has the same numbers.
enum cprefork_spawn_step {
    CPREFORK_STEP_NONE,
    CPREFORK_STEP_CLONE,
    CPREFORK_STEP_SESSION,
    CPREFORK_STEP_GROUP,
    CPREFORK_STEP_DESCRIPTORS,
    CPREFORK_STEP_NULL_DEVICE,
    CPREFORK_STEP_CLOSE_OTHERS,
    CPREFORK_STEP_TERMINAL,
    CPREFORK_STEP_CONTROL_GROUP,
    CPREFORK_STEP_NICENESS,
    CPREFORK_STEP_RESOURCE_LIMITS,
    CPREFORK_STEP_SUPPLEMENTARY_GROUPS,
    CPREFORK_STEP_GROUP_ID,
    CPREFORK_STEP_USER_ID,
    CPREFORK_STEP_WORKING_DIRECTORY,
    CPREFORK_STEP_PARENT_DEATH,
    CPREFORK_STEP_NO_NEW_PRIVILEGES,
    CPREFORK_STEP_SANDBOX,
    CPREFORK_STEP_EXEC,
    CPREFORK_STEP_UNSUPPORTED,
};

/// Sources of a descriptor that are not the parent's. CPREFORK_SOURCE_INHERIT - n is the parent's descriptor n if an
/// exec would pass it on, else the null device. The latter replaces a number that is closed, or that a close-on-exec
/// descriptor has taken after the program was started without stdio.
enum {
    CPREFORK_SOURCE_NULL_DEVICE = -1,
    CPREFORK_SOURCE_INHERIT = -2,
};

/// What the child finds at descriptor `target`.
struct cprefork_spawn_descriptor {
    int target;
    int source;
    bool is_handed_on;  ///< the child's own note: the source is not close-on-exec
};

struct cprefork_spawn_limit {
    int resource;  ///< RLIMIT_...
    uint64_t soft, hard;
};

/// Everything that the child does before its program runs. All pointers stay the caller's.
struct cprefork_spawn_plan {
    const char *_Nullable const *_Nullable programs;          ///< paths to try in order, ended by NULL
    char *_Nullable const *_Nullable arguments;               ///< ended by NULL
    char *_Nullable const *_Nullable environment;             ///< ended by NULL
    struct cprefork_spawn_descriptor *_Nullable descriptors;  ///< by rising target. `source` is overwritten
    int descriptor_count;
    const char *_Nullable working_directory;
    bool new_session;
    pid_t process_group;  ///< -1: the parent's, 0: a new group, else that group
    int terminal;         ///< child's descriptor that becomes the controlling terminal, or -1
    const char *_Nullable control_group;  ///< path of a cgroup.procs file
    bool sets_niceness;
    int niceness;
    const struct cprefork_spawn_limit *_Nullable limits;
    int limit_count;
    const gid_t *_Nullable groups;
    int group_count;  ///< -1: the parent's
    int64_t user_id, group_id;  ///< -1: the parent's
    int mask;                   ///< umask, or -1 for the parent's
    int parent_death_signal;    ///< 0 for no signal
    bool no_new_privileges;
    /// What the child enters last. Its ruleset is a descriptor of the parent's.
    const struct cprefork_sandbox *_Nullable sandbox;
    /// Where the parent-death signal cannot be set, the program runs without.
    bool parent_death_is_wish;
    /// Tests: take the ways for kernels and filters without close_range(2), without CLONE_PIDFD.
    bool without_close_range, without_pidfd;
};

struct cprefork_spawn_result {
    pid_t pid;
    int pidfd;    ///< -1 if the kernel gave no pidfd
    int step;     ///< CPREFORK_STEP_NONE: the program runs
    int error;    ///< errno of the failed step
    int program;  ///< which of `programs` the failure is about
    int object;   ///< the descriptor or RLIMIT_... that failed, or -1
};

/// Starts the program by clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD): the child shares the parent's memory until its
/// exec, so that the time does not grow with the parent's size and a failure needs no pipe to come back. The calling
/// thread, and no other, is suspended meanwhile. It takes no lock, and any number of threads may call it.
///
/// A child that fails is reaped here.
void cprefork_spawn(const struct cprefork_spawn_plan *plan, struct cprefork_spawn_result *result);

/// The same by posix_spawn(3), for systems that refuse clone's flags (an old seccomp profile). What posix_spawn cannot
/// do fails with CPREFORK_STEP_UNSUPPORTED, and its other failures cannot be distinguished from failures of exec.
void cprefork_posix_spawn(const struct cprefork_spawn_plan *plan, struct cprefork_spawn_result *result);

#pragma clang assume_nonnull end
#endif
