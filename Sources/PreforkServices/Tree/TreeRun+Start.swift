// The start of a tree, and its end before it is up.

extension TreeRun {
    func begin() {
        guard state.stage == .fresh else { return }
        watcher?(.begins)
        if let (reason, error) = state.exit {
            // Requested before the start: this must not be taken for a tree that has run.
            state.exit = (reason, error ?? ServiceError(.cancelled, service: path(0)))
            return finish()
        }
        for node in 0..<graph.count {
            switch lifecycles[node].join(self, node, owner: ObjectIdentifier(services[node])) {
            case .joined: continue
            case .refused(let reason): state.exit = (reason, ServiceError(.cancelled, service: path(node)))
            case .taken:
                let error = ServiceError(.duplicateName(graph.names[node]), service: path(node))
                state.exit = (.startFailed, error)
            }
            return finish()
        }
        state.stage = .starting
        startNodes(state.start.begin())
    }

    func retry(_ node: Int) {
        guard state.nodes[node].phase == .watching, state.stage == .starting else { return }
        startNodes([node])
    }

    private func startNodes(_ nodes: [Int]) {
        var ready = nodes
        var head = 0
        while head < ready.count {
            let node = ready[head]
            head += 1
            switch lifecycles[node].acquire(self, node, with: groups(node)) {
            case .mine: launchStart(node)
            case .busy: state.nodes[node].phase = .watching
            case .running:
                state.nodes[node].phase = .up
                ready += state.start.up(node)
            }
        }
        guard state.start.isComplete, state.stage == .starting else { return }
        state.stage = .up
        state.wasUp = true
        watcher?(.up)
        reach(.up)
    }

    private func groups(_ node: Int) -> [[any AsyncService]] {
        graph.groups[node].map { $0.map { services[$0] } }
    }

    func launchStart(_ node: Int) {
        let service = services[node]
        let now = host.clock.now
        let timeout = service.policy.startTimeout?.bounded
        let isCut = timeout == .zero
        emit(.starting, node)
        let body = { @Sendable in
            // Given up before it had its turn: then it never was started.
            try Task.checkCancellation()
            try await service.start()
        }
        let task = launch(node, isCut: isCut, body) { .startEnded(node, $0) }
        state.nodes[node] = TreeState.Node(
            phase: .starting, since: now, task: task, cancelAt: timeout.map { now + $0 }, isCut: isCut)
        state.inFlight.insert(node)
        if let timeout, !isCut { arm(now + timeout) }
    }

    /// Calls a service's code. If there is no time for it, the code finds itself cancelled from its first line on.
    func launch(
        _ node: Int, isCut: Bool, _ body: @escaping @Sendable () async throws -> Void,
        then step: @escaping @Sendable ((any Error)?) -> Step
    ) -> Task<Void, Never> {
        let lifecycle = lifecycles[node]
        return Task(executorPreference: host.executor) { [self] in
            // The reference to this task stays within the closure.
            if isCut { withUnsafeCurrentTask { $0?.cancel() } }
            var failure: (any Error)?
            do { try await callService(lifecycle, body) } catch { failure = error }
            post(step(failure))
        }
    }

    func startEnded(_ node: Int, _ error: (any Error)?) {
        if state.nodes[node].phase == .leftStarting { return lateStartEnded(node, error) }
        guard state.nodes[node].phase == .starting else { return }
        state.nodes[node].task = nil
        if let error { return startFailed(node, error) }
        if state.stage == .up {
            if state.nodes[node].isCut { return startedTooLate(node) }
            if let failure = state.nodes[node].failure { return takeDownAgain(node, failure) }
        }
        let mustAnnounce = services[node].policy.readiness == .announced && !lifecycles[node].isAnnounced
        if mustAnnounce, state.stage != .settling { state.nodes[node].phase = .unannounced } else { cameUp(node) }
    }

    func announced(_ node: Int) {
        if state.nodes[node].phase == .unannounced { cameUp(node) }
    }

    private func cameUp(_ node: Int) {
        let took = host.clock.now - state.nodes[node].since
        let failure = state.nodes[node].failure
        state.inFlight.remove(node)
        state.nodes[node] = TreeState.Node(phase: .up)
        lifecycles[node].didStart()
        emit(.started, node, duration: took)
        switch state.stage {
        case .starting: startNodes(state.start.up(node))
        case .up: continueRestart()
        default:
            state.start.note(up: node)
            // This tree does not start it again any more, and others would continue without the task that failed.
            if failure != nil { loseSharers(of: node) }
            settle()
        }
    }

    /// Only the tasks it added remain of the start. Its stop is not called (as in facet).
    private func startFailed(_ node: Int, _ cause: any Error) {
        let isCut = state.nodes[node].isCut
        let error = ServiceError(
            isCut ? .startTimedOut : .startFailed, service: path(node),
            cause: isCut && cause.isCancellation ? nil : cause)
        var leaveAt = host.clock.now + policyBudget(node).abandonment(ofLevel: 0)
        if state.stage == .settling, let known = state.nodes[node].leaveAt { leaveAt = min(leaveAt, known) }
        state.nodes[node].phase = .failing
        state.nodes[node].cancelAt = nil
        state.nodes[node].leaveAt = leaveAt
        arm(leaveAt)
        lifecycles[node].beginEnding(by: self, node)
        if state.stage == .settling {
            // Cancelled as requested, which needs no report.
            if !cause.isCancellation { report(error, node) }
        } else {
            lifecycles[node].countFailure()
            emit(.failed, node, error: error)
            if state.stage == .starting { exit(.startFailed, error) } else { restartFailed(node, error) }
        }
        if lifecycles[node].cancelTasks(tell: self, node) { drained(node) }
    }

    func policyBudget(_ node: Int) -> StopBudget {
        StopBudget(timeout: services[node].gracefulShutdownTimeout, levels: 1)
    }

    // The end before it is up.

    /// The tree must end. The first reason counts.
    func exit(_ reason: StopReason, _ error: ServiceError?) {
        guard state.stage != .over else { return }
        guard state.exit == nil else {
            if let error, error.kind != .cancelled { state.errors.append(error) }
            return hurry()
        }
        state.exit = (reason, error)
        reach(.exiting)
        guard state.stage != .fresh else { return }
        let end: WaitEnd = error.map { $0.kind == .cancelled ? .success(reason) : .failure($0) } ?? .success(reason)
        for lifecycle in lifecycles { lifecycle.treeEnds(self, end) }
        if state.stage == .starting || state.restart != nil { halt() }
    }

    /// Gives up what is on its way.
    private func halt() {
        state.stage = .settling
        endRestarts()
        state.haltedAt = host.clock.now
        for node in 0..<graph.count where state.nodes[node].phase == .down { giveUp(node) }
        for node in 0..<graph.count where state.nodes[node].phase == .watching {
            lifecycles[node].unwatch(self)
            state.nodes[node].phase = .none
        }
        for node in state.inFlight where state.nodes[node].phase == .starting {
            state.nodes[node].task?.cancel()
            state.nodes[node].cancelAt = nil
        }
        shortenSettling(to: stopTimeout)
        for node in state.inFlight.sorted() where state.nodes[node].phase == .unannounced { cameUp(node) }
        settle()
    }

    /// Begins the stop when nothing is on its way any more and the owner is ready.
    func settle() {
        if state.stage == .settling, state.inFlight.isEmpty, state.isUnwinding { beginStop() }
    }
}
