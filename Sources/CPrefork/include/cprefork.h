// What Swift cannot call by itself: variadic functions, macros, unions in kernel structures, raw system calls
// and thread-local storage. Nothing here decides anything: PreforkSystem gives each call its types and its errors.
#ifndef CPREFORK_H
#define CPREFORK_H

// No _GNU_SOURCE here: the Glibc module is built without it, and two readings of one struct do not mix.
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// ---- processes ------------------------------------------------------------------------------------------------

/// How a child ended, from siginfo_t (whose fields are a union that Swift does not import).
struct cprefork_exit {
    pid_t pid;     ///< 0: no child has ended yet
    int code;      ///< CLD_EXITED, CLD_KILLED or CLD_DUMPED
    int status;    ///< exit code, or the signal's number
    struct rusage usage;
};

/// A time of struct rusage. A process cannot use so much that it overflows.
int64_t cprefork_microseconds(struct timeval time);

/// pidfd_open(2), Linux 5.3. The descriptor is close-on-exec by definition.
int cprefork_pidfd_open(pid_t pid);

/// pidfd_send_signal(2), Linux 5.1.
int cprefork_pidfd_send_signal(int pidfd, int signal);

/// pidfd_send_signal(2) to the group that the process leads (PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9).
int cprefork_pidfd_send_signal_to_group(int pidfd, int signal);

/// Makes SIGCHLD ring a bell, besides what it did before. Returns -1 and errno on failure.
int cprefork_watch_child_signal(int bell);

/// Back to what SIGCHLD did before.
void cprefork_unwatch_child_signal(void);

/// Rings a bell at each SIGTERM and SIGINT instead of their default action. If they have another action, it stays. A
/// second call changes how those that are watched already are watched. `unread`: whether no code waits for the bell.
/// The signals then interrupt the program's waits in the kernel, and the second one ends the process.
void cprefork_watch_stop_signals(int bell, int unread);

/// Back to the default action.
void cprefork_unwatch_stop_signals(void);

/// How many of them came since the last call.
/// `number`: the last one.
int cprefork_take_stop_signals(int *number);

/// Ends this process by the signal's default action.
void cprefork_end_by_signal(int number);

/// Written in Swift, by module Prefork: called before main where that is part of the program.
void cprefork_program_starts(void) __attribute__((weak));

/// waitid(2) with WEXITED | WNOHANG on one child: by pidfd (P_PIDFD, Linux 5.4), or by pid where `pidfd` is -1.
/// The raw call, because glibc's wrapper has no room for the resource usage.
/// `options`: 0, or WNOWAIT to leave the child where it is.
int cprefork_waitid(int pidfd, pid_t pid, int options, struct cprefork_exit *result);

/// prctl(PR_SET_PDEATHSIG).
int cprefork_set_parent_death_signal(int signal);

/// Fresh seeds for random(3) and drand48(3): a forked child otherwise draws the same numbers as its siblings.
void cprefork_reseed(void);

/// Looks up the functions that children call first, so that no child has to.
void cprefork_bind_symbols(void);

/// glibc's own, sys/single_threaded.h. Weak: a program also starts where the C library has none.
extern char __libc_single_threaded __attribute__((weak));

/// Whether this process surely has one thread: none was ever started by pthread_create(3), or the last of them was
/// joined. False where the C library does not say (glibc before 2.32). Inline: asked at each increment of a metric.
static inline bool cprefork_is_surely_single_threaded(void) {
    return &__libc_single_threaded != NULL && __libc_single_threaded;
}

/// Whether the main queue of libdispatch has work that waits for the main thread.
bool cprefork_main_queue_has_work(void);

/// Whether a library has set the hooks by which Swift's concurrency runtime hands jobs to executors.
bool cprefork_has_executor_hooks(void);

/// An object that Swift's runtime has made statically: the storage of empty arrays (0), dictionaries (1) or sets (2).
/// NULL where this program has no such runtime.
const void *_Nullable cprefork_static_object(int number);

/// The second word of a Swift object, as it is now: the compiler of the caller cannot take an earlier one for it.
uint64_t cprefork_reference_word(const void *object);

/// Opens /dev/null at each of the numbers 0, 1 and 2 that is closed; where there is none, what reads as its end and takes
/// nothing. Returns -1 if there is no descriptor left: then they stay closed.
int cprefork_fill_standard_streams(void);

/// close_range(2), Linux 5.9, both ends included. If it is refused, closes the descriptors that /proc names. System
/// calls only, and the caller's stack. Returns -1, with errno, if /proc cannot be read either.
int cprefork_close_range(unsigned first, unsigned last);

/// environ(7), which is NULL after clearenv(3).
char *_Nullable *_Nullable cprefork_environment(void);

/// fflush(NULL). It waits for the readers of what the streams write to.
void cprefork_flush_stdio(void);

