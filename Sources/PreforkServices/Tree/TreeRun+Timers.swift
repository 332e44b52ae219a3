// A tree's reaction to timeouts.

extension TreeRun {
    /// Makes sure that `timerFired` is called at `deadline` or before. There is one timer, for the nearest deadline. An
    /// unneeded one fires without effect.
    func arm(_ deadline: Duration) {
        if let timer = state.timer, timer.deadline <= deadline { return }
        state.timer?.task.cancel()
        state.lastTimer += 1
        let (serial, clock) = (state.lastTimer, host.clock)
        let task = Task(executorPreference: host.executor) { [weak self] in
            do { try await clock.sleep(until: deadline) } catch { return }
            self?.post(.timer(serial))
        }
        state.timer = (deadline, serial, task)
    }

    func timerFired(_ serial: Int) {
        guard state.timer?.serial == serial else { return }
        state.timer = nil
        let now = host.clock.now
        for node in state.inFlight.sorted() where state.inFlight.contains(node) {
            if let cancelAt = state.nodes[node].cancelAt, cancelAt <= now, !state.nodes[node].isCut { cut(node) }
            if let leaveAt = state.nodes[node].leaveAt, leaveAt <= now { leave(node) }
        }
        if let resumeAt = state.restart?.resumeAt, resumeAt <= now { resumeRestart() }
        armNext()
    }

    /// Makes sure that the timer fires for whatever comes next.
    func armNext() {
        for node in state.inFlight {
            if let cancelAt = state.nodes[node].cancelAt, !state.nodes[node].isCut { arm(cancelAt) }
            if let leaveAt = state.nodes[node].leaveAt { arm(leaveAt) }
        }
        if let resumeAt = state.restart?.resumeAt { arm(resumeAt) }
    }

    /// Its time is over.
    private func cut(_ node: Int) {
        state.nodes[node].isCut = true
        state.nodes[node].task?.cancel()
        let phase = state.nodes[node].phase
        switch state.stage {
        case .starting where phase == .starting || phase == .unannounced:
            let error = ServiceError(.startTimedOut, service: path(node))
            lifecycles[node].countFailure()
            emit(.failed, node, error: error)
            exit(.startFailed, error)
        // In a restart it is a failure like the first one, as soon as the start has finished.
        case .up where phase == .starting:
            state.nodes[node].leaveAt = host.clock.now + policyBudget(node).abandonment(ofLevel: 0)
        case .up where phase == .unannounced: startedTooLate(node)
        default: break
        }
    }

    /// It does not end although it was cancelled, and the others must not wait for it.
    private func leave(_ node: Int) {
        let tasks = lifecycles[node].taskNames.map { "\(path(node))#\($0)" }
        let phase = state.nodes[node].phase
        switch phase {
        case .starting:
            state.nodes[node].phase = .leftStarting
            left(node, .startTimedOut, [path(node)])
        case .stopping:
            state.nodes[node].phase = .leftStopping
            _ = lifecycles[node].cancelTasks(tell: self, node)
            left(node, .stopTimedOut, [path(node)] + tasks)
        case .failing, .draining:
            // The last one has just ended: the step that reports it is on its way, and no task is left behind.
            guard !tasks.isEmpty else { return state.nodes[node].leaveAt = nil }
            state.nodes[node].phase = phase == .failing ? .leftFailing : .leftDraining
            left(node, .stopTimedOut, tasks)
        default: break
        }
    }

    private func left(_ node: Int, _ kind: ServiceError.Kind, _ late: [String]) {
        state.inFlight.remove(node)
        var errors = late.map { ServiceError(kind, service: $0) }
        // In a restart, other trees may have relied on it.
        if state.stage != .stopping, state.start.marks[node] == .up { tellSharers(of: node, errors[0]) }
        // It cannot be started again while its previous run has not ended.
        if state.stage == .up { exit(.taskFailed(path(node)), errors.removeFirst()) }
        for error in errors { report(error, node) }
        if state.stage == .stopping { stopNodes(state.stop?.down(node) ?? []) } else { settle() }
    }

    /// A start that was left behind has finished. If it is up it must be stopped, though no service waits for it.
    func lateStartEnded(_ node: Int, _ error: (any Error)?) {
        lifecycles[node].beginEnding(by: self, node)
        guard error == nil else {
            state.nodes[node].phase = .leftFailing
            if lifecycles[node].cancelTasks(tell: self, node) { drained(node) }
            return
        }
        state.nodes[node].phase = .leftStopping
        state.nodes[node].isCut = true
        state.nodes[node].task = stopTask(node, isCut: true)
    }
}
