// The request that a loop's servers end: made once, observed by all of them.

import PreforkSystem
import Synchronization

/// A stop that can be requested once, from any thread, and waited for by many.
///
/// As an `AsyncSequence` it yields one element, when the stop is requested, and ends.
public final class StopRequest: Sendable {
    /// What must end.
    public enum Reach: Sendable {
        /// This worker alone: the other workers continue, and connections in the accept queue are left to them.
        case worker
        /// The whole service: no worker remains for the connections in the accept queue.
        case service
    }

    private struct State {
        var reach: Reach?
        var nextID = 0
        var observers: [Int: @Sendable () -> Void] = [:]
        /// Called once more when the reach grows.
        var reachObservers: [Int: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())
    /// Whether `state` has a reach, for code that checks before each message.
    private let isSet = Atomic(false)
    /// The `ForkCount` of the last process in which any stop was requested. In any other process, no single request
    /// needs to be checked: a forked child has separate loops.
    private static let lastProcess = Atomic<UInt64>(0)
    static var isAnySet: Bool { lastProcess.load(ordering: .acquiring) == ForkCount.current }

    init() {}

    /// Whether the stop was requested.
    public var isRequested: Bool { isSet.load(ordering: .acquiring) }

    /// What the request is for, or nil before it.
    public var reach: Reach? { state.withLock { $0.reach } }

    /// Requests the stop. A second request has no effect, but that a stop of this worker alone becomes one of the
    /// service.
    public func request(_ reach: Reach = .worker) {
        let observers = state.withLock { state -> [Int: @Sendable () -> Void] in
            switch (state.reach, reach) {
            case (nil, _):
                state.reach = reach
                isSet.store(true, ordering: .releasing)
                Self.lastProcess.store(ForkCount.current, ordering: .sequentiallyConsistent)
                defer { state.observers = [:] }
                return state.observers.merging(state.reachObservers) { first, _ in first }
            case (.worker, .service):
                state.reach = reach
                return state.reachObservers
            default: return [:]
            }
        }
        for id in observers.keys.sorted() { observers[id]?() }
    }

    /// Calls `body` when the stop is requested, at once if it was already, and again when its reach grows. Runs on the
    /// requester's thread.
    ///
    /// - Returns: names the observer, for `removeObserver`.
    package func onReach(_ body: @escaping @Sendable () -> Void) -> Int {
        let (id, isRequested) = state.withLock { state in
            state.nextID += 1
            state.reachObservers[state.nextID] = body
            return (state.nextID, state.reach != nil)
        }
        if isRequested { body() }
        return id
    }

    /// Calls `body` when the stop is requested, or at once if it was already. Runs on the requester's thread.
    ///
    /// - Returns: names the observer, for `removeObserver`.
    @discardableResult
    package func onRequest(_ body: @escaping @Sendable () -> Void) -> Int {
        let id = state.withLock { state -> Int? in
            if state.reach != nil { return nil }
            state.nextID += 1
            state.observers[state.nextID] = body
            return state.nextID
        }
        if id == nil { body() }
        return id ?? 0
    }

    /// Whether any code observes the request.
    package var hasObservers: Bool { state.withLock { !$0.observers.isEmpty || !$0.reachObservers.isEmpty } }

    package func removeObserver(_ id: Int) {
        state.withLock { state in
            state.observers[id] = nil
            state.reachObservers[id] = nil
        }
    }
}

extension StopRequest {
    /// Waits until the stop is requested.
    ///
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    public func wait() async throws {
        let (requests, continuation) = AsyncStream.makeStream(of: Void.self)
        let id = onRequest { continuation.finish() }
        defer { removeObserver(id) }
        for await _ in requests {}
        try Task.checkCancellation()
    }

    /// Waits until the stop is requested, but not longer than `limit`: the pause of periodic work.
    ///
    /// - Parameter limit: with zero or less, it only checks.
    /// - Returns: whether the stop was requested.
    /// - Throws: `CancellationError` when the calling task is cancelled first.
    public func wait(atMost limit: Duration) async throws -> Bool {
        do {
            try await withTimeout(limit) { try await self.wait() }
            return true
        } catch is TimeoutError {
            try Task.checkCancellation()
            return isRequested
        }
    }
}

extension StopRequest: AsyncSequence {
    /// Gives one element when the stop is requested, then ends. `next()` throws `CancellationError` if its task is
    /// cancelled first.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var request: StopRequest?

        public mutating func next() async throws -> Void? {
            guard let request else { return nil }
            self.request = nil
            try await request.wait()
            return ()
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(request: self)
    }
}
