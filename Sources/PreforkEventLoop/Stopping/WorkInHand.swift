// Unfinished work of this process outside of its body.

import PreforkSystem
import Synchronization

/// A piece of work that a callback has in hand, until it is released. A worker or a managed process that was asked to
/// stop ends when its body has returned and nothing is in hand any more.
package final class WorkInHand: Sendable {
    private struct State {
        var process = ForkCount.current
        var count = 0
        var lastID = 0
        var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
    }

    private static let state = Mutex(State())
    private let process: UInt64

    package init() {
        process = Self.withState { state in
            state.count += 1
            return state.process
        }
    }

    deinit {
        let waiters = Self.withState { state -> [AsyncStream<Void>.Continuation] in
            // A parent's work is not in this process's hand.
            guard state.process == process else { return [] }
            state.count -= 1
            guard state.count == 0 else { return [] }
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.finish() }
    }

    private static func withState<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            if state.process != ForkCount.current { state = State() }
            return body(&state)
        }
    }

    /// Whether there is anything.
    static var isAny: Bool { withState { $0.count > 0 } }

    /// Waits until nothing is in hand, or the calling task is cancelled.
    package static func finish() async {
        let (ends, waiter) = AsyncStream.makeStream(of: Void.self)
        let id = withState { state -> Int? in
            if state.count == 0 { return nil }
            state.lastID += 1
            state.waiters[state.lastID] = waiter
            return state.lastID
        }
        guard let id else { return }
        for await _ in ends {}
        withState { _ = $0.waiters.removeValue(forKey: id) }
    }
}
