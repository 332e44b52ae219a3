// Tasks and threads of this process that wait for something to happen at an end.

import PreforkSystem
import Synchronization

/// A list of waiters. A woken waiter must check its own condition again.
final class ChannelWaiters: Sendable {
    enum Purpose: Hashable, Sendable {
        case receive
        case send
        case reply(UInt64)
    }

    enum Reason: Sendable {
        case woken
        case timedOut
        case cancelled
    }

    enum Waiter: Sendable {
        case task(UnsafeContinuation<Reason, Never>)
        case thread(ThreadParking)

        func resume(_ reason: Reason) {
            switch self {
            case .task(let continuation): continuation.resume(returning: reason)
            case .thread(let parking): parking.bell.ring()
            }
        }
    }

    struct Entry {
        let ticket: UInt64
        let purpose: Purpose
        let waiter: Waiter
    }

    struct State {
        /// The process that all of it belongs to. A child ignores the waits of its parent's tasks.
        var process = ForkCount.current
        var entries: [Entry] = []
        var lastTicket: UInt64 = 0
        /// Counts the wakings: a waiter that checked before the last of them must check again before it sleeps.
        var epoch: UInt64 = 0
        var hasLeader = false
        var leaderParking: ThreadParking?
    }

    private let state = Mutex(State())
    private let count = Atomic(0)

    /// Whether there are waiters. May be a moment old.
    var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }

    /// Whether there are waiters now.
    var hasAny: Bool { withState { !$0.entries.isEmpty } }

    /// Whether a waiter waits for room or for a reply.
    var hasSenders: Bool { withState { $0.entries.contains { $0.purpose != .receive } } }

    func withState<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            if state.process != ForkCount.current { state = State() }
            defer { count.store(state.entries.count, ordering: .relaxed) }
            return body(&state)
        }
    }

    /// To be read before one looks whether there is anything to wait for.
    var epoch: UInt64 { withState { $0.epoch } }

    func newTicket() -> UInt64 {
        withState {
            $0.lastTicket &+= 1
            return $0.lastTicket
        }
    }

    /// - Returns: false when there has been a waking since `epoch`: the waiter is not in the list.
    func add(_ waiter: Waiter, _ purpose: Purpose, ticket: UInt64, since epoch: UInt64) -> Bool {
        withState { state in
            guard state.epoch == epoch else { return false }
            state.entries.append(Entry(ticket: ticket, purpose: purpose, waiter: waiter))
            return true
        }
    }

    /// Wakes one waiter. No effect if it has been woken already.
    func end(_ ticket: UInt64, _ reason: Reason) {
        let waiter = withState { state -> Waiter? in
            guard let index = state.entries.firstIndex(where: { $0.ticket == ticket }) else { return nil }
            return state.entries.remove(at: index).waiter
        }
        waiter?.resume(reason)
    }

    /// The waiter needs no waking any more.
    func forget(_ ticket: UInt64) {
        withState { state in state.entries.removeAll { $0.ticket == ticket } }
    }

    /// Wakes receivers and senders, also those that are about to wait. Replies wake calls.
    func wakeAll(andCalls: Bool = false) {
        let woken = withState { state -> [Waiter] in
            state.epoch &+= 1
            if state.entries.isEmpty { return [] }
            let woken = state.entries.filter { andCalls || !$0.purpose.isReply }
            state.entries.removeAll { andCalls || !$0.purpose.isReply }
            return woken.map(\.waiter)
        }
        for waiter in woken { waiter.resume(.woken) }
    }

    /// Wakes the task that waits for the reply to that call.
    func wakeCall(_ id: UInt64) {
        let woken = withState { state -> Waiter? in
            state.epoch &+= 1
            guard let index = state.entries.firstIndex(where: { $0.purpose == .reply(id) }) else { return nil }
            return state.entries.remove(at: index).waiter
        }
        woken?.resume(.woken)
    }
}

extension ChannelWaiters.Purpose {
    fileprivate var isReply: Bool {
        if case .reply = self { true } else { false }
    }
}
