// Files by descriptor: no call here follows a symbolic link in the last part of a name.
#define _GNU_SOURCE
#include "cprefork_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "kernel_numbers.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

ssize_t cprefork_attribute(const char *path, const char *name, void *value, size_t size) {
    return getxattr(path, name, value, size);
}

int cprefork_open_at(int directory, const char *name, int flags, mode_t mode) {
    return openat(directory, name, flags, mode);
}

/// struct open_how of Linux 5.6, which older headers lack.
struct how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

enum { NO_MAGICLINKS = 0x02, NO_SYMLINKS = 0x04, BENEATH = 0x08 };

int cprefork_open_beneath(int directory, const char *path, bool follows_links) {
    struct how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
        .resolve = BENEATH | NO_MAGICLINKS | (follows_links ? 0 : NO_SYMLINKS),
    };
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int cprefork_open_step(int directory, const char *name) {
    return openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int cprefork_open_directory(const char *path) { return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC); }

int cprefork_open_place(int directory, const char *name) {
    return openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int cprefork_change_mode(int place, mode_t mode) {
    if (syscall(SYS_fchmodat2, place, "", mode, AT_EMPTY_PATH) == 0) return 0;
    // ENOSYS before Linux 6.6, EPERM by filters that do not know the call.
    if (errno != ENOSYS && errno != EPERM) return -1;
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", place);
    return chmod(name, mode);
}

int cprefork_change_owner(int place, uid_t user, gid_t group) {
    return fchownat(place, "", user, group, AT_EMPTY_PATH);
}

int cprefork_give_name(int directory, const char *from, const char *to) {
    // Without AT_SYMLINK_FOLLOW.
    if (linkat(directory, from, directory, to, 0) == 0) return 0;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return -1;
    int error = errno;
    if (syscall(SYS_renameat2, directory, from, directory, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EEXIST) errno = error;
    return -1;
}

int64_t cprefork_modified_nanoseconds(const void *status) {
    const struct stat *file = status;
    return (int64_t)file->st_mtim.tv_sec * 1000000000 + file->st_mtim.tv_nsec;
}

bool cprefork_has_access_list(const char *path) {
    // A list that says no more than the mode does is not stored (posix_acl_update_mode).
    if (getxattr(path, "system.posix_acl_access", NULL, 0) >= 0) return true;
    return errno != ENODATA && errno != ENOTSUP && errno != ENOSYS;
}
