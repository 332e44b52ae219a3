// Time that passes when a test advances it.

public import PreforkServices
import Synchronization

/// A clock that only moves when a test advances it.
///
///     let clock = ManualClock()
///     try await ServiceHost(clock: clock).with { try await server.run() }
public final class ManualClock: ServiceClock {
    private struct Sleeper {
        let deadline: Duration
        let waiter: UnsafeContinuation<Bool, Never>
    }

    private struct State {
        var now = Duration.zero
        var fraction = 0.0
        var sleepers: [Int: Sleeper] = [:]
        var cancelled: Set<Int> = []
        var lastID = 0
    }

    private let state = Mutex(State())
    /// No later moment comes: times can still be added to it. 292 thousand million years.
    private static let latest = Duration.seconds(Int64.max)

    /// - Parameter fraction: the random number of every backoff. 0 means no jitter.
    public init(fraction: Double = 0) { state.withLock { $0.fraction = fraction } }

    public var now: Duration { state.withLock { $0.now } }
    public func fraction() -> Double { state.withLock { $0.fraction } }

    /// When the next sleeper must be woken, or nil if there is no sleeper.
    public var nextDeadline: Duration? { state.withLock { $0.sleepers.values.map(\.deadline).min() } }

    /// Advances the time and wakes the sleepers whose time has come. Below zero counts as zero.
    public func advance(by duration: Duration) {
        advance(to: now + min(duration, Self.latest))
    }

    /// Like `advance(by:)`, but to an instant. An instant in the past has no effect.
    public func advance(to instant: Duration) {
        let woken = state.withLock { state in
            state.now = max(state.now, min(instant, Self.latest))
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.sorted { $0.deadline < $1.deadline }
        }
        for sleeper in woken { sleeper.waiter.resume(returning: true) }
    }

    public func sleep(until deadline: Duration) async throws {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let isDue = await withTaskCancellationHandler {
            await withUnsafeContinuation { (waiter: UnsafeContinuation<Bool, Never>) in
                let known = state.withLock { state -> Bool? in
                    if state.cancelled.remove(id) != nil { return false }
                    if min(deadline, Self.latest) <= state.now { return true }
                    state.sleepers[id] = Sleeper(deadline: min(deadline, Self.latest), waiter: waiter)
                    return nil
                }
                if let known { waiter.resume(returning: known) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.cancelled.insert(id) }
                return sleeper
            }
            sleeper?.waiter.resume(returning: false)
        }
        state.withLock { _ = $0.cancelled.remove(id) }
        if !isDue { throw CancellationError() }
    }
}
