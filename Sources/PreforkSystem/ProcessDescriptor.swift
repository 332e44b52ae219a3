// pidfd_open(2): a process by descriptor, which no process ID that is used again can confuse.

import CPrefork
import Glibc

/// A child process of this one. The descriptor becomes readable when the process ends.
package struct ProcessDescriptor: ~Copyable, Sendable {
    package let pid: Int32
    package let descriptor: Descriptor

    /// - Parameter pid: an own child that has not been waited for; until it is, its number cannot be used again.
    package init(child pid: Int32) throws(SystemError) {
        self.pid = pid
        descriptor = Descriptor(owning: try systemCall("pidfd_open", on: "process \(pid)") { cprefork_pidfd_open(pid) })
    }

    /// Sends a signal. A process that has ended already takes it silently.
    package func send(_ signal: Signal) throws(SystemError) {
        do {
            try systemCall("pidfd_send_signal", on: "\(signal) to process \(pid)") {
                cprefork_pidfd_send_signal(descriptor.number, signal.rawValue)
            }
        } catch where error.errno == .noProcess {
            return
        }
    }

    /// Collects the process if it has ended: waitid(2) with P_PIDFD reaps this child and never another one
    /// (gunicorn #1584, #3220: a supervisor that waits for any child steals those of its program).
    ///
    /// - Returns: nil while it lives. A child that somebody else reaped has the status `.lost`.
    package func reap() throws(SystemError) -> ProcessExit? {
        var result = cprefork_exit()
        do {
            try systemCall("waitid", on: "process \(pid)") { cprefork_waitid_pidfd(descriptor.number, &result) }
        } catch where error.errno == .noChild {
            return ProcessExit(status: .lost, usage: ResourceUsage())
        }
        if result.pid == 0 { return nil }
        let status: ExitStatus =
            switch Int(result.code) {
            case Int(CLD_EXITED): .exited(code: result.status)
            case Int(CLD_DUMPED): .signaled(Signal(rawValue: result.status), coreDumped: true)
            default: .signaled(Signal(rawValue: result.status), coreDumped: false)
            }
        return ProcessExit(status: status, usage: ResourceUsage(result.usage))
    }
}
