// Children that no pidfd speaks for.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// Looks after the children that are heard of by SIGCHLD: all are asked at each signal, as in tornado. Each is asked
/// once a second besides, because the signal is a global setting that anybody may change.
enum ChildSignalReaper {
    private struct State {
        var children: [WatchedChild] = []
        var source: Source?
        var isForced = false
    }

    /// The signal and the loop that reads it.
    private final class Source: @unchecked Sendable {
        // Sendable: never changed; the watch is used on the loop only.
        let signal: ChildSignal
        let loop: EventLoop
        let watch: Watch

        init(on loop: EventLoop) throws(SystemError) {
            self.loop = loop
            let signal = try ChildSignal()
            self.signal = signal
            watch = Watch(signal.counter.descriptor.number) { _ in
                signal.counter.clear()
                ChildSignalReaper.askAll()
            }
        }
    }

    private static let state = Mutex(State())

    /// Whether children with a pidfd are to be heard of by SIGCHLD, too.
    static var isForced: Bool { state.withLock(\.isForced) }

    /// Begins to look after a child. Runs on the child's loop.
    static func add(_ child: WatchedChild) {
        state.withLock { $0.children.append(child) }
        // Without a descriptor for the signal the look once a second alone has to do.
        try? listen(on: child.loop)
        child.reapOrLookAgain(after: .seconds(1))
        forgetReaped()
    }

    /// Reads SIGCHLD on `loop` from now on, unless some loop does already.
    ///
    /// - Parameter isForced: for all children of this process from now on.
    static func listen(on loop: EventLoop, isForced: Bool = false) throws(SystemError) {
        let source = try state.withLock { state throws(SystemError) -> Source? in
            let isNew = state.source == nil
            if isNew { state.source = try Source(on: loop) }
            state.isForced = state.isForced || isForced
            return isNew ? state.source : nil
        }
        guard let source else { return }
        loop.execute { try? loop.add(source.watch, for: .readable) }
    }

    /// Gives SIGCHLD back.
    static func stopListening() {
        let source = state.withLock { state in
            state.isForced = false
            return state.source.take()
        }
        guard let source else { return }
        source.loop.execute { source.loop.remove(source.watch) }
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
