// SIGTERM and SIGINT for the trees of a plain program: one that is neither a worker nor a managed process on a loop.

import PreforkEventLoop
import PreforkServices
import PreforkSystem
import Synchronization

/// The signals that end a program's trees. It takes them while a tree runs, and gives them back afterwards; one more
/// when the end has begun cancels every stop.
///
/// The first tree starts the thread of the shared event loop, which reads them: such a program forks no workers.
final class ProgramSignals: StopSource {
    private struct State {
        /// Made at first use, then kept.
        var reader: Reader?
        /// Whether the loop looks at it, or is about to.
        var isRead = false
        var users = 0
        var wishes = StopWishes(clock: SystemServiceClock())
    }

    /// The shared loop's ear.
    private final class Reader: @unchecked Sendable {
        // Sendable: never changed; the watch is used on the loop only.
        let signals: StopSignals
        let watch: Watch

        init() throws(SystemError) {
            let signals = try StopSignals()
            self.signals = signals
            watch = Watch(signals.bell.descriptor.number) { _ in deliver(signals) }
        }
    }

    private static let state = Mutex(State())

    var deadline: Duration? { Self.state.withLock { $0.wishes }.deadline }

    func observe(_ stop: @escaping @Sendable (StopReason) -> Void) -> @Sendable () -> Void {
        do {
            try Self.begin()
        } catch {
            // Without a descriptor or a thread signals end the program at once, as if this had not been tried.
            reportFailure(of: "listening to SIGTERM and SIGINT", error)
            return {}
        }
        let end = Self.state.withLock { $0.wishes }.observe(stop)
        return {
            end()
            Self.finish()
        }
    }

    private static func begin() throws(SystemError) {
        let loop = try EventLoop.shared
        let new = state.withLock { $0.reader == nil } ? try Reader() : nil
        let unread = state.withLock { state -> Reader? in
            state.reader = state.reader ?? new
            defer { state.isRead = true }
            state.users += 1
            if state.users == 1 || !state.isRead { state.reader?.signals.listen() }
            return state.isRead ? nil : state.reader
        }
        guard let unread else { return }
        // Not under the lock: on the loop's own thread this is done at once.
        loop.execute {
            do { try loop.add(unread.watch, for: .readable) } catch { lose(unread, error) }
        }
    }

    /// Nobody would take the signals: they are to end the program again. The next tree tries once more.
    private static func lose(_ reader: Reader, _ error: any Error) {
        state.withLock { state in
            state.isRead = false
            reader.signals.stopListening()
        }
        reportFailure(of: "listening to SIGTERM and SIGINT", error)
        deliver(reader.signals)
    }

    private static func finish() {
        state.withLock { state in
            state.users -= 1
            guard state.users == 0 else { return }
            state.reader?.signals.stopListening()
            // What ended these trees is nothing to those that come.
            state.wishes = StopWishes(clock: SystemServiceClock())
        }
    }

    private static func deliver(_ signals: StopSignals) {
        let (signal, count) = signals.take()
        guard count > 0 else { return }
        let wishes = state.withLock { $0.wishes }
        let isUrgent = wishes.isWished || count > 1
        wishes.wish(.signal(signal.rawValue), within: isUrgent ? .zero : nil)
    }
}

/// Called before main: a program that has Prefork needs no call for its trees to hear of signals.
@_cdecl("cprefork_program_starts")
func programStarts() {
    ServiceHost.provide { ServiceHost(stopSource: ProgramSignals()) }
}
