// Signal sets, masks and signalfd(2): signals as things to read instead of code that interrupts.

import CPrefork
import Glibc

/// A signal number, printed by its name.
public struct Signal: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    public static let hangUp = Signal(rawValue: SIGHUP)
    public static let interrupt = Signal(rawValue: SIGINT)
    public static let quit = Signal(rawValue: SIGQUIT)
    public static let abort = Signal(rawValue: SIGABRT)
    public static let kill = Signal(rawValue: SIGKILL)
    public static let terminate = Signal(rawValue: SIGTERM)
    public static let child = Signal(rawValue: SIGCHLD)
    public static let user1 = Signal(rawValue: SIGUSR1)
    public static let user2 = Signal(rawValue: SIGUSR2)
    public static let stop = Signal(rawValue: SIGSTOP)
    public static let resume = Signal(rawValue: SIGCONT)
    public static let brokenPipe = Signal(rawValue: SIGPIPE)

    /// Asks whether there is somebody to signal, and sends nothing (kill(2)).
    package static let none = Signal(rawValue: 0)

    /// The name as in signal(7), for example `SIGTERM`.
    public var description: String {
        guard let name = cprefork_signal_name(rawValue) else { return "signal \(rawValue)" }
        return "SIG\(String(cString: name))"
    }
}

/// A set of signals.
package struct SignalSet: Sendable {
    var set = sigset_t()

    package init(_ signals: [Signal]) {
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal.rawValue) }
    }

    /// The set with `signals` added.
    package func union(_ signals: [Signal]) -> SignalSet {
        var union = self
        for signal in signals { sigaddset(&union.set, signal.rawValue) }
        return union
    }

    package static var all: SignalSet {
        var all = SignalSet([])
        sigfillset(&all.set)
        return all
    }
}

/// The calling thread's signal mask.
package enum SignalMask {
    /// Blocks `signals` on top of what is blocked.
    ///
    /// - Returns: the mask before, for `restore`.
    @discardableResult
    package static func block(_ signals: SignalSet) -> SignalSet {
        var before = SignalSet([])
        var set = signals.set
        pthread_sigmask(SIG_BLOCK, &set, &before.set)
        return before
    }

    package static func restore(_ mask: SignalSet) {
        var set = mask.set
        pthread_sigmask(SIG_SETMASK, &set, nil)
    }
}

/// signalfd(2): reads blocked signals as they arrive.
package struct SignalDescriptor: ~Copyable, Sendable {
    package let descriptor: Descriptor

    /// - Parameter signals: must be blocked in every thread of the process, or they keep their usual effect.
    package init(_ signals: SignalSet) throws(SystemError) {
        var set = signals.set
        let flags = Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK)
        descriptor = Descriptor(owning: try systemCall("signalfd") { signalfd(-1, &set, flags) })
    }

    /// The next pending signal and the process that sent it (0: the kernel); nil when none is pending.
    package func next() -> (signal: Signal, sender: Int32)? {
        var info = signalfd_siginfo()
        while true {
            let count = Glibc.read(descriptor.number, &info, MemoryLayout<signalfd_siginfo>.size)
            if count == MemoryLayout<signalfd_siginfo>.size {
                return (Signal(rawValue: Int32(info.ssi_signo)), Int32(info.ssi_pid))
            }
            if count < 0, Errno.current == .interrupted { continue }
            return nil
        }
    }
}
