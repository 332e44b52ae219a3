// Signals to the supervisor.

import PreforkSystem

/// The two signals that any child can have sent without end: SIGCHLD by the ends of its children with CLONE_PARENT,
/// SIGCONT by kill(2), which lets every process of the session do it. When they come too often, they rest for 100 ms at
/// a time: blocked and pending, they do not wake the supervisor.
struct SignalNoise {
    static let signals: [Signal] = [.child, .resume]

    private var rate = RingRate()
    private(set) var restsUntil: MonotonicInstant?

    /// One of them, or several in one turn, was heard.
    mutating func wasHeard(by descriptor: borrowing SignalDescriptor, at now: MonotonicInstant) {
        guard rate.ring(at: now) else { return }
        descriptor.listen(to: SignalSet(Supervisor.signals.filter { !Self.signals.contains($0) }))
        restsUntil = now + RingRate.pause
    }

    mutating func hearAgain(by descriptor: borrowing SignalDescriptor, at now: MonotonicInstant) {
        guard let end = restsUntil, end <= now else { return }
        restsUntil = nil
        // Wakes at once for what is pending.
        descriptor.listen(to: SignalSet(Supervisor.signals))
    }
}

extension Supervisor {
    /// Read in one turn. Others have their turn between.
    private static let mostSignals = 64

    func readSignals() {
        // Once in a turn, after all were read: one that comes while the first is acted on must not be passed over.
        var later: Set<Signal> = []
        var isNoise = false
        for _ in 0..<Self.mostSignals {
            guard let received = signals.nextReceived() else { break }
            let signal = received.signal
            let isNoisy = SignalNoise.signals.contains(signal)
            isNoise = isNoise || isNoisy
            let isForwarded = InitReaper.disposition(of: signal) == .forward
            // Not an order: a process of the group has read from its terminal, or set it, in the background.
            if received.isByKernel, signal == .moreWorkers || signal == .fewerWorkers { continue }
            if isForwarded, !received.isFrom(Credentials.users) { continue }
            if isNoisy {
                later.insert(signal)
            } else {
                take(signal, isForwarded: isForwarded)
            }
        }
        if isNoise { noise.wasHeard(by: signals, at: .now) }
        for signal in later { take(signal, isForwarded: InitReaper.disposition(of: signal) == .forward) }
    }

    private func take(_ signal: Signal, isForwarded: Bool) {
        if isForwarded { forward(signal) } else { act(on: signal) }
    }

    private func act(on signal: Signal) {
        switch signal {
        case .interrupt: stopQuickly()
        case .child: reapAfterSignal()
        case .hangUp: order(.reload)
        case .moreWorkers: order(.scale(.by(1)))
        case .fewerWorkers: order(.scale(.by(-1)))
        case .user1: order(.reopenLogs)
        case .user2: order(.upgrade(path: nil))
        default: handle(.stop(.graceful))
        }
    }

    /// As an order of the control socket for which no client waits.
    private func order(_ command: ControlCommand) { _ = perform(command, completion: nil) }

    /// As PID 1, what the container's runtime sends and has no meaning here is for the workers.
    private func forward(_ signal: Signal) {
        for spawn in workers.entries.keys.sorted() { send(signal, to: spawn) }
    }
}
