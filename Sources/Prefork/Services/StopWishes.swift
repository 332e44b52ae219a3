// The requests that end the trees of services of a process.

import PreforkServices
import Synchronization

/// The wishes to stop that came by signals or from the supervisor, for trees that run and for those that come.
final class StopWishes: StopSource {
    private struct State {
        var reason: StopReason?
        var deadline: Duration?
        var observers: [Int: @Sendable (StopReason) -> Void] = [:]
        var lastID = 0
    }

    private let state = Mutex(State())
    private let clock: any ServiceClock

    init(clock: any ServiceClock) {
        self.clock = clock
    }

    /// Any thread.
    ///
    /// - Parameter limit: the time until the process is killed. If nil, there is no new limit.
    func wish(_ reason: StopReason, within limit: Duration? = nil) {
        let end = limit.map { clock.now + $0 }
        let (first, observers) = state.withLock { state in
            let first = state.reason ?? reason
            state.reason = first
            if let end { state.deadline = min(state.deadline ?? end, end) }
            return (first, state.observers.sorted { $0.key < $1.key }.map(\.value))
        }
        for observer in observers { observer(first) }
    }

    /// The first wish.
    var reason: StopReason? { state.withLock { $0.reason } }

    var deadline: Duration? { state.withLock { $0.deadline } }

    func observe(_ stop: @escaping @Sendable (StopReason) -> Void) -> @Sendable () -> Void {
        let (id, reason) = state.withLock { state in
            state.lastID += 1
            state.observers[state.lastID] = stop
            return (state.lastID, state.reason)
        }
        if let reason { stop(reason) }
        return { [self] in state.withLock { _ = $0.observers.removeValue(forKey: id) } }
    }
}
