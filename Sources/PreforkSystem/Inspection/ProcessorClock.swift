// The processor time of a process, exact and without reading a file.

import CPrefork

package enum ProcessorClock {
    /// Processor time of all threads since the process began (clock_getcpuclockid(3)).
    package static func time(of pid: Int32) throws(SystemError) -> Duration {
        .nanoseconds(
            try systemCall("clock_gettime", on: "processor time of \(pid)") { cprefork_processor_nanoseconds(pid) })
    }
}
