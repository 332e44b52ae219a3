#define _GNU_SOURCE
#include "cprefork_lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "cprefork.h"

// The file system of pidfds (pidfs, Linux 6.9). <linux/magic.h> of older headers lacks it.
enum { PIDFS = 0x50494446 };

uint64_t cprefork_lock_token_word = 0;

static void forget_token(void) { cprefork_lock_token_word = 0; }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forget_token); }

// The lower half of the lock's 64 bits is what the kernel compares.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half of a lock is not at its address");

// Not FUTEX_PRIVATE_FLAG: the word is shared by several processes.
void cprefork_futex_wait(void *word, uint32_t expected, int64_t nanoseconds) {
    struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
}

void cprefork_futex_wake(void *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }

int cprefork_look_at_process(pid_t pid, uint64_t *number) {
    *number = 0;
    int pidfd = cprefork_pidfd_open(pid);
    if (pidfd < 0) {
        // EINVAL, since Linux 6.15 ENOENT: the number of a thread that leads no process.
        return errno == ESRCH || errno == EINVAL || errno == ENOENT ? 0 : -1;
    }
    struct statfs file_system;
    struct stat status;
    if (fstatfs(pidfd, &file_system) == 0 && file_system.f_type == PIDFS && fstat(pidfd, &status) == 0)
        *number = status.st_ino;
    struct pollfd look = {.fd = pidfd, .events = POLLIN};
    int ready;
    do ready = poll(&look, 1, 0); while (ready < 0 && errno == EINTR);
    close(pidfd);
    return ready > 0 ? 0 : 1;
}
