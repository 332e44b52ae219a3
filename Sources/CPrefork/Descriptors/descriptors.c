#define _GNU_SOURCE
#include "cprefork.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int cprefork_fcntl(int fd, int command, int argument) { return fcntl(fd, command, argument); }

int cprefork_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

int cprefork_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

int cprefork_blocking_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int cprefork_accept(int listener, void *peer, uint32_t *length) {
    return accept4(listener, peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
