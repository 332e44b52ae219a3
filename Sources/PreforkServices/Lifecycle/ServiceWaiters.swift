// Tasks that wait for a service.

import Synchronization

/// How a wait ends that is not cancelled.
typealias WaitEnd = Result<StopReason, ServiceError>

/// The tasks that wait for a service's end, and the tasks that wait until it is up.
struct ServiceWaiters {
    typealias Resumption = @Sendable () -> Void

    private var ending: [Int: UnsafeContinuation<WaitEnd, Never>] = [:]
    private var starting: [Int: UnsafeContinuation<Bool, Never>] = [:]
    private var cancelled: Set<Int> = []
    private var lastID = 0

    var areForEnd: Bool { !ending.isEmpty }

    mutating func newID() -> Int {
        lastID += 1
        return lastID
    }

    /// - Returns: false when it was cancelled before.
    mutating func add(_ id: Int, _ waiter: UnsafeContinuation<WaitEnd, Never>) -> Bool {
        if cancelled.remove(id) != nil { return false }
        ending[id] = waiter
        return true
    }

    mutating func add(_ id: Int, _ waiter: UnsafeContinuation<Bool, Never>) -> Bool {
        if cancelled.remove(id) != nil { return false }
        starting[id] = waiter
        return true
    }

    mutating func cancel(_ id: Int, _ error: ServiceError) -> Resumption? {
        if let waiter = ending.removeValue(forKey: id) { return { waiter.resume(returning: .failure(error)) } }
        if let waiter = starting.removeValue(forKey: id) { return { waiter.resume(returning: false) } }
        cancelled.insert(id)
        return nil
    }

    /// The wait is over. A cancellation that came too late is forgotten.
    mutating func finish(_ id: Int) { cancelled.remove(id) }

    mutating func take(_ end: WaitEnd) -> [Resumption] {
        if ending.isEmpty { return [] }
        defer { ending = [:] }
        return ending.values.map { waiter in { waiter.resume(returning: end) } }
    }

    /// The waiters check for themselves what has become of the service.
    mutating func takeReady() -> [Resumption] {
        if starting.isEmpty { return [] }
        defer { starting = [:] }
        return starting.values.map { waiter in { waiter.resume(returning: true) } }
    }
}

extension Lifecycle {
    /// Whether a task waits for the end.
    var isWaitedFor: Bool { state.withLock { $0.waiters.areForEnd } }

    func wait() async throws(ServiceError) -> StopReason {
        let id = state.withLock { $0.waiters.newID() }
        defer { state.withLock { $0.waiters.finish(id) } }
        let end = await withTaskCancellationHandler {
            await withUnsafeContinuation { (waiter: UnsafeContinuation<WaitEnd, Never>) in
                let known = state.withLock { state -> WaitEnd? in
                    if let end = knownEnd(state) { return end }
                    return state.waiters.add(id, waiter) ? nil : .failure(cancelled(state))
                }
                if let known { waiter.resume(returning: known) }
            }
        } onCancel: {
            state.withLock { $0.waiters.cancel(id, cancelled($0)) }?()
        }
        return try end.get()
    }

    /// How a wait would end at once, or nil if it must wait.
    private func knownEnd(_ state: State) -> WaitEnd? {
        if let last = state.seats.last { return state.seats.contains { $0.end == nil } ? nil : last.end }
        return state.lastReason.map { .success($0) } ?? .failure(error(.notRunning, state))
    }

    func waitUntilReady() async throws(ServiceError) {
        let id = state.withLock { $0.waiters.newID() }
        defer { state.withLock { $0.waiters.finish(id) } }
        while true {
            let isWoken = await withTaskCancellationHandler {
                await withUnsafeContinuation { (waiter: UnsafeContinuation<Bool, Never>) in
                    let known = state.withLock { state -> Bool? in
                        if isSettled(state) { return true }
                        return state.waiters.add(id, waiter) ? nil : false
                    }
                    if let known { waiter.resume(returning: known) }
                }
            } onCancel: {
                state.withLock { $0.waiters.cancel(id, cancelled($0)) }?()
            }
            let outcome = state.withLock { state -> Result<Bool, ServiceError> in
                if !isWoken { return .failure(cancelled(state)) }
                if state.phase == .running { return .success(true) }
                return isSettled(state) ? .failure(error(.notRunning, state)) : .success(false)
            }
            if try outcome.get() { return }
        }
    }

    /// Whether it is up, or no tree is about to start it.
    private func isSettled(_ state: State) -> Bool {
        state.phase == .running || !state.seats.contains { $0.end == nil }
    }

    private func cancelled(_ state: State) -> ServiceError { error(.cancelled, state) }

    func error(_ kind: ServiceError.Kind, _ state: State) -> ServiceError {
        ServiceError(kind, service: state.path ?? givenName ?? "service")
    }
}
