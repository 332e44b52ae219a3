// Descriptors through a socket (SCM_RIGHTS of unix(7)), and how often this process's ancestors have forked.
#ifndef CPREFORK_PASSING_H
#define CPREFORK_PASSING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// SCM_MAX_FD of the kernel: so many descriptors go with one message.
enum { CPREFORK_PASSING_LIMIT = 253 };

/// socketpair(2): SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK.
int cprefork_packet_pair(int ends[_Nonnull 2]);

/// sendmsg(2) of one packet with `descriptor_count` descriptors, at most CPREFORK_PASSING_LIMIT.
ssize_t cprefork_send_passing(
    int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count);

/// recvmsg(2) of one packet. The descriptors are close-on-exec.
///
/// `descriptors`: room for CPREFORK_PASSING_LIMIT. `descriptor_count`: how many came. `is_truncated`: 1 if the packet
/// had more bytes than `capacity`, or more descriptors than this process has room for. Those that fit did come.
ssize_t cprefork_receive_passing(
    int socket, void *bytes, size_t capacity, int *descriptors, int *descriptor_count, int *is_truncated);

/// As cprefork_receive_passing, and the packet stays where it is: recvmsg(2) with MSG_PEEK makes copies of the descriptors.
/// Reads the packet at the socket's peek offset, which then moves behind it.
ssize_t cprefork_copy_passing(
    int socket, void *bytes, size_t capacity, int *descriptors, int *descriptor_count, int *is_truncated);

/// SO_PEEK_OFF of socket(7): from which byte of what waits the next peek reads; -1: always from the first.
int cprefork_set_peek_offset(int socket, int offset);

/// Whether it is a Unix socket that keeps packets whole (SOCK_SEQPACKET), and no listener.
int cprefork_is_packet_socket(int fd);

/// A pointer of this thread: to what goes with the value that it encodes (0), or came with the one that it decodes (1).
void *_Nullable cprefork_luggage(int arriving);
void cprefork_set_luggage(int arriving, void *_Nullable place);

/// Takes no descriptors with what arrives at a Unix socket, and at the connections that a listener accepts: SO_PASSRIGHTS
/// of Linux 6.16, whose senders get EPERM. ENOPROTOOPT before, EOPNOTSUPP of another family.
int cprefork_refuse_descriptors(int socket);

/// socketpair(2): SOCK_STREAM | SOCK_CLOEXEC, for the output of a child. ends[0] reads and refuses descriptors if the
/// kernel can. ends[1] writes and blocks, with room for `bytes` as far as the user's limits allow.
int cprefork_output_pair(int ends[_Nonnull 2], int bytes);

/// recvmsg(2) with MSG_PEEK | MSG_DONTWAIT, without room for descriptors. Returns the number of bytes, which stay where
/// they are. `has_files`: 1 if descriptors were sent with them. This process never holds the last reference to their
/// files.
ssize_t cprefork_peek(int socket, void *bytes, size_t capacity, int *has_files);

/// A child that has the `count` descriptors of `sorted`, in rising order, and ends when `release` is closed. It sends
/// no signal at its end. See cprefork_reap_holder.
pid_t cprefork_fork_holder(const int *sorted, int count, int *release);

/// Does not wait. Returns 0 while the child has not ended.
int cprefork_reap_holder(pid_t child);

/// fcntl(F_DUPFD_CLOEXEC).
int cprefork_duplicate(int fd);

extern uint64_t cprefork_forks;

/// Differs between a process and every child it forks (pthread_atfork(3)): a plain load, where getpid(2) is a call.
static inline uint64_t cprefork_fork_count(void) { return cprefork_forks; }

#pragma clang assume_nonnull end
#endif
