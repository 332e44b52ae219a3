// What a tree does when time is over.

extension TreeRun {
    /// Makes sure that `timerFired` is called at `deadline` or before. There is one timer, for the nearest deadline;
    /// one that has become needless fires for nothing.
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
        for node in state.inFlight {
            let next = state.nodes[node].isCut ? nil : state.nodes[node].cancelAt
            if let deadline = next ?? state.nodes[node].leaveAt { arm(deadline) }
        }
        if let resumeAt = state.restart?.resumeAt { arm(resumeAt) }
    }

    /// Its time is over.
    private func cut(_ node: Int) {
        state.nodes[node].isCut = true
        state.nodes[node].task?.cancel()
        let phase = state.nodes[node].phase
        guard phase == .starting || phase == .unannounced, state.stage != .settling else { return }
        let error = ServiceError(.startTimedOut, service: path(node))
        lifecycles[node].countFailure()
        emit(.failed, node, error: error)
        exit(.startFailed, error)
    }

    /// It does not end although it was cancelled: the others are not to wait for it.
    private func leave(_ node: Int) {
        guard state.inFlight.remove(node) != nil else { return }
        let tasks = lifecycles[node].taskNames.map { "\(path(node))#\($0)" }
        switch state.nodes[node].phase {
        case .starting:
            state.nodes[node].phase = .leftStarting
            let error = ServiceError(.startTimedOut, service: path(node))
            // In a restart there may be others who counted on it.
            if state.start.marks[node] == .up { tellSharers(of: node, error) }
            report(error, node)
            settle()
        case .failing:
            state.nodes[node].phase = .leftDraining
            for task in tasks { report(ServiceError(.stopTimedOut, service: task), node) }
            settle()
        case .stopping:
            state.nodes[node].phase = .leftStopping
            _ = lifecycles[node].cancelTasks(tell: self, node)
            left(node, [path(node)] + tasks)
        case .draining:
            state.nodes[node].phase = .leftDraining
            left(node, tasks)
        default: break
        }
    }

    private func left(_ node: Int, _ late: [String]) {
        var errors = late.map { ServiceError(.stopTimedOut, service: $0) }
        if state.stage == .up, !errors.isEmpty {
            // It cannot be started again beside itself.
            tellSharers(of: node, errors[0])
            exit(.taskFailed(path(node)), errors.removeFirst())
        }
        for error in errors { report(error, node) }
        if state.stage == .stopping { stopNodes(state.stop?.down(node) ?? []) } else { settle() }
    }

    /// A start that was left behind has come to its end. If it is up it must be stopped, though nobody waits for it.
    func lateStartEnded(_ node: Int, _ error: (any Error)?) {
        lifecycles[node].beginEnding(by: self, node)
        guard error == nil else {
            state.nodes[node].phase = .leftDraining
            if lifecycles[node].cancelTasks(tell: self, node) { drained(node) }
            return
        }
        state.nodes[node].phase = .leftStopping
        state.nodes[node].isCut = true
        state.nodes[node].task = stopTask(node, isCut: true)
    }
}
