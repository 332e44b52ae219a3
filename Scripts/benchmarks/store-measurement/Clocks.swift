// Time in seconds, and sleeping as the programs in C do it.

import Glibc

func seconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func now() -> Double { seconds(CLOCK_MONOTONIC) }

func processorSeconds() -> Double { seconds(CLOCK_PROCESS_CPUTIME_ID) }

/// Blocks the thread.
func sleep(until instant: Double) {
    let rest = instant - now()
    if rest > 0 { usleep(UInt32(rest * 1e6)) }
}
