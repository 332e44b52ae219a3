// Files and Unix sockets by descriptor: calls that glibc hides from Swift, or that older headers lack.
#ifndef CPREFORK_PATHS_H
#define CPREFORK_PATHS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// openat(2) is variadic.
int cprefork_open_at(int directory, const char *name, int flags, mode_t mode);

/// openat2(2) for reading, where no part of the path may lead out of the directory, nor through /proc to what other
/// processes have open. It does not wait for a FIFO's writer.
///
/// - Parameter follows_links: symbolic links that stay below the directory are followed. Otherwise each is ELOOP.
int cprefork_open_beneath(int directory, const char *path, bool follows_links);

/// One step down to a directory, which must not be a symbolic link: O_PATH | O_NOFOLLOW.
int cprefork_open_step(int directory, const char *name);

/// The directory as a place for the calls with "at": O_PATH needs the right to search it, not to list it.
int cprefork_open_directory(const char *path);

/// The file itself, and not what a symbolic link names: O_PATH | O_NOFOLLOW.
int cprefork_open_place(int directory, const char *name);

/// Changes the mode of what an O_PATH descriptor holds: fchmodat2(2) of Linux 6.6, else by /proc.
int cprefork_change_mode(int place, mode_t mode);

/// Changes the owner of what an O_PATH descriptor holds. -1 leaves a user or a group as it is.
int cprefork_change_owner(int place, uid_t user, gid_t group);

/// Gives `from` the name `to` in the same directory, where that name is free: link(2), and renameat2(2) with
/// RENAME_NOREPLACE on file systems without hard links. The name `from` may be left. EEXIST when `to` is taken.
int cprefork_give_name(int directory, const char *from, const char *to);

/// bind(2) of a Unix socket with exactly this mode, in `directory` where the address is relative to it, else -1.
/// `address` is a struct sockaddr_un.
int cprefork_bind_unix(int socket, int directory, const void *address, uint32_t length, mode_t mode);

/// Whether the file has an access list (acl(5)) beyond its mode, or the kernel does not report it. Links are followed.
bool cprefork_has_access_list(const char *path);

/// getxattr(2), which the Glibc module does not have.
ssize_t cprefork_attribute(const char *path, const char *name, void *value, size_t size);

/// When a file was written last, in nanoseconds since 1970. `status` is a struct stat. Swift must not name the members
/// of its struct timespec: which module they belong to depends on the order in which the compiler meets the files.
int64_t cprefork_modified_nanoseconds(const void *status);

/// Whether a socket of this network namespace is bound to the file, listening or not, by sock_diag(7). Returns -1 and
/// errno if the kernel does not report it.
int cprefork_is_bound(uint32_t major, uint32_t minor, uint64_t inode);

#pragma clang assume_nonnull end
#endif
