// A child of this process: how to signal it and how to collect it, free of process IDs that are used again.

import CPrefork
import Glibc

/// A child process of this one that has not been waited for.
///
/// It is held by its pidfd (pidfd_open(2)), which becomes readable when it ends. If the kernel or a seccomp filter has
/// no pidfd, or no descriptor is left, it is held by its process ID, which cannot be used again before the child is
/// collected. Only SIGCHLD then announces its end.
package final class ChildProcess: Sendable {
    package let pid: Int32
    private let pidfd: Descriptor?

    package init(pid: Int32) {
        self.pid = pid
        let number = cprefork_pidfd_open(pid)
        pidfd = number >= 0 ? Descriptor(owning: number) : nil
    }

    /// A child whose pidfd was made with it (CLONE_PIDFD).
    package init(pid: Int32, pidfd: Int32) {
        self.pid = pid
        self.pidfd = Descriptor(owning: pidfd)
    }

    /// A child that is held by its process ID alone.
    package init(withoutPidfd pid: Int32) {
        self.pid = pid
        pidfd = nil
    }

    /// The pidfd's number, or nil if there is no pidfd.
    package var pidfdNumber: Int32? {
        switch pidfd {
        case .some(let descriptor): descriptor.number
        case nil: nil
        }
    }

    /// Sends a signal. A process that has ended already takes it silently.
    ///
    /// If pidfd_send_signal(2) is refused (container profiles from before 2019), signals by number, after a check that
    /// the number still is this child's and that the child has not been collected.
    package func send(_ signal: Signal) throws(SystemError) {
        do throws(SystemError) {
            if let pidfd = pidfdNumber {
                if cprefork_pidfd_send_signal(pidfd, signal.rawValue) >= 0 { return }
                let errno = Errno.current
                guard PidfdSignals.isRefusal(errno) else {
                    throw SystemError("pidfd_send_signal", errno, on: "\(signal) to process \(pid)")
                }
                guard isUncollected else { return }
            }
            try systemCall("kill", on: "\(signal) to process \(pid)") { Glibc.kill(pid, signal.rawValue) }
        } catch {
            if error.errno != .noProcess { throw error }
        }
    }

    /// Whether it is a child of this process that has not been collected, ended or not, so that its number is not used
    /// again.
    private var isUncollected: Bool {
        var result = cprefork_exit()
        return cprefork_waitid(-1, pid, Int32(WNOWAIT), &result) == 0
    }

    /// Sends a signal to the process group that the child leads.
    ///
    /// By pidfd (Linux 6.9), that is right even if the child is gone and others of its group live on: the signal goes
    /// to the kernel's object and not to its number, which another group may have by then. Without a pidfd, the number
    /// is safe only until the child is reaped, which the caller must ensure.
    ///
    /// - Returns: false when the group has no process.
    @discardableResult
    package func sendToGroup(_ signal: Signal, isReaped: Bool) throws(SystemError) -> Bool {
        let object = "\(signal) to group \(pid)"
        do throws(SystemError) {
            if let pidfd = pidfdNumber {
                try systemCall("pidfd_send_signal", on: object) {
                    cprefork_pidfd_send_signal_to_group(pidfd, signal.rawValue)
                }
                return true
            }
        } catch {
            if error.errno == .noProcess { return false }
            // EINVAL: a kernel before 6.9 does not know the flag.
            if error.errno != .invalidArgument && !PidfdSignals.isRefusal(error.errno) { throw error }
        }
        if isReaped { return false }
        do throws(SystemError) {
            try systemCall("kill", on: object) { Glibc.kill(-pid, signal.rawValue) }
            return true
        } catch {
            if error.errno != .noProcess { throw error }
            return false
        }
    }

    /// Whether that number is of a child of this process, living or ended, that has not been collected.
    package static func isChild(_ pid: Int32) -> Bool {
        var result = cprefork_exit()
        return cprefork_waitid(-1, pid, Int32(WNOWAIT), &result) == 0
    }

    /// Whether it has ended and has not been collected, so that its number and its group's are not used again. Also
    /// false if other code has collected it.
    package var hasEnded: Bool {
        var result = cprefork_exit()
        return cprefork_waitid(pidfdNumber ?? -1, pid, Int32(WNOWAIT), &result) == 0 && result.pid != 0
    }

    /// Whether `sendToGroup` works when the child has been reaped.
    package var reachesGroupForEver: Bool {
        guard let pidfd = pidfdNumber else { return false }
        if cprefork_pidfd_send_signal_to_group(pidfd, 0) == 0 { return true }
        let errno = Errno.current
        return errno != .invalidArgument && !PidfdSignals.isRefusal(errno)
    }

    /// Collects the process if it has ended. Calls waitid(2) on this child and never on another one (gunicorn #1584,
    /// #3220: a supervisor that waits for any child steals the children of its program).
    ///
    /// - Returns: nil while it lives, and also while this process traces it at its own request. A child that other code
    /// reaped has the status `.lost`.
    package func reap() throws(SystemError) -> ProcessExit? {
        var result = cprefork_exit()
        do throws(SystemError) {
            try systemCall("waitid", on: "process \(pid)") { cprefork_waitid(pidfdNumber ?? -1, pid, 0, &result) }
        } catch {
            guard error.errno == .noChild else { throw error }
            ReapedChildren.tell(pid)
            return ProcessExit(status: .lost, usage: ResourceUsage())
        }
        if result.pid == 0 { return nil }
        ReapedChildren.tell(pid)
        let status: ExitStatus =
            switch Int(result.code) {
            case Int(CLD_EXITED): .exited(code: result.status)
            case Int(CLD_DUMPED): .signaled(Signal(rawValue: result.status), coreDumped: true)
            default: .signaled(Signal(rawValue: result.status), coreDumped: false)
            }
        return ProcessExit(status: status, usage: ResourceUsage(result.usage))
    }

    /// Whether the kernel reports that it has ended, though `reap` may have nothing yet: a traced process shows its end
    /// to the tracer first, and to its parent only when the tracer has collected it, detaches or ends (ptrace(2)).
    package var isOver: Bool {
        if let pidfdNumber { return (try? Polling.waitUntilReadable([pidfdNumber], until: .now)) == true }
        return (try? SmallFile.read("/proc/\(pid)/stat", limit: 512))?.split(separator: ")").last?.hasPrefix(" Z") == true
    }

    /// The process that traces it, or nil if it is not traced or the tracer is unknown.
    package var tracer: Int32? {
        // The kernel escapes line ends in the name, which is the process's own choice.
        guard let status = try? SmallFile.read("/proc/\(pid)/status", limit: 8192),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("TracerPid:") }),
            let number = line.split(whereSeparator: { $0 == "\t" || $0 == " " }).last.flatMap({ Int32($0) }), number > 0
        else { return nil }
        return number
    }

    /// A child whose end `epoll` reports once with `word`: see `isOver`. If epoll takes no further descriptor (ENOMEM,
    /// the user's limit of watches), the child has no pidfd, and SIGCHLD announces its end.
    package static func watched(_ pid: Int32, by epoll: borrowing Epoll, word: UInt64) -> ChildProcess {
        let child = ChildProcess(pid: pid)
        guard let number = child.pidfdNumber else { return child }
        do throws(SystemError) {
            try epoll.add(number, .readableOnce, word: word)
            return child
        } catch {
            return ChildProcess(withoutPidfd: pid)
        }
    }

    /// Like `reap`, but never throws. waitid(2) on a child of this process fails only if other code has closed its
    /// descriptor, and the exit status is then lost.
    package func reapOrLose() -> ProcessExit? {
        do throws(SystemError) {
            return try reap()
        } catch {
            return ProcessExit(status: .lost, usage: ResourceUsage())
        }
    }
}
