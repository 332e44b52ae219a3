// Samples of a worker's stack, which it takes itself by a timer of its processor time.
#ifndef CPREFORK_PROFILE_H
#define CPREFORK_PROFILE_H

#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

enum {
    // A lane is one process's part of the shared memory, in words: a head, then a ring of samples.
    CPREFORK_PROFILE_SAMPLE_WORDS = 64,
    CPREFORK_PROFILE_SAMPLES = 255,
    CPREFORK_PROFILE_LANE_WORDS = CPREFORK_PROFILE_SAMPLE_WORDS * (CPREFORK_PROFILE_SAMPLES + 1),
    // The words of a head:
    CPREFORK_PROFILE_WRITTEN = 0,  ///< how many samples were written ever, raised after each
    CPREFORK_PROFILE_REFUSED = 1,  ///< the errno with which the kernel has refused the timer, or 0
    // The words of a sample:
    CPREFORK_PROFILE_COUNT = 0,    ///< how many frames follow
    CPREFORK_PROFILE_WEIGHT = 1,   ///< how many ticks of the timer it stands for
    CPREFORK_PROFILE_FIRST_FRAME = 2,
    CPREFORK_PROFILE_FRAMES = CPREFORK_PROFILE_SAMPLE_WORDS - CPREFORK_PROFILE_FIRST_FRAME,
};

/// What a process is told, as the value of the signal (sigqueue(3)). With a rate of zero it stops.
struct cprefork_profile_order {
    uint32_t lane;     ///< below 256
    uint32_t rate;     ///< samples for each second of processor time, below 1024
    uint32_t seconds;  ///< until it stops by itself, below 4096
};

/// Runs in a new child, before it starts threads. From now on `signal`, sent by this process's parent with an order,
/// starts and stops a timer that sends the same signal, whose handler writes samples to a lane.
///
/// `lanes` has `count` lanes, which stay mapped.
int cprefork_install_profile(int signal, uint64_t *lanes, uint32_t count);

/// Sends an order to a child. Returns 0, or -1 with errno.
int cprefork_send_profile_order(pid_t pid, int signal, struct cprefork_profile_order order);

#pragma clang assume_nonnull end
#endif
