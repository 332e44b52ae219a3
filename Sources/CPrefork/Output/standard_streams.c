#define _GNU_SOURCE
#include "cprefork.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

// The first descriptor that a program opens has the lowest free number. Where 0, 1 or 2 is closed at the start, that
// would be a listener, a store's memory or an epoll, and messages for standard error would be written into it.

/// Without /dev/null (in a chroot or an incomplete container), opens the reading end of a pipe without a writer: a
/// reader finds the end, and a writer gets EBADF, as for a closed descriptor. It is not a directory, because a
/// descriptor of one leads out of a chroot.
static int open_nothing(void) {
    int ends[2];
    if (pipe2(ends, 0) < 0) return -1;
    close(ends[1]);
    return ends[0];
}

int cprefork_fill_standard_streams(void) {
    for (int number = 0; number <= 2; number++) {
        if (fcntl(number, F_GETFD) != -1 || errno != EBADF) continue;
        int opened = open("/dev/null", O_RDWR | O_NOCTTY);
        if (opened < 0) opened = open_nothing();
        if (opened < 0) return -1;
        // The lower numbers are taken, so that it gets this one, unless another thread was faster.
        if (opened > 2) close(opened);
    }
    return 0;
}

/// Before main, and before anything else is opened. Like what service managers give: started programs inherit it.
__attribute__((constructor(101))) static void fill_standard_streams(void) { (void)cprefork_fill_standard_streams(); }
