// A manager that is all its process does: it takes the signals and runs until nothing is left.

import PreforkSystem

/// The signals that end a manager, read instead of received.
final class ManagerSignals {
    private static let all: [Signal] = [.terminate, .quit, .interrupt, .hangUp]

    /// What was blocked before, which is what a managed process starts with.
    let maskBefore: SignalSet
    private let descriptor: SignalDescriptor

    init() throws(SystemError) {
        descriptor = try SignalDescriptor(SignalSet(Self.all))
        maskBefore = SignalMask.block(SignalSet(Self.all))
    }

    var number: Int32 { descriptor.descriptor.number }

    func next() -> Signal? { descriptor.next()?.signal }

    func restore() { SignalMask.restore(maskBefore) }
}

extension TargetRunner {
    /// How long the targets have after SIGINT.
    private static var quickTimeout: Duration { .seconds(2) }

    /// Starts all targets and supervises them until none lives and none will be started. SIGTERM, SIGQUIT and SIGHUP
    /// stop all of them gracefully, SIGINT within two seconds, a second SIGINT kills.
    package func run() throws(ProcessError) -> SupervisorOutcome {
        try checkMayWait()
        let signals: ManagerSignals
        do throws(SystemError) { signals = try ManagerSignals() } catch { throw ProcessError(error) }
        defer { signals.restore() }
        do throws(SystemError) {
            try epoll.add(signals.number, .readable, word: Source.signals)
        } catch {
            throw ProcessError(error)
        }
        // The log's reader may close it. That must not end the manager.
        ignoreBrokenPipes()
        self.signals = signals
        wasStopped = false
        defer {
            epoll.remove(signals.number)
            self.signals = nil
        }
        try DrivenLoops.holding { () throws(ProcessError) in
            try startAll()
            while isBusy { try turn(waitingAtMost: nil) }
        }
        finishLog()
        if crashed != nil { return .targetFailed }
        return wasStopped ? .stopped : .ended
    }

    func readSignals() {
        while let signal = signals?.next() {
            switch signal {
            case .interrupt: stopAll(within: wasStopped ? .zero : Self.quickTimeout)
            default: stopAll(within: nil)
            }
            wasStopped = true
        }
    }
}
