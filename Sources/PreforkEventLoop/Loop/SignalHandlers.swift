// Signals as calls on the loop.

public import PreforkSystem

/// Which signals a loop reads, and their handlers.
final class SignalHandlers {
    /// A handful: an array costs a new worker less than a set, whose types the runtime would have to make first.
    let signals: [Signal]
    private let source: SignalDescriptor
    private var watch: Watch?
    private let handler: (Signal) -> Void

    /// Blocks `signals` in the calling thread and reads them on `loop` from now on.
    init(_ signals: [Signal], on loop: EventLoop, handler: @escaping (Signal) -> Void) throws(SystemError) {
        self.signals = signals
        self.handler = handler
        let set = SignalSet(signals)
        SignalMask.block(set)
        source = try SignalDescriptor(set)
        let watch = Watch(source.descriptor.number) { [unowned self] _ in deliver() }
        try loop.add(watch, for: .readable)
        self.watch = watch
    }

    /// Reads no more. Before the last reference to it goes.
    func end(on loop: EventLoop) {
        if let watch { loop.remove(watch) }
        watch = nil
    }

    private func deliver() {
        // The handler may put another reader in this one's place.
        while watch != nil, let (signal, _) = source.next() { handler(signal) }
    }
}

extension EventLoop {
    /// Calls `handler` on the loop for each of `signals`, which lose their usual effect. The last call counts.
    ///
    /// In a worker and a managed process the runtime handles TERM, QUIT and INT and turns them into `stopRequest`:
    /// `handler` is not called for them. HUP, USR1, USR2, WINCH, TTIN and TTOU have no effect there until a program
    /// requests them by this call or installs a handler for them. Signals are blocked in the calling thread and in
    /// threads it starts from now on. Older threads could still get them. Before or while the loop runs on this thread.
    ///
    /// - Throws: `SystemError` (`signalfd`) when there is no descriptor left.
    public func onSignals(_ signals: [Signal], _ handler: @escaping (Signal) -> Void) throws(SystemError) {
        let free = signals.filter { stopSignals?.signals.contains($0) != true }
        let new = try SignalHandlers(free, on: self, handler: handler)
        signalHandlers?.end(on: self)
        signalHandlers = new
    }

    /// The same for the signals that ask this process to end, in addition to the signals of `onSignals`.
    package func onStopSignals(_ signals: [Signal], _ handler: @escaping (Signal) -> Void) throws(SystemError) {
        let new = try SignalHandlers(signals, on: self, handler: handler)
        stopSignals?.end(on: self)
        stopSignals = new
    }
}
