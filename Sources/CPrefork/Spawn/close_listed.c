// Closing descriptors without close_range(2): for kernels before 5.9 and filters that do not know it.
#define _GNU_SOURCE
#include "close_listed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct directory_entry {  // struct linux_dirent64, which no header shows (getdents64(2))
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/// The directory is read again after each batch, because closing changes it.
///
/// The listing is a descriptor, too. If the caller has given up that number, it is closed last. If the caller keeps it,
/// it was free, and is free again.
int cprefork_close_listed(unsigned first, unsigned last) {
    int folder = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (folder < 0) return -1;
    bool has_closed;
    do {
        has_closed = false;
        char buffer[4096] __attribute__((aligned(8)));
        long count = syscall(SYS_lseek, folder, 0, SEEK_SET) < 0 ? -1 : 0;
        while (count == 0 && (count = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0) {
            for (long at = 0; at < count;) {
                const struct directory_entry *entry = (const struct directory_entry *)(buffer + at);
                at += entry->length;
                unsigned number = 0;
                const char *digit = entry->name;
                for (; *digit >= '0' && *digit <= '9'; digit++) number = number * 10 + (unsigned)(*digit - '0');
                if (digit == entry->name || number < first || number > last || number == (unsigned)folder) continue;
                syscall(SYS_close, number);
                has_closed = true;
            }
            count = 0;
        }
        if (count < 0) {
            int error = errno;
            syscall(SYS_close, folder);
            errno = error;
            return -1;
        }
    } while (has_closed);
    syscall(SYS_close, folder);
    return 0;
}
