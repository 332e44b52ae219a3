// What the kernel says of a process of ours, from outside.

import Glibc

package enum ProcessVitals {
    /// Processor time of all threads since the process began; exact, and without reading a file.
    package static func processorTime(of pid: Int32) throws(SystemError) -> Duration {
        var clock = clockid_t()
        let error = clock_getcpuclockid(pid, &clock)
        guard error == 0 else { throw SystemError("clock_getcpuclockid", Errno(rawValue: error), on: "process \(pid)") }
        var time = timespec()
        try systemCall("clock_gettime", on: "processor time of \(pid)") { clock_gettime(clock, &time) }
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Bytes of resident memory: second field of /proc/PID/statm, in pages (proc_pid_statm(5)).
    package static func residentBytes(of pid: Int32) throws(SystemError) -> Int {
        let path = "/proc/\(pid)/statm"
        let fields = try SmallFile.read(path).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { throw SystemError("read", .invalidArgument, on: path) }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
