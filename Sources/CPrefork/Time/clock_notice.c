// Notice of a change of the wall clock: timerfd_create(2) with TFD_TIMER_CANCEL_ON_SET (Linux 3.0).
#define _GNU_SOURCE
#include "cprefork.h"

#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

int cprefork_clock_notice(void) { return timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK); }

int cprefork_clock_notice_arm(int fd) {
    // Its own time is far away: only a change of the clock, or the end of a suspension, makes it readable.
    const struct itimerspec far = {.it_value = {.tv_sec = INT64_C(1) << 40}};
    uint64_t expirations;
    // ECANCELED says that the clock was set. What was read is of no interest.
    if (read(fd, &expirations, sizeof expirations) < 0) { /* nothing has come */ }
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}
