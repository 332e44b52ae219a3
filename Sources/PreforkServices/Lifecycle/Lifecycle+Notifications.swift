// Messages between a service and its trees.

import Synchronization

// Messages from its trees.
extension Lifecycle {
    /// A tree must end.
    func treeEnds(_ run: TreeRun, _ end: WaitEnd) {
        let resumptions = state.withLock { state -> [ServiceWaiters.Resumption] in
            guard let index = state.seats.firstIndex(where: { $0.run === run }) else { return [] }
            if state.seats[index].end == nil { state.seats[index].end = end }
            return state.seats.contains { $0.end == nil } ? [] : state.waiters.take(end) + state.waiters.takeReady()
        }
        for resumption in resumptions { resumption() }
    }

    /// A tree has ended and forgets it.
    func leave(_ run: TreeRun, _ reason: StopReason) {
        let resumptions = state.withLock { state -> [ServiceWaiters.Resumption] in
            guard let index = state.seats.firstIndex(where: { $0.run === run }) else { return [] }
            state.seats.remove(at: index)
            state.lastReason = reason
            guard state.seats.isEmpty else { return [] }
            return state.waiters.take(.success(reason)) + state.waiters.takeReady()
        }
        for resumption in resumptions { resumption() }
    }

    func requestStop(_ reason: StopReason) {
        let runs = state.withLock { state -> [TreeRun] in
            if state.seats.isEmpty, state.pendingStop == nil { state.pendingStop = reason }
            return state.seats.map(\.run)
        }
        for run in runs { run.post(.exit(reason, nil)) }
    }

    func announce() {
        // All of them: in a restart, the tree that starts it again need not be the first one. The other trees do not
        // need the news.
        let holders = state.withLock { state -> [(run: TreeRun, node: Int)] in
            guard state.phase == .starting, !state.isAnnounced else { return [] }
            state.isAnnounced = true
            return state.holders
        }
        for holder in holders { holder.run.post(.announced(holder.node)) }
    }

    /// What happens to this service, or to its whole tree if it is the root. Ends when the caller stops listening.
    ///
    /// Everything from now on is kept until it is read. Other services' steps come in the order they were taken.
    public func events() -> AsyncStream<ServiceEvent> {
        let (stream, continuation) = AsyncStream.makeStream(of: ServiceEvent.self)
        let id = state.withLock { state in
            state.nextListener += 1
            state.listeners[state.nextListener] = continuation
            return state.nextListener
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
        }
        return stream
    }

    var listeners: [AsyncStream<ServiceEvent>.Continuation] {
        state.withLock { $0.listeners.isEmpty ? [] : Array($0.listeners.values) }
    }
}
