// Reports of the supervisor to its log, to the program's hooks and to the service manager.

import PreforkSystem

extension Supervisor {
    func tell(_ report: PoolReport) {
        var report = report
        if case .exited(var exit) = report {
            exit.had(lastHands.removeValue(forKey: exit.pid) ?? RequestsInHand())
            // Asked here and not before the fork of the successor: it takes three system calls.
            exit.crash = crashNotes.removeValue(forKey: exit.pid)?.report(program: program)
            exit.hangStack = hangStacks.removeValue(forKey: exit.pid) ?? []
            exit.time = WallClock.timestamp
            exit.lastWords = takeLastWords(of: exit.pid)
            let isKilledInGroup = groupKills.removeValue(forKey: exit.pid)
            if case .signaled(.kill, _) = exit.status, exit.killReason == nil {
                // The service's counter has the same step, which is no other child's.
                let isPossible = outOfMemory.claim(at: .now, isCertain: isKilledInGroup)
                exit.outOfMemory = isKilledInGroup ?? isPossible
            }
            records.add(exit, requests: lastRequests.removeValue(forKey: exit.pid) ?? 0, at: .now)
            report = .exited(exit)
        }
        if case .stopping(let reason) = report {
            scoreboard.orders.serviceStops = true
            if reason.isOrder { endRollback() }
            // A program that comes back needs them.
            if rollback == nil { for listener in serviceListeners { listener.endService() } }
        }
        // A program that came back would not know of the stop.
        if case .stopDelayed = report { endRollback() }
        let line = report.line(limit: configuration.settings.restarts.limit, slots: pool.target)
        logger.say([line] + requestLines(of: report), by: report.cause)
        if case .exited(let exit) = report { tellStack(of: exit) }
        count(report)
        for (body, outcome) in waits.end(report, in: pool) { body(outcome) }
        noteListening(report)
        tellHooks(report)
        tellHost(report)
    }

    /// Also what it said on its way out, unless that is only what a backtracer said of it.
    private func takeLastWords(of process: Int32) -> LastWords? {
        let atCrash = lastWords.removeValue(forKey: process)
        let atEnd = endedOutputs.removeValue(forKey: process).flatMap { output?.end($0, at: .now) }
        return atCrash ?? atEnd
    }

    private func count(_ report: PoolReport) {
        switch report {
        case .ready(_, _, _, let after): records.countBoot(after)
        case .forkFailed: records.countFailedFork()
        case .reloadFinished:
            records.countReload(isDone: true)
            forgetPreviousImage()
            Listener.noteThatWorkersHaveAll()
        case .reloadAborted:
            records.countReload(isDone: false)
            // Do not roll back while stopping: the previous program would keep serving and ignore the stop.
            if pool.phase == .running { goBack() }
        default: break
        }
    }

    private func tellHooks(_ report: PoolReport) {
        let hooks = configuration.hooks
        switch report {
        case .ready(let taskID, let pid, let generation, _):
            runHook(hooks.onReady, WorkerInfo(taskID: taskID, generation: generation, pid: pid))
        case .allReady: if let hook = hooks.onAllReady { logger.running { hook() } }
        case .exited(let exit):
            runHook(hooks.onExit, exit)
            if exit.isCrash { runHook(hooks.onCrash, exit) }
        case .stopping(let reason): runHook(hooks.onStop, reason)
        case .hung(let taskID, let pid, _):
            runHook(hooks.onHang, WorkerInfo(taskID: taskID, generation: pool.slots[taskID].generation, pid: pid))
        default: break
        }
    }

    /// A hook may print: see `SupervisorLogger.running`.
    func runHook<Fact>(_ hook: ((Fact) -> Void)?, _ fact: Fact) {
        if let hook { logger.running { hook(fact) } }
    }

    private func tellHost(_ report: PoolReport) {
        switch report {
        // The pool's value is ahead of its reports: it is what the supervisor does now.
        case .allReady, .reloadOnProbation, .reloadFinished, .reloadAborted:
            host.notify(.ready, .status(pool.serviceStatus))
        case .reloadStarted: host.notify(.reloading(at: .now), .status(pool.serviceStatus))
        // If the previous program takes over, the service does not stop.
        case .stopDelayed: host.notify(.stopping, .status(pool.serviceStatus))
        case .stopping: if rollback == nil { host.notify(.stopping, .status(pool.serviceStatus)) }
        case .scaled: break
        default: return
        }
        let state =
            switch pool.phase {
            case .running: pool.reload == nil ? "serving" : "reloading"
            case .delayingStop: "about to stop"
            case .stopping, .finished: "stopping"
            }
        host.setTitle(state, workers: pool.target)
    }

    func takeSamples() -> [WorkerSample] {
        let wantsMemory = pool.settings.recycling.memory != nil
        let wantsTime = configuration.settings.scaling.workers != nil
        return pool.slots.compactMap { slot -> WorkerSample? in
            guard slot.isReady, let worker = slot.worker, let entry = workers[worker.spawn] else { return nil }
            var sample = WorkerSample(slot: slot.taskID, spawn: worker.spawn)
            sample.heartbeat = scoreboard.heartbeat(line: entry.line)
            sample.heartbeatPeriod = entry.heartbeatPeriod
            sample.extendedUntil = scoreboard.extendedUntil(line: entry.line)
            sample.requests = scoreboard.requests(line: entry.line)
            if wantsMemory { sample.memory = usageReader.usage(of: worker.pid)?.resident }
            if wantsTime { sample.processorTime = try? ProcessorClock.time(of: worker.pid) }
            return sample
        }
    }

    /// The number of connections that wait in all queues. It is read only where it decides something.
    func waitingConnections() -> Int {
        guard configuration.settings.scaling.workers != nil else { return 0 }
        return serviceListeners.reduce(0) { $0 + ($1.queue?.waiting ?? 0) }
    }

    /// What is left to be told at the end of this program.
    func finishLog() {
        targets?.finishLog()
        output?.finish(at: .now)
        logger.tellAllLeftOut()
    }

    /// Where the log's lines go.
    static func logger(
        _ log: (@Sendable (LogLine) -> Void)?, _ file: LogFile?, _ format: LogFormat
    ) -> SupervisorLogger {
        if let log { return SupervisorLogger(isByProgram: true, log) }
        if let file { return SupervisorLogger { file.write($0) } }
        let standardError = StandardErrorLog(format)
        return SupervisorLogger(beside: standardError) { standardError.write($0) }
    }
}
