// A place where services wait until a test opens it.

import Synchronization

/// Closed until it is opened, then permanently open.
public final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [Int: UnsafeContinuation<Void, Never>] = [:]
        var cancelled: Set<Int> = []
        var lastID = 0
    }

    private let state = Mutex(State())

    /// A closed gate.
    public init() {}

    /// How many wait.
    public var waiting: Int { state.withLock { $0.waiters.count } }

    /// Opens the gate and lets all waiting services continue. Opening it again has no effect. Callable from any thread.
    public func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits until it is open, whether or not the task is cancelled: a service that does not listen.
    public func passStubbornly() async {
        await wait(newID())
    }

    /// Waits until it is open.
    ///
    /// - Throws: `CancellationError` when the task is cancelled first.
    public func pass() async throws {
        let id = newID()
        await withTaskCancellationHandler {
            await wait(id)
        } onCancel: {
            let waiter = state.withLock { state in
                let waiter = state.waiters.removeValue(forKey: id)
                if waiter == nil { state.cancelled.insert(id) }
                return waiter
            }
            waiter?.resume()
        }
        let isOpen = state.withLock { state in
            state.cancelled.remove(id)
            return state.isOpen
        }
        if !isOpen { throw CancellationError() }
    }

    private func newID() -> Int {
        state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
    }

    private func wait(_ id: Int) async {
        await withUnsafeContinuation { (waiter: UnsafeContinuation<Void, Never>) in
            let isThrough = state.withLock { state in
                if state.isOpen || state.cancelled.contains(id) { return true }
                state.waiters[id] = waiter
                return false
            }
            if isThrough { waiter.resume() }
        }
    }
}
