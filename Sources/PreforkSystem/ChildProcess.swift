// A child of this process: how to signal it and how to collect it, free of process IDs that are used again.

import CPrefork
import Glibc

/// A child process of this one that has not been waited for.
///
/// It is held by pidfd (pidfd_open(2)), which becomes readable when it ends. Where the kernel or a seccomp filter has
/// none, or no descriptor is left, by its process ID, which cannot be used again before the child is collected; its
/// end is then heard of by SIGCHLD only.
package final class ChildProcess: Sendable {
    package let pid: Int32
    private let pidfd: Descriptor?

    package init(pid: Int32) {
        self.pid = pid
        let number = cprefork_pidfd_open(pid)
        pidfd = number >= 0 ? Descriptor(owning: number) : nil
    }

    /// A child that is held by its process ID alone.
    package init(withoutPidfd pid: Int32) {
        self.pid = pid
        pidfd = nil
    }

    /// The pidfd's number; nil where there is none.
    package var pidfdNumber: Int32? {
        switch pidfd {
        case .some(let descriptor): descriptor.number
        case nil: nil
        }
    }

    /// Sends a signal. A process that has ended already takes it silently.
    package func send(_ signal: Signal) throws(SystemError) {
        do throws(SystemError) {
            if let pidfd = pidfdNumber {
                try systemCall("pidfd_send_signal", on: "\(signal) to process \(pid)") {
                    cprefork_pidfd_send_signal(pidfd, signal.rawValue)
                }
            } else {
                try systemCall("kill", on: "\(signal) to process \(pid)") { Glibc.kill(pid, signal.rawValue) }
            }
        } catch {
            if error.errno != .noProcess { throw error }
        }
    }

    /// Collects the process if it has ended: waitid(2) on this child and never on another one (gunicorn #1584, #3220:
    /// a supervisor that waits for any child steals those of its program).
    ///
    /// - Returns: nil while it lives. A child that somebody else reaped has the status `.lost`.
    package func reap() throws(SystemError) -> ProcessExit? {
        var result = cprefork_exit()
        do throws(SystemError) {
            try systemCall("waitid", on: "process \(pid)") { cprefork_waitid(pidfdNumber ?? -1, pid, &result) }
        } catch {
            guard error.errno == .noChild else { throw error }
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
