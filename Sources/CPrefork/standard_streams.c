#include <errno.h>
#include <fcntl.h>

// The first descriptor that a program opens has the lowest free number. Where 0, 1 or 2 is closed at the start, that
// would be a listener, a store's memory or an epoll, and messages for standard error would be written into it.

/// Before main, and before anything else is opened. Like what service managers give: /dev/null, which started programs
/// inherit. Without /dev they stay closed.
__attribute__((constructor(101))) static void fill_standard_streams(void) {
    for (int number = 0; number <= 2; number++) {
        if (fcntl(number, F_GETFD) != -1 || errno != EBADF) continue;
        // The lower numbers are taken, so that it gets this one.
        if (open("/dev/null", O_RDWR) < 0) return;
    }
}
