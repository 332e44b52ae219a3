// The end of a child process and what it used, decoded once.

import CPrefork
import Glibc

/// How a process ended.
public enum ExitStatus: Hashable, Sendable {
    /// It returned or called exit with this code, 0...255.
    case exited(code: Int32)
    /// A signal ended it. `coreDumped` is true if the kernel wrote a core file.
    case signaled(Signal, coreDumped: Bool)
    /// Another process has reaped it, or traces it and keeps its end from its parent: how it ended is not known.
    case lost

    /// True for exit code 0 only.
    public var isSuccess: Bool { self == .exited(code: 0) }

    /// The exit code, or minus the signal's number, as tornado and Python's subprocess count. Nil if lost.
    public var returnCode: Int32? {
        switch self {
        case .exited(let code): code
        case .signaled(let signal, _): -signal.rawValue
        case .lost: nil
        }
    }
}

extension ExitStatus: CustomStringConvertible {
    public var description: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .signaled(let signal, let coreDumped): "killed by \(signal)\(coreDumped ? " (core dumped)" : "")"
        case .lost: "ended (status lost: another process has reaped it, or traces it)"
        }
    }
}

/// What a process used in its life, from its rusage (getrusage(2)).
public struct ResourceUsage: Hashable, Sendable {
    /// Processor time in its own code.
    public var userTime: Duration
    /// Processor time in the kernel on its behalf.
    public var systemTime: Duration
    /// The largest resident size it ever had, in bytes.
    ///
    /// The kernel counts a process from its fork or clone on, while it still has the memory of the process that started
    /// it (getrusage(2), ru_maxrss survives execve). For a program started by a larger one, the figure is an upper
    /// bound.
    public var peakMemory: Int

    init(_ usage: rusage) {
        // In C: where the members of timeval are declared depends on what else is compiled (Swift 6.3.1).
        userTime = .microseconds(cprefork_microseconds(usage.ru_utime))
        systemTime = .microseconds(cprefork_microseconds(usage.ru_stime))
        peakMemory = Int(usage.ru_maxrss) * 1024  // in KiB on Linux
    }

    package init(userTime: Duration = .zero, systemTime: Duration = .zero, peakMemory: Int = 0) {
        self.userTime = userTime
        self.systemTime = systemTime
        self.peakMemory = peakMemory
    }
}

/// A child that was waited for.
package struct ProcessExit: Equatable, Sendable {
    package var status: ExitStatus
    package var usage: ResourceUsage

    package init(status: ExitStatus, usage: ResourceUsage) {
        self.status = status
        self.usage = usage
    }
}
