// The end that others set to a tree's stop.

extension TreeRun {
    /// What a stop that begins now may take.
    var stopTimeout: Duration {
        let own = services[0].gracefulShutdownTimeout.bounded
        return min(own, timeToDeadline ?? own)
    }

    /// A budget that is used up at the host's deadline, with the tenth that a stop may be late. Nil without a deadline.
    var timeToDeadline: Duration? {
        host.stopSource?._latestDeadline.map { max($0 - host.clock.now, .zero).bounded * 10 / 11 }
    }

    /// Shortens a stop that would last beyond the deadline. The levels that are left share what time is left.
    func hurry() {
        guard let left = timeToDeadline else { return }
        let now = host.clock.now
        switch state.stage {
        case .settling: shortenSettling(to: left)
        case .stopping:
            // A deadline that was known before changes nothing.
            guard now + left < state.stopBegan + state.budget.timeout - .milliseconds(1) else { return }
            let done = state.inFlight.map { state.rounds[$0] }.min() ?? 0
            state.rounds = state.rounds.map { $0 - done }
            state.budget = StopBudget(timeout: left, levels: state.budget.levels - done)
            state.stopBegan = now
            for node in state.inFlight {
                let round = state.rounds[node]
                shorten(
                    node, cancelAt: now + state.budget.cancellation(ofLevel: round),
                    leaveAt: now + state.budget.abandonment(ofLevel: round))
            }
            armNext()
        default: return
        }
    }

    /// Services in transition must finish as if they were one more level, above the levels that are stopped afterwards.
    func shortenSettling(to timeout: Duration) {
        let (now, budget) = (host.clock.now, StopBudget(timeout: timeout, levels: 2))
        for node in state.inFlight {
            let isStopping = state.nodes[node].phase == .stopping
            shorten(
                node, cancelAt: isStopping ? now + budget.cancellation(ofLevel: 0) : nil,
                leaveAt: now + budget.abandonment(ofLevel: 0))
        }
        armNext()
    }

    private func shorten(_ node: Int, cancelAt: Duration?, leaveAt: Duration) {
        let known = state.nodes[node]
        if let cancelAt { state.nodes[node].cancelAt = min(known.cancelAt ?? cancelAt, cancelAt) }
        state.nodes[node].leaveAt = min(known.leaveAt ?? leaveAt, leaveAt)
    }
}
