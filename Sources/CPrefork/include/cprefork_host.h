// Calls that tie a supervisor to its host: identity, process titles, processors, strangers, logs.
#ifndef CPREFORK_HOST_H
#define CPREFORK_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// ---- identity -------------------------------------------------------------------------------------------------
// Declared by glibc under _GNU_SOURCE only, or variadic.

int cprefork_set_groups(const gid_t *groups, size_t count);
int cprefork_set_all_group_ids(gid_t real, gid_t effective, gid_t saved);
int cprefork_set_all_user_ids(uid_t real, uid_t effective, uid_t saved);
int cprefork_all_user_ids(uid_t *real, uid_t *effective, uid_t *saved);
int cprefork_all_group_ids(gid_t *real, gid_t *effective, gid_t *saved);
/// getgrouplist(3): returns -1 and the needed count when `count` is too small.
int cprefork_group_list(const char *user, gid_t primary, gid_t *groups, int *count);
int cprefork_chroot(const char *path);
int cprefork_set_no_new_privileges(void);
int cprefork_set_dumpable(int dumpable);
/// KEYCTL_JOIN_SESSION_KEYRING of keyctl(2), with a new anonymous keyring.
int cprefork_join_new_session_keyring(void);
/// The number of the calling process's session keyring, or -1 and errno if it has no keyring.
int cprefork_session_keyring(void);
int cprefork_dumpable(void);
int cprefork_parent_death_signal(int *signal);
int cprefork_set_child_subreaper(int on);
int cprefork_child_subreaper(void);

// ---- start ----------------------------------------------------------------------------------------------------

/// The directory that the program was started in: PWD where that names it, else what getcwd(3) said. Empty where
/// neither is known.
const char *cprefork_start_directory(void);

/// The path that execve(2) was given (AT_EXECFN of getauxval(3)). It lies where titles are written, so it must be read
/// before.
const char *_Nullable cprefork_executed_path(void);

// ---- process title --------------------------------------------------------------------------------------------

/// Finds the memory that /proc/pid/cmdline shows and makes it available for writing: the environment strings in it move
/// to the heap. Only once: later calls return what the first one did. This is the room in bytes for a title, or 0 if
/// the kernel does not report the memory (then titles change nothing). One thread at a time.
size_t cprefork_prepare_title(uintptr_t arg_start, uintptr_t arg_end, uintptr_t env_start, uintptr_t env_end);

/// Overwrites it with UTF-8, up to a NUL. What does not fit is cut off, no character in its middle. Copies bytes and
/// makes no system call.
void cprefork_set_title(const unsigned char *text, size_t length);

/// prctl(PR_SET_NAME) of the calling thread: 15 bytes.
int cprefork_set_thread_name(const char *name);

// ---- processors -----------------------------------------------------------------------------------------------

/// The processors of this process's affinity mask in rising order. Returns how many there are, which may be more than
/// `capacity`, or -1 and errno on failure.
int cprefork_affinity(int *processors, int capacity);

/// sched_setaffinity(2) of the calling thread.
int cprefork_set_affinity(const int *processors, int count);

// ---- strangers ------------------------------------------------------------------------------------------------

/// Finds a child that has ended and was not collected, and does not collect it: process `pid`, or any child if that is
/// 0. `user` is its real user ID. Returns its process ID, 0 if there is no such child, -1 and errno on failure (ECHILD:
/// no such child).
pid_t cprefork_peek_ended_child(pid_t pid, uid_t *user);

/// Kills the process group of a child that has ended and was not collected: if it ended by SIGKILL, led its group and
/// led no session. Returns whether it did.
int cprefork_end_group_of_killed_child(pid_t pid);

/// Collects one ended child by its number. Returns as above.
pid_t cprefork_collect_child(pid_t pid);

// ---- log files ------------------------------------------------------------------------------------------------

/// dup3(2) with O_CLOEXEC.
int cprefork_replace(int source, int target);

/// pwritev2(2) with RWF_NOWAIT at the file's own position: EAGAIN where it would wait, whatever the open file's flags
/// are. EOPNOTSUPP where the file or the kernel cannot do that (pipes: Linux 6.4).
ssize_t cprefork_write_now(int fd, const void *bytes, size_t count);

// ---- listeners ------------------------------------------------------------------------------------------------

enum { CPREFORK_LISTENER_OPTIONS = 31 };

/// The values of a TCP listener's options that any process with the socket can change, `CPREFORK_LISTENER_OPTIONS` of
/// them. INT_MIN marks an option that the kernel does not have.
void cprefork_note_listener_options(int fd, int32_t *values);

/// Restores the options that differ now. A device that the socket was bound to is left alone without CAP_NET_RAW.
void cprefork_restore_listener_options(int fd, const int32_t *values);

#pragma clang assume_nonnull end
#endif