/// __fpurge(3) of stdout and stderr: what a child has inherited in their buffers is its parent's to write.
void cprefork_discard_stdio(void);

/// Resets every signal to its default action, except SIGPIPE, which is ignored, and orders to a supervisor, which have
/// no effect. Runs in the child after fork.
void cprefork_reset_signal_actions(void);

/// Gives a signal that is an order to a supervisor (SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU) a handler
/// that does nothing, where it has its default action. False for another signal, which keeps its action.
bool cprefork_disregard_order(int number);

/// How many processors are in this process's affinity mask, or 0 if the kernel does not report it. CPU_COUNT_S is a
/// macro.
int cprefork_affinity_count(void);

// ---- events ---------------------------------------------------------------------------------------------------

/// epoll_pwait2(2) with nanoseconds where the kernel has it (5.11), else epoll_wait(2) with milliseconds,
/// rounded up. A negative timeout waits forever.
int cprefork_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t timeout_ns);

/// The word that was registered with the descriptor (epoll_data is a union).
static inline uint64_t cprefork_epoll_word(const struct epoll_event *event) { return event->data.u64; }

/// epoll_ctl(2) with a 64-bit word as the user's data.
int cprefork_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t word);

/// EPOLLET does not import: it is 1u << 31 behind a cast.
static const uint32_t cprefork_epollet = EPOLLET;
static const uint32_t cprefork_epollexclusive = EPOLLEXCLUSIVE;

// ---- bells ----------------------------------------------------------------------------------------------------
// A timerfd without a time. No call waits, whatever other processes do with the same open file.

/// timerfd_create(2), close-on-exec.
int cprefork_bell(void);

/// 1 for a timerfd.
int cprefork_is_bell(int fd);

/// Makes it readable and wakes every process that watches it: TFD_IOC_SET_TICKS (Linux 3.17,
/// CONFIG_CHECKPOINT_RESTORE), else as `cprefork_ring_by_timer`. May be called in a signal handler.
int cprefork_ring(int bell);

/// The same by a timer of one nanosecond, which costs some microseconds.
int cprefork_ring_by_timer(int bell);

/// Makes it unreadable.
int cprefork_silence(int bell);

// ---- the wall clock -------------------------------------------------------------------------------------------

/// A timerfd that becomes readable when the wall clock is set, close-on-exec. Not armed.
int cprefork_clock_notice(void);

/// Forgets the last change and waits for the next one. Does not wait itself.
int cprefork_clock_notice_arm(int fd);

// ---- descriptors ----------------------------------------------------------------------------------------------

/// fcntl(2) is variadic.
int cprefork_fcntl(int fd, int command, int argument);

/// open(2) is variadic.
int cprefork_open(const char *path, int flags, mode_t mode);

/// pipe2(2) with O_CLOEXEC | O_NONBLOCK. ends[0] reads, ends[1] writes.
int cprefork_pipe(int ends[_Nonnull 2]);

/// pipe2(2) with O_CLOEXEC alone: a program expects its end to block.
int cprefork_blocking_pipe(int ends[_Nonnull 2]);

/// O_NONBLOCK by ioctl(FIONBIO): one call instead of fcntl's two.
int cprefork_set_nonblocking(int fd);

/// How many bytes can be read now (FIONREAD).
int cprefork_waiting_bytes(int fd, int *count);

/// A new pseudo-terminal, both sides close-on-exec. Returns the primary side, or -1 and errno on failure.
int cprefork_open_terminal(int *replica);

/// TIOCSWINSZ: the size in characters. The program gets SIGWINCH.
int cprefork_set_terminal_size(int terminal, unsigned short rows, unsigned short columns);

/// accept4(2) with SOCK_CLOEXEC | SOCK_NONBLOCK.
///
/// `peer` is a struct sockaddr_storage, untyped here so that the type has one home, the Glibc module.
int cprefork_accept(int listener, void *peer, uint32_t *length);

/// As `cprefork_accept`, on a listener of which other processes may take away O_NONBLOCK at any moment: sets the flag
/// again, and waits for at most some 10 ms.
///
/// Takes a real-time signal of the process for its timer, and a timer of the calling thread.
/// `is_repaired`: 1 when the flag was missing.
int cprefork_accept_shared(int listener, void *peer, uint32_t *length, int *is_repaired);

/// Gives the calling thread's timer back. The next `cprefork_accept_shared` makes another one.
void cprefork_end_shared_accept(void);

/// The accept queue of a listening socket and its limit, by sock_diag(7). Returns -1 and errno on failure.
int cprefork_unix_listen_queue(int listener, uint32_t *waiting, uint32_t *limit);
int cprefork_tcp_listen_queue(int listener, int family, uint32_t *waiting, uint32_t *limit);

// ---- clocks ---------------------------------------------------------------------------------------------------
// struct timespec is declared in two modules of the toolchain, so times cross as numbers.

/// CLOCK_MONOTONIC in nanoseconds.
int64_t cprefork_monotonic_nanoseconds(void);

