// What a process does that wishes its pool ill: generic perturbation of everything that it shares with others.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/// Kinds of attack, as bits of `hostile_plan.kinds`.
enum hostile_kind {
    HOSTILE_WORDS = 1 << 0,      ///< random words over every shared mapping
    HOSTILE_FLAGS = 1 << 1,      ///< every flag of every descriptor flipped
    HOSTILE_TRAFFIC = 1 << 2,    ///< descriptors filled, emptied, shut down, sent garbage
    HOSTILE_PASSING = 1 << 3,    ///< sockets with SO_LINGER passed to every Unix socket
    HOSTILE_FILES = 1 << 4,      ///< truncation, holes and locks of files
    HOSTILE_LISTENERS = 1 << 5,  ///< listeners shut down, filtered, their connections stolen
    HOSTILE_RIGHTS = 1 << 6,     ///< what the kernel must refuse
    HOSTILE_FORKS = 1 << 7,      ///< copies of the process that stay
    HOSTILE_DEATH = 1 << 8,      ///< ends other than SIGKILL at the deadline
    // 1 << 9: control codes, which Swift code sends.
    HOSTILE_TRACED = 1 << 10,    ///< a helper traces the process, whose end its parent then does not see
    HOSTILE_CHILDREN = 1 << 11,  ///< children made for the supervisor (CLONE_PARENT), which end at once
};

/// One attack. The strings must outlive it.
struct hostile_plan {
    uint64_t seed;
    int64_t deadline;        ///< CLOCK_MONOTONIC, nanoseconds: the process is gone soon after
    uint32_t kinds;          ///< of these, the seed draws
    bool is_worker;          ///< hang detection looks after it: it may stop itself
    pid_t supervisor;
    pid_t witness;           ///< a process of root outside of the pool that must not be signalled either
    uid_t user;              ///< whom it must run as
    const char *folder;      ///< `tell` in it takes the findings
};

/// Attacks, and ends the process in most cases, at the latest a moment after the deadline.
void hostile_attack(const struct hostile_plan *plan);

/// Bounds what the process and its children can take from the machine.
void hostile_limit_self(void);

/// Gives up root where the library has not done it, which is told as a finding.
///
/// Returns false where it could not.
bool hostile_drop_rights(const struct hostile_plan *plan);

/// Ends this process, and all images of it that follow, when the thread that started it ends.
void hostile_die_with_parent(void);

/// Has a helper of the same user trace this process until the deadline, so that its parent cannot collect it.
///
/// `at_exit`: it cannot even end (PTRACE_O_TRACEEXIT). Returns the helper, or -1 when the kernel refuses.
pid_t hostile_be_traced(bool at_exit, int64_t deadline);

/// Has the parent trace this process, and stops it: no process continues it.
void hostile_be_trapped(void);

/// Makes children of the parent (CLONE_PARENT) that end at once.
void hostile_leave_children(int count);

/// Has a helper stop and continue this process without pause until the deadline. Returns the helper.
pid_t hostile_be_stopped(volatile int64_t *rounds, int64_t deadline);

/// Sends SIGCONT without pause. Returns whether the kernel allowed it.
bool hostile_continue(pid_t process, volatile int64_t *rounds, int64_t deadline);

/// Leaves TCP sockets in every Unix socket that this process has: the process that closes them last waits for
/// `seconds`. Returns the process that has their other end for that time, or -1 on failure.
pid_t hostile_leave_lingering(int seconds);

/// Has the kernel send SIGHUP and SIGCONT to a whole process group, `rounds` times: a process joins it, stops, and
/// loses its parent, which was the group's last one in the session. Returns how often that could join.
int hostile_orphan_group(pid_t group, int rounds);

/// From now on counts each SIGCONT that this process gets.
void hostile_count_continues(volatile int64_t *count);

/// A page whose first touch waits for `hostile_give_memory`, in the kernel as well. `faults` is readable when a touch
/// waits. NULL if this process may not have such a page.
void *hostile_slow_memory(int *faults);

/// Lets those go on that wait for the page.
void hostile_give_memory(void *memory, int faults);
