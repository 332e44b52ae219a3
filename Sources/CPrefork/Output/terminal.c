#define _GNU_SOURCE
#include "cprefork.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int cprefork_open_terminal(int *replica) {
    int primary = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (primary < 0) return -1;
    // By descriptor, not by name: right also where /dev/pts is another mount's (ioctl_tty(2), Linux 4.13).
    if (unlockpt(primary) == 0 && (*replica = ioctl(primary, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0)
        return primary;
    close(primary);
    return -1;
}

int cprefork_set_terminal_size(int terminal, unsigned short rows, unsigned short columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(terminal, TIOCSWINSZ, &size);
}

int cprefork_waiting_bytes(int fd, int *count) { return ioctl(fd, FIONREAD, count); }

int cprefork_set_nonblocking(int fd) {
    int on = 1;
    return ioctl(fd, FIONBIO, &on);
}
