// Signals as calls on the loop.

public import PreforkSystem

/// Which signals a loop reads, and who is told.
final class SignalHandlers {
    private let source: SignalDescriptor
    private var watch: Watch?
    private let handler: (Signal) -> Void

    /// Blocks `signals` in the calling thread and reads them on `loop` from now on.
    init(_ signals: [Signal], on loop: EventLoop, handler: @escaping (Signal) -> Void) throws(SystemError) {
        self.handler = handler
        let set = SignalSet(signals)
        SignalMask.block(set)
        source = try SignalDescriptor(set)
        let watch = Watch(source.descriptor.number) { [unowned self] _ in deliver() }
        try loop.add(watch, for: .readable)
        self.watch = watch
    }

    private func deliver() {
        while let (signal, _) = source.next() { handler(signal) }
    }
}

extension EventLoop {
    /// Calls `handler` on the loop for each of `signals`, which lose their usual effect. The last call counts.
    ///
    /// For programs that run a loop by `run`; in a worker of `ForkRuntime` TERM, QUIT and INT are the runtime's, which
    /// turns them into `stopRequest`. Signals are blocked in the calling thread and in those it starts from now on;
    /// threads from before could still get them. Before or while the loop runs on this thread.
    ///
    /// - Throws: `SystemError` (`signalfd`) when there is no descriptor left.
    public func onSignals(_ signals: [Signal], _ handler: @escaping (Signal) -> Void) throws(SystemError) {
        signalHandlers = try SignalHandlers(signals, on: self, handler: handler)
    }
}
