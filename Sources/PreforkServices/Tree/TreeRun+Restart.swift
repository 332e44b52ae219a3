// A tree's reaction to failing tasks.

extension TreeRun {
    func taskFailed(_ node: Int, _ failure: TaskFailure) {
        let service = "\(path(node))#\(failure.name)"
        let error = ServiceError(.taskFailed, service: service, cause: failure.cause)
        emit(.failed, node, error: error)
        switch state.stage {
        case .settling, .stopping: state.errors.append(error)
        case .starting, .up:
            switch services[node].policy.onTaskFailure {
            case .ignore: return
            case .crashTree: exit(.taskFailed(service), error)
            case .restart(let backoff, let scope):
                if state.stage == .starting || state.exit != nil { return exit(.taskFailed(service), error) }
                // While another tree starts it again, that tree handles it.
                if lifecycles[node].isStarting(beside: self) { return }
                switch state.nodes[node].phase {
                // Of several trees that hold it and continue, the first to reach it starts it again.
                case .up where failure.take(): queueRestart(node, backoff, scope, error)
                case .unannounced where failure.take(): takeDownAgain(node, error)
                // As soon as the start has finished.
                case .starting where failure.take():
                    state.nodes[node].failure = state.nodes[node].failure ?? error
                default: return
                }
            }
        case .fresh, .over: return
        }
    }

    private func queueRestart(_ node: Int, _ backoff: ServiceBackoff, _ scope: RestartScope, _ error: ServiceError) {
        guard let delay = verdict(node, backoff, error, reason: .taskFailed(error.service)) else {
            return loseSharers(of: node)
        }
        // It is about to be stopped and started again anyway.
        if state.restart?.toStop.contains(node) == true || state.restartQueue.contains(where: { $0.node == node }) {
            return
        }
        state.restartQueue.append((node, backoff, scope, delay))
        emit(.restarting, node, duration: delay, error: error)
        if state.restart == nil { nextRestart() }
    }

    /// - Returns: how long to wait, or nil if it must not restart again.
    private func verdict(
        _ node: Int, _ backoff: ServiceBackoff, _ error: ServiceError, reason: StopReason
    ) -> Duration? {
        let clock = host.clock
        switch state.scores[node, default: FailureScore()].fail(at: clock.now, backoff, fraction: clock._chance()) {
        case .restart(let delay): return delay
        case .giveUp:
            exit(reason, ServiceError(.restartLimitReached, service: error.service, cause: error.cause ?? error))
            return nil
        }
    }

    private func nextRestart() {
        guard !state.restartQueue.isEmpty else { return state.restart = nil }
        let (node, backoff, scope, delay) = state.restartQueue.removeFirst()
        let members = members(scope, of: node)
        // Those that this one starts again as well, with all that their own restarts would.
        state.restartQueue.removeAll { self.members($0.scope, of: $0.node).allSatisfy(members.contains) }
        state.restart = TreeState.Restart(
            origin: node, backoff: backoff, delay: delay, toStop: members, toStart: members.reversed())
        continueRestart()
    }

    private func members(_ scope: RestartScope, of node: Int) -> [Int] {
        RestartSet.members(scope, of: node, in: graph, sequence: state.start.sequence)
    }

    /// Gives up all restarts. Trees that share a service whose turn has not come would continue without the task that
    /// failed.
    func endRestarts() {
        var waiting = state.restartQueue.map(\.node)
        if let restart = state.restart, restart.toStop.contains(restart.origin) { waiting.append(restart.origin) }
        state.restart = nil
        state.restartQueue = []
        for node in waiting { loseSharers(of: node) }
    }

    /// Takes the next step of a restart: one stop after another, the wait, one start after another.
    func continueRestart() {
        guard state.stage == .up else { return }
        while let node = state.restart?.toStop.popLast() {
            // Another tree that shares it may be starting it again just now: once is enough.
            if lifecycles[node].beginRestarting(by: self, node) { return launchStop(node, round: nil) }
        }
        guard let restart = state.restart else { return }
        guard restart.hasWaited else {
            if restart.resumeAt == nil { waitForRestart(restart.delay) }
            return
        }
        while let node = state.restart?.toStart.last, state.nodes[node].phase == .up {
            state.restart?.toStart.removeLast()
        }
        guard let node = state.restart?.toStart.last else { return nextRestart() }
        guard state.nodes[node].phase == .down else { return }
        lifecycles[node].beginStartingAgain(by: self)
        launchStart(node)
    }

    /// One that was started again did not come up: it is a failure like the first one.
    func restartFailed(_ node: Int, _ error: ServiceError) {
        guard let restart = state.restart else { return }
        let reason = StopReason.taskFailed(error.service)
        guard let delay = verdict(restart.origin, restart.backoff, error, reason: reason) else { return }
        emit(.restarting, node, duration: delay, error: error)
        waitForRestart(delay)
    }

    /// It is up, or nearly, but after its time: it is taken down again.
    func startedTooLate(_ node: Int) {
        let error = ServiceError(.startTimedOut, service: path(node))
        lifecycles[node].countFailure()
        emit(.failed, node, error: error)
        takeDownAgain(node, error)
    }

    /// It was started again and something went wrong before it was up, although its start has not failed.
    func takeDownAgain(_ node: Int, _ error: ServiceError) {
        lifecycles[node].beginEnding(by: self, node)
        launchStop(node, round: nil)
        restartFailed(node, error)
    }

    private func waitForRestart(_ delay: Duration) {
        let resumeAt = host.clock.now + delay
        state.restart?.hasWaited = false
        state.restart?.resumeAt = resumeAt
        arm(resumeAt)
    }

    func resumeRestart() {
        state.restart?.hasWaited = true
        state.restart?.resumeAt = nil
        continueRestart()
    }
}
