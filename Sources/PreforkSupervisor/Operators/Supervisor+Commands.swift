// The supervisor as its control socket and its metrics see it.

package import PreforkSystem

/// The control and metrics servers of a supervisor. Its loop serves them, a bounded piece of work at a time.
struct SupervisorServers {
    let control: ControlServer?
    let metrics: MetricsServer?

    init(_ host: SupervisorHost, delegate: any ControlDelegate) throws(SystemError) {
        let usage = WorkerUsageCache()
        control = try host.control.map { listener throws(SystemError) in
            try ControlServer(listener, audience: host.audience, delegate: delegate, usage: usage)
        }
        metrics = try host.metrics.map { listener throws(SystemError) in
            try MetricsServer(listener, delegate: delegate, usage: usage)
        }
    }

    var epolls: [Int32] { [control?.descriptor, metrics?.descriptor].compactMap { $0 } }

    var nextDeadline: MonotonicInstant? { [control?.nextDeadline, metrics?.nextDeadline].compactMap { $0 }.min() }

    func turn() {
        control?.turn()
        metrics?.turn()
    }
}

extension Supervisor: ControlDelegate {
    package func counters() -> PoolCounters {
        var counters = countersToLeave
        for entry in workers.entries.values {
            counters.refusedRequests &+= scoreboard.refusals(line: entry.line)
            counters.requestDurations.add(scoreboard.requestDurations(line: entry.line).counts)
        }
        return counters
    }

    /// Without what the lines of workers that live hold, which the next image has, too.
    var countersToLeave: PoolCounters {
        var counters = records.counters
        counters.crashedManagedProcesses &+= targets?.crashMarks ?? 0
        if let output { counters.recordLostOutput(output.lost) }
        if let output = targets?.output { counters.recordLostOutput(output.lost) }
        return counters
    }

    package func crashes() -> [ExitReport] { records.last }

    package func sharedObjects() -> SharedObjects { .present }

    package func listeners() -> [ListenerStatus] { serviceListeners.map { ListenerStatus(of: $0) } }

    /// The program's own listeners, not the supervisor's.
    var serviceListeners: [Listener] { Listener.all.filter { $0 !== host.control && $0 !== host.metrics } }

    package func settings() -> [(name: String, value: String)] {
        EnvironmentSettings.options.map { (name: $0.name, value: $0.show(configuration.settings)) }
    }

    /// Called from within a server's turn, where no fork may happen. What the pool then wants is done after the turn.
    package func perform(_ command: ControlCommand, completion: ((ControlOutcome) -> Void)?) -> ControlOutcome {
        let outcome = begin(command, whenOver: completion)
        if case .failed(let reason) = outcome {
            logger.say(LogLine(.warning, "not done: \(reason)"), by: .own(.order))
        }
        return outcome
    }

    /// Does what an operator asks for. What the pool wants of it is left to the loop.
    ///
    /// - Parameter whenOver: called once, when the operation has ended.
    func begin(_ command: ControlCommand, whenOver: ((ControlOutcome) -> Void)? = nil) -> ControlOutcome {
        switch command {
        case .upgrade(let path, let keeps): return beginUpgrade(to: path, keeps: keeps, whenOver: whenOver)
        case .rollback: return beginRollback(whenOver: whenOver)
        case .restartManaged(let name): return restartManaged(name, whenOver)
        case .runTask(let name): return runTask(name, whenOver)
        case .rebalance: return finish(rebalance(), whenOver)
        case .reopenLogs: return finish(reopenLogs(), whenOver)
        case .quarantine(let label): return finish(quarantine(label), whenOver)
        case .release(let label): return finish(release(label), whenOver)
        case .reload:
            // The image that this process becomes rolls its workers in by its own reload.
            if upgrade != nil || isGoingBack { return .failed("an upgrade is in progress") }
            if let obstacle = obstacle(to: command) { return .failed(obstacle) }
            if pool.phase == .running, let refusal = prepareReload() { return refusal }
        default: break
        }
        if let obstacle = obstacle(to: command) { return .failed(obstacle) }
        let (outcome, actions) = pool.perform(command, at: .now)
        want(actions)
        guard case .done = outcome, let whenOver else { return outcome }
        if let wait = CommandWait(command, in: pool), wait.isOver(in: pool) == nil {
            waits.add(wait, whenOver)
        } else {
            whenOver(outcome)
        }
        return outcome
    }

    /// Why an order cannot be carried out that would end workers, or count on ones to come, before the first fork is
    /// tried.
    private func obstacle(to command: ControlCommand) -> String? {
        guard pool.needsFork(command) else { return nil }
        let threads = threadCount()
        return threads == 1 ? nil : "\(SupervisorError(.multithreaded(threads: threads)))"
    }

    private func finish(_ outcome: ControlOutcome, _ whenOver: ((ControlOutcome) -> Void)?) -> ControlOutcome {
        if case .done = outcome { whenOver?(outcome) }
        return outcome
    }

    private func prepareReload() -> ControlOutcome? {
        do {
            if let hook = configuration.hooks.onReload {
                letSparesGo()
                try logger.running { try hook(pool.generation + 1) }
            }
            return nil
        } catch {
            logger.say(LogLine(.error, "reload refused, all workers stay: \(error)"), by: .own(.order))
            return .failed("the program refused the reload: \(error)")
        }
    }

    private func reopenLogs() -> ControlOutcome {
        do {
            try host.logFile?.reopen()
        } catch {
            logger.say(LogLine(.error, "cannot reopen the log, writing to its old file: \(error)"), by: .own(.order))
            return .failed("\(error)")
        }
        if let outcome = reopenAccessLog() { return outcome }
        if let hook = configuration.hooks.onReopenLogs {
            letSparesGo()
            logger.running { hook() }
        }
        logger.say(LogLine(.info, "logs reopened"), by: .own(.order))
        return .done("logs reopened")
    }

    /// - Returns: why it stays as it is. If nil, workers have the new file, or there is no access log.
    private func reopenAccessLog() -> ControlOutcome? {
        guard let number = host.accessLogNumber else { return nil }
        do throws(SystemError) {
            try host.reopenAccessLog()
        } catch {
            logger.say(LogLine(.error, "the access log goes on in its old file: \(error)"), by: .own(.order))
            return .failed("\(error)")
        }
        // What a program leaves to the next one has no ways to workers.
        let strangers = workers.entries.keys.filter { !accessLogRoutes.has($0) }.sorted()
        let unreached = strangers.map { (spawn: $0, reason: "another program has made it; a reload replaces it") }
        for (spawn, reason) in unreached + accessLogRoutes.send(number) {
            guard let slot = workers[spawn]?.slot else { continue }
            let line = LogLine(.warning, "worker \(slot) goes on in the access log's old file: \(reason)")
            logger.say(line, by: .worker(slot, .order))
        }
        return nil
    }
}
