// The stop of a tree.

extension TreeRun {
    func unwind() {
        guard !state.isUnwinding, state.stage != .over, state.stage != .fresh else { return }
        state.isUnwinding = true
        if state.exit == nil { exit(.requested, nil) }
        if state.stage == .up { beginStop() } else { settle() }
    }

    func beginStop() {
        guard state.stage == .up || state.stage == .settling else { return }
        state.stage = .stopping
        let now = host.clock.now
        state.stopBegan = now
        let rounds = StopOrder.rounds(after: state.start) { state.nodes[$0].phase == .up }
        state.rounds = rounds.of
        // Settling uses the same budget. A deadline is an absolute time.
        let left = services[0].gracefulShutdownTimeout.bounded - (now - (state.haltedAt ?? now))
        state.budget = StopBudget(timeout: min(left, timeToDeadline ?? left), levels: rounds.count)
        var order = StopOrder(after: state.start)
        let first = order.begin()
        state.stop = order
        stopNodes(first)
    }

    func stopNodes(_ nodes: [Int]) {
        var free = nodes
        var head = 0
        while head < free.count {
            let node = free[head]
            head += 1
            switch state.nodes[node].phase {
            case .up where lifecycles[node].release(self, node):
                launchStop(node, round: state.rounds[node])
                continue
            case .up: state.nodes[node].phase = .gone
            default: break
            }
            free += state.stop?.down(node) ?? []
        }
        if state.stop?.isComplete == true { finish() }
    }

    /// It is down and this tree will not start it again: others may, at once, however long this one takes to end.
    func giveUp(_ node: Int) {
        state.nodes[node].phase = .gone
        lifecycles[node].becomeIdle(for: self)
        loseSharers(of: node)
    }

    /// The trees that share it cannot continue without the restart that this tree does not finish.
    func loseSharers(of node: Int) {
        tellSharers(of: node, state.exit?.error ?? ServiceError(.stopping, service: path(node)))
    }

    func tellSharers(of node: Int, _ error: ServiceError) {
        for sharer in lifecycles[node].sharers(beside: self) { sharer.post(.exit(.taskFailed(path(node)), error)) }
    }

    /// - Parameter round: nil when it is stopped in order to be started again.
    func launchStop(_ node: Int, round: Int?) {
        let now = host.clock.now
        let own = policyBudget(node)
        var cancelAt = now + own.cancellation(ofLevel: 0)
        var leaveAt = now + own.abandonment(ofLevel: 0)
        if let round {
            cancelAt = min(cancelAt, state.stopBegan + state.budget.cancellation(ofLevel: round))
            leaveAt = min(leaveAt, state.stopBegan + state.budget.abandonment(ofLevel: round))
        }
        emit(.stopping, node)
        let isCut = cancelAt <= now
        state.nodes[node] = TreeState.Node(
            phase: .stopping, since: now, task: stopTask(node, isCut: isCut), cancelAt: cancelAt, leaveAt: leaveAt,
            isCut: isCut)
        state.inFlight.insert(node)
        arm(isCut ? leaveAt : cancelAt)
    }

    func stopTask(_ node: Int, isCut: Bool) -> Task<Void, Never> {
        launch(node, isCut: isCut, services[node].stop) { .stopEnded(node, $0) }
    }

    func stopEnded(_ node: Int, _ error: (any Error)?) {
        let isLeft = state.nodes[node].phase == .leftStopping
        guard isLeft || state.nodes[node].phase == .stopping else { return }
        if let error {
            let isLate = state.nodes[node].isCut && error.isCancellation
            if !isLeft || !isLate {
                report(
                    ServiceError(
                        isLate ? .stopTimedOut : .stopFailed, service: path(node), cause: isLate ? nil : error), node)
            }
        }
        state.nodes[node].task = nil
        state.nodes[node].phase = isLeft ? .leftDraining : .draining
        if lifecycles[node].cancelTasks(tell: self, node) { drained(node) }
    }

    /// Its tasks have ended.
    func drained(_ node: Int) {
        let phase = state.nodes[node].phase
        let wasStopped = phase == .draining || phase == .leftDraining
        guard wasStopped || phase == .failing || phase == .leftFailing else { return }
        state.inFlight.remove(node)
        if wasStopped {
            lifecycles[node].countStop()
            emit(.stopped, node, duration: host.clock.now - state.nodes[node].since)
        }
        let isRestarted = phase == .failing ? state.start.marks[node] == .up : state.stage != .stopping
        if isRestarted, phase == .failing || phase == .draining {
            guard state.stage == .up else {
                giveUp(node)
                return settle()
            }
            // It stays in this tree's hand.
            state.nodes[node].phase = .down
            return continueRestart()
        }
        state.nodes[node].phase = .gone
        lifecycles[node].becomeIdle(for: self)
        // What was left behind is not waited for.
        if phase == .draining { stopNodes(state.stop?.down(node) ?? []) }
        if phase == .failing { settle() }
    }

    /// Something went wrong on the way down.
    func report(_ error: ServiceError, _ node: Int) {
        lifecycles[node].countFailure()
        emit(.failed, node, error: error)
        // While the tree is up this is about a restart, which continues.
        if state.stage == .settling || state.stage == .stopping { state.errors.append(error) }
    }

    func finish() {
        state.stage = .over
        state.timer?.task.cancel()
        state.timer = nil
        let exit = state.exit ?? (.requested, nil)
        var end = TreeEnd(reason: exit.reason)
        end.failedFirst = exit.error != nil
        end.error = exit.error?.adding(state.errors) ?? state.errors.first?.adding(Array(state.errors.dropFirst()))
        for lifecycle in lifecycles { lifecycle.leave(self, exit.reason) }
        if !state.wasUp { watcher?(.givesUp) }
        reach(.over, end)
    }
}
