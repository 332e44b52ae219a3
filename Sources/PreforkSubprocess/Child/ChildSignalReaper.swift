// Children that no pidfd speaks for.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// Watches the children whose end is announced by SIGCHLD: all are checked at each signal, as in tornado. In addition
/// each is checked once a second, because the signal is a global setting that any code may change.
enum ChildSignalReaper {
    private struct State {
        var children: [WatchedChild] = []
        /// Made at first use, then kept.
        var signal: ChildSignal?
        var listener: Listener?
        var isForced = false
    }

    /// The loop that reads the signal.
    private final class Listener: @unchecked Sendable {
        // Sendable: never changed, and the watch is used on the loop only.
        let loop: EventLoop
        let watch: Watch

        init(to signal: ChildSignal, on loop: EventLoop) {
            self.loop = loop
            watch = Watch(signal.bell.descriptor.number) { _ in
                signal.bell.clear()
                ChildSignalReaper.askAll()
            }
        }
    }

    private static let state = Mutex(State())

    /// Whether SIGCHLD must announce the ends of children with a pidfd, too.
    static var isForced: Bool { state.withLock(\.isForced) }

    /// Begins to watch a child. Runs on the child's loop.
    static func add(_ child: WatchedChild) {
        state.withLock { $0.children.append(child) }
        // Without a descriptor for the signal, the check once a second must suffice.
        try? listen(on: child.loop)
        child.reapOrLookAgain(after: .seconds(1))
        forgetReaped()
    }

    /// Reads SIGCHLD on `loop` from now on, unless some loop does already.
    ///
    /// - Parameter isForced: for all children of this process from now on.
    static func listen(on loop: EventLoop, isForced: Bool = false) throws(SystemError) {
        let listener = try state.withLock { state throws(SystemError) -> Listener? in
            state.isForced = state.isForced || isForced
            if state.listener != nil { return nil }
            let signal = if let made = state.signal { made } else { try ChildSignal() }
            try signal.listen()
            state.signal = signal
            state.listener = Listener(to: signal, on: loop)
            return state.listener
        }
        guard let listener else { return }
        loop.execute { try? loop.add(listener.watch, for: .readable) }
    }

    /// Gives SIGCHLD back.
    static func stopListening() {
        let listener = state.withLock { state in
            state.isForced = false
            if state.listener != nil { state.signal?.stopListening() }
            return state.listener.take()
        }
        guard let listener else { return }
        listener.loop.execute { listener.loop.remove(listener.watch) }
    }

    private static func askAll() {
        for child in state.withLock(\.children) {
            child.loop.execute { child.reapIfEnded() }
        }
        forgetReaped()
    }

    private static func forgetReaped() {
        state.withLock { $0.children.removeAll { $0.exit != nil } }
    }
}
