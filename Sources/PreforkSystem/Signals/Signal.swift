// Signal sets, masks and signalfd(2): signals as things to read instead of code that interrupts.

import CPrefork
import Glibc

/// A signal number, printed by its name.
public struct Signal: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// SIGHUP. A supervisor reloads its workers one after another.
    public static let hangUp = Signal(rawValue: SIGHUP)
    /// SIGINT, which Ctrl-C sends. A supervisor stops quickly, and a second one kills its workers.
    public static let interrupt = Signal(rawValue: SIGINT)
    /// SIGQUIT. A supervisor drains its workers and stops. By default it ends a process with a core file.
    public static let quit = Signal(rawValue: SIGQUIT)
    /// SIGABRT, which abort(3) raises, for example in a failed assertion of C code.
    public static let abort = Signal(rawValue: SIGABRT)
    /// SIGBUS: an access to mapped memory that has no storage, such as a page behind the end of a truncated file.
    public static let busError = Signal(rawValue: SIGBUS)
    /// SIGSEGV: an access to an address that is not mapped or is protected.
    public static let segmentationFault = Signal(rawValue: SIGSEGV)
    /// Those that the kernel or the process itself raises for a fault, and that end it: signal(7), "Core". SIGSYS, of a
    /// seccomp filter, is one of them that no process marks.
    package var isOfCrash: Bool { cprefork_is_crash_signal(rawValue) == 1 || rawValue == SIGSYS }
    /// SIGKILL, which ends a process at once and cannot be caught, blocked or ignored.
    public static let kill = Signal(rawValue: SIGKILL)
    /// SIGTERM, the polite request to end. A supervisor drains its workers and stops.
    public static let terminate = Signal(rawValue: SIGTERM)
    /// SIGCHLD: a child of the process has ended, stopped or continued. Ignored by default.
    public static let child = Signal(rawValue: SIGCHLD)
    /// SIGUSR1. A supervisor reopens its log files.
    public static let user1 = Signal(rawValue: SIGUSR1)
    /// SIGUSR2. A supervisor upgrades itself in place to the program at its path.
    public static let user2 = Signal(rawValue: SIGUSR2)
    /// SIGSTOP, which stops a process until SIGCONT and cannot be caught, blocked or ignored.
    public static let stop = Signal(rawValue: SIGSTOP)
    /// SIGCONT, which lets a stopped process continue.
    public static let resume = Signal(rawValue: SIGCONT)
    /// SIGPIPE: a write to a pipe or socket without a reader. It ends a process by default, and Prefork ignores it so
    /// that the write throws instead.
    public static let brokenPipe = Signal(rawValue: SIGPIPE)

    /// Checks whether there is a process to signal, and sends nothing (kill(2)).
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

    /// Lets the calling thread take the signals of its own crash, without which it would end unreported.
    package static func unblockCrashes() { cprefork_unblock_crash_signals() }

    package static func restore(_ mask: SignalSet) {
        var set = mask.set
        pthread_sigmask(SIG_SETMASK, &set, nil)
    }
}

/// A signal and its sender.
package struct ReceivedSignal: Equatable, Sendable {
    package var signal: Signal
    /// 0: the kernel, or a process outside of this PID namespace.
    package var sender: Int32
    /// The sender's real user ID.
    package var user: UInt32
    /// It came by kill(2) (SI_USER): pid and user are the kernel's word. sigqueue(3) lets a sender choose them.
    package var isByKill: Bool
    /// The kernel's own (SI_KERNEL), as SIGTTIN to a whole process group when one of it reads from its terminal in the
    /// background.
    package var isByKernel: Bool

    package init(signal: Signal, sender: Int32, user: UInt32, isByKill: Bool, isByKernel: Bool = false) {
        self.signal = signal
        self.sender = sender
        self.user = user
        self.isByKill = isByKill
        self.isByKernel = isByKernel
    }

    /// Whether the sender is root, one of `users`, or the runtime outside of the container, whose user may have no
    /// number inside. SIGCONT may come from any process of the same session (kill(2)).
    package func isFrom(_ users: IdentityTriple) -> Bool {
        isByKill && (user == 0 || user == users.real || user == users.effective || sender == 0)
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

    /// Receives other signals from now on. Those that are left out stay pending.
    package func listen(to signals: SignalSet) {
        var set = signals.set
        // Fails only for an invalid descriptor or a wrong size (signalfd(2)).
        _ = signalfd(descriptor.number, &set, 0)
    }

    /// The next pending signal and the process that sent it (0: the kernel), or nil if no signal is pending.
    package func next() -> (signal: Signal, sender: Int32)? { nextReceived().map { ($0.signal, $0.sender) } }

    /// The next pending signal, or nil if no signal is pending.
    package func nextReceived() -> ReceivedSignal? {
        var info = signalfd_siginfo()
        while true {
            let count = Glibc.read(descriptor.number, &info, MemoryLayout<signalfd_siginfo>.size)
            if count == MemoryLayout<signalfd_siginfo>.size {
                return ReceivedSignal(
                    signal: Signal(rawValue: Int32(info.ssi_signo)), sender: Int32(bitPattern: info.ssi_pid),
                    user: info.ssi_uid, isByKill: info.ssi_code == 0, isByKernel: info.ssi_code == 0x80)
            }
            if count < 0, Errno.current == .interrupted { continue }
            return nil
        }
    }
}