/// CLOCK_MONOTONIC_COARSE in nanoseconds: the time of the kernel's last tick.
int64_t cprefork_coarse_nanoseconds(void);

/// CLOCK_REALTIME in milliseconds since 1970.
int64_t cprefork_wall_clock_milliseconds(void);

/// Processor time of a process in nanoseconds (clock_getcpuclockid(3)). Returns -1 and errno on failure.
int64_t cprefork_processor_nanoseconds(pid_t pid);

// ---- memory ---------------------------------------------------------------------------------------------------

/// memmem(3), which the Glibc module does not show.
const void *_Nullable cprefork_find(const void *bytes, size_t count, const void *sequence, size_t length);

/// memrchr(3), which it does not show either.
const void *_Nullable cprefork_find_last(const void *bytes, size_t count, int byte);

/// memfd_create(2) with MFD_CLOEXEC | MFD_ALLOW_SEALING.
int cprefork_memory_file(const char *name);

/// fallocate(2) of the first `count` bytes.
int cprefork_reserve(int fd, int64_t count);

/// fallocate(2) with FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE.
int cprefork_punch(int fd, int64_t offset, int64_t count);

/// F_ADD_SEALS: its size is final, and so are its seals.
int cprefork_seal_size(int fd);

/// 1 if it cannot shrink any more (F_SEAL_SHRINK), 0 if it can or is not a memory file.
int cprefork_is_size_sealed(int fd);

/// Prevents all processes from making holes in a memory file, or allows it again: FS_APPEND_FL of ioctl_iflags(2),
/// which memory files have since Linux 6.6, and which only CAP_LINUX_IMMUTABLE sets. Meanwhile no process can map the
/// file for writing. Existing mappings stay writable. Has no effect where the flag is not available.
void cprefork_keep_whole(int fd, int on);

/// Zeroed memory that is shared with children, without a descriptor, and in which no process can make holes (Linux
/// 5.1). MAP_FAILED and errno on failure.
void *_Nonnull cprefork_shared_memory(size_t count);

/// Memory that only this process has, zeroed, of which a page counts when it is touched. MAP_FAILED and errno on failure.
void *_Nonnull cprefork_private_memory(size_t count);

/// mremap(2): moves `count` bytes of a mapping to `to`, in place of what is mapped there. 0, or -1 and errno.
int cprefork_move_mapping(void *from, size_t count, void *to);

// ---- names ----------------------------------------------------------------------------------------------------

/// `EADDRINUSE`, or NULL for an unknown number (strerrorname_np(3), glibc 2.32).
const char *_Nullable cprefork_errno_name(int number);

/// `Address already in use`, never translated (strerrordesc_np(3)).
const char *_Nullable cprefork_errno_text(int number);

/// `TERM`, or NULL (sigabbrev_np(3)).
const char *_Nullable cprefork_signal_name(int number);

// ---- this thread ----------------------------------------------------------------------------------------------

/// One word per thread: the event loop that runs on it, or NULL.
void *_Nullable cprefork_thread_loop(void);
void cprefork_set_thread_loop(void *_Nullable loop);

/// Waits for a thread's end until a time of CLOCK_MONOTONIC, in nanoseconds. Returns 0 or ETIMEDOUT.
int cprefork_join_thread(pthread_t thread, int64_t deadline);

/// Waits at a condition, whose mutex the caller has locked, until a time of CLOCK_MONOTONIC, in nanoseconds. Returns 0 or
/// ETIMEDOUT.
int cprefork_wait_condition(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline);

/// Lets the calling thread take the signals of its own crash. The kernel ends a process without its handler when a
/// thread that blocks such a signal causes it (signal(7)).
void cprefork_unblock_crash_signals(void);

/// In a forked child: makes Swift's notes of the calling thread's ID right, which are its parent's `before`.
///
/// `Synchronization.Mutex` writes the ID of the thread into its lock and takes it from a thread-local word that is
/// filled once and, as the function is inlined from a header (_SynchronizationShims.h), exists in each object file:
/// after a fork some of the words hold the parent's ID and others, used for the first time, the child's. A lock that is
/// taken by one and released by another ends the process ("Call to unlock Mutex on a thread which hasn't acquired the
/// lock"), and so does one that two threads of the child wait for (Swift 6.3.1).
///
/// Where cprefork_learn_thread_numbers() has found the words this is exact. In a stripped file they are guessed by what
/// they hold, if `before` is large enough to be nothing else: not in a container, where it is 1.
void cprefork_renumber_thread(int before);

/// Finds those words by the symbol tables of the program and its libraries, once: later calls return at once. For a
/// process with one thread, before it forks, and before a chroot(2) that hides the files. A file that cannot be read,
/// has no symbols or is malformed is left out.
void cprefork_learn_thread_numbers(void);

#pragma clang assume_nonnull end
#endif
