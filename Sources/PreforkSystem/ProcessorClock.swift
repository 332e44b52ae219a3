// How much processor time a process has had, exactly and without reading a file.

import Glibc

package enum ProcessorClock {
    /// Processor time of all threads since the process began (clock_getcpuclockid(3)).
    package static func time(of pid: Int32) throws(SystemError) -> Duration {
        var clock = clockid_t()
        let error = clock_getcpuclockid(pid, &clock)
        guard error == 0 else { throw SystemError("clock_getcpuclockid", Errno(rawValue: error), on: "process \(pid)") }
        var time = timespec()
        try systemCall("clock_gettime", on: "processor time of \(pid)") { clock_gettime(clock, &time) }
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
