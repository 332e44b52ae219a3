#define _GNU_SOURCE
#include "cprefork_output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

enum { STREAMS = 2, CRASHES = 6 };

/// The stream of descriptor 1 + its index. `saved` is the file that was there, `memory` the file that receives its
/// bytes meanwhile, or -1.
static struct stream {
    int saved, memory, flags;
    dev_t device;
    ino_t inode;
} streams[STREAMS] = {{.saved = -1, .memory = -1}, {.saved = -1, .memory = -1}};

/// Written by a single thread only, in which the crash handler also runs.
static int depth;
static pid_t owner;

static const int crashes[CRASHES] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
static struct sigaction before[CRASHES];

/// A write to a file waits for the disk only, and one to /dev/null not even for that.
static bool can_wait(int number) {
    struct stat status;
    if (fstat(number, &status) < 0) return false;
    if (S_ISCHR(status.st_mode)) return status.st_rdev != makedev(1, 3);
    return S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
}

static void put(int from, int number, int flags) {
    while (dup3(from, number, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0 && (errno == EINTR || errno == EBUSY)) {}
}

/// Puts the file back, unless the number was given another one meanwhile.
static void put_back(struct stream *stream, int number) {
    struct stat status;
    bool is_other = fstat(number, &status) == 0 &&
        (status.st_dev != stream->device || status.st_ino != stream->inode);
    if (!is_other) put(stream->saved, number, stream->flags);
    close(stream->saved);
    stream->saved = -1;
}

static void divert(struct stream *stream, int number) {
    if (!can_wait(number)) return;
    struct stat status;
    int memory = memfd_create("prefork-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0) return;
    int saved = fcntl(number, F_DUPFD_CLOEXEC, 3);
    // Of several writers each one adds, as with a pipe.
    if (saved < 0 || fcntl(memory, F_SETFL, O_APPEND) < 0 || fstat(memory, &status) < 0) {
        if (saved >= 0) close(saved);
        close(memory);
        return;
    }
    stream->flags = fcntl(number, F_GETFD);
    stream->device = status.st_dev;
    stream->inode = status.st_ino;
    stream->memory = memory;
    stream->saved = saved;
    put(memory, number, 0);
}

/// poll(2) before a write(2) does not help: another writer may fill the pipe between the two. O_NONBLOCK is set on an
/// open file that this call alone has. `writeWithoutBlocking` does the same where no signal handler may need it.
static ssize_t write_reopened(int number, const void *bytes, size_t count) {
    char path[] = "/proc/self/fd/0";
    path[sizeof path - 2] = (char)('0' + number);
    int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own < 0) return -1;
    ssize_t taken = write(own, bytes, count < 4096 ? count : 4096);
    close(own);
    return taken;
}

/// As much as is taken without waiting: a pipe, a socket, anything else that says that it has room.
/// Returns how much was.
static size_t pass_on(int number, const char *bytes, size_t count) {
    size_t passed = 0;
    while (passed < count) {
        struct iovec piece = {(void *)(uintptr_t)(bytes + passed), count - passed};
        ssize_t taken = pwritev2(number, &piece, 1, -1, RWF_NOWAIT);
        if (taken < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM)) {
            taken = send(number, piece.iov_base, piece.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (taken < 0 && errno == ENOTSOCK) taken = write_reopened(number, piece.iov_base, piece.iov_len);
        }
        if (taken <= 0) break;
        passed += (size_t)taken;
    }
    return passed;
}

/// System calls only: the process ends.
static void rescue(void) {
    for (int index = 0; index < STREAMS; index++) {
        struct stream *stream = &streams[index];
        if (stream->saved < 0) continue;
        put_back(stream, index + 1);
        char bytes[4096];
        off_t at = 0;
        ssize_t count;
        while ((count = pread(stream->memory, bytes, sizeof bytes, at)) > 0 &&
               pass_on(index + 1, bytes, (size_t)count) == (size_t)count)
            at += count;
    }
}

static void put_handlers_back(void);

/// The text of a crash, in memory by now, is on standard error before the previous handler runs or the process ends.
static void on_crash(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    if (owner == getpid()) rescue();
    put_handlers_back();
    // A fault comes again when the instruction does.
    if (info->si_code <= 0) syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), number);
    errno = saved;
}

static void take_crashes(void) {
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_crash;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int index = 0; index < CRASHES; index++) sigaction(crashes[index], &ours, &before[index]);
}

static void put_handlers_back(void) {
    for (int index = 0; index < CRASHES; index++) {
        struct sigaction now;
        // A handler that was set meanwhile stays.
        if (sigaction(crashes[index], NULL, &now) == 0 && now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_crash)
            sigaction(crashes[index], &before[index], NULL);
    }
}

static void at_exit(void) {
    if (depth > 0 && owner == getpid()) {
        fflush(stdout);
        rescue();
    }
}

void cprefork_divert_output(void) {
    static bool is_registered;
    if (depth++ > 0) return;
    owner = getpid();
    for (int index = 0; index < STREAMS; index++) divert(&streams[index], index + 1);
    if (streams[0].saved < 0 && streams[1].saved < 0) return;
    if (!is_registered) is_registered = atexit(at_exit) == 0;
    take_crashes();
}

int cprefork_return_output(int memory[2]) {
    memory[0] = memory[1] = -1;
    if (depth == 0 || --depth > 0) return 0;
    if (streams[0].saved < 0 && streams[1].saved < 0) return 1;
    if (streams[0].saved >= 0) fflush(stdout);
    if (streams[1].saved >= 0) fflush(stderr);
    for (int index = 0; index < STREAMS; index++) {
        if (streams[index].saved < 0) continue;
        put_back(&streams[index], index + 1);
        memory[index] = streams[index].memory;
        streams[index].memory = -1;
        fcntl(memory[index], F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW);
    }
    put_handlers_back();
    return 1;
}

void cprefork_leave_diversion(void) {
    if (depth == 0) return;
    depth = 0;
    for (int index = 0; index < STREAMS; index++) {
        if (streams[index].saved < 0) continue;
        put_back(&streams[index], index + 1);
        close(streams[index].memory);
        streams[index].memory = -1;
    }
    put_handlers_back();
}

void cprefork_flush_without_waiting(void) {
    int memory[STREAMS];
    cprefork_divert_output();
    fflush(NULL);
    if (!cprefork_return_output(memory)) return;
    for (int index = 0; index < STREAMS; index++) {
        if (memory[index] < 0) continue;
        char bytes[4096];
        off_t at = 0;
        ssize_t count;
        bool has_room = true;
        while ((count = pread(memory[index], bytes, sizeof bytes, at)) > 0) {
            size_t passed = has_room ? pass_on(index + 1, bytes, (size_t)count) : 0;
            has_room = passed == (size_t)count;
            // The buffer is empty, and it had room for them before. Standard error has no buffer.
            if (!has_room && index == 0) fwrite(bytes + passed, 1, (size_t)count - passed, stdout);
            at += count;
        }
        close(memory[index]);
    }
}
