// What the supervisor says: to its log, to the program's hooks, to operators.

import PreforkSystem

extension Supervisor {
    func tell(_ report: PoolReport) {
        let hooks = configuration.hooks
        var report = report
        if case .exited(let exit) = report {
            // Asked here and not before the fork of the successor: it takes three system calls.
            report = .exited(reports.judge(exit))
        }
        if case .stopping = report { scoreboard.serviceStops = true }
        log(report.line(limit: configuration.restarts.limit))
        switch report {
        case .ready(let taskID, let pid, let generation, _):
            hooks.onReady?(WorkerInfo(taskID: taskID, generation: generation, pid: pid))
        case .allReady: hooks.onAllReady?()
        case .exited(let exit): hooks.onExit?(exit)
        case .stopping(let reason): hooks.onStop?(reason)
        case .hung(let taskID, let pid, _):
            hooks.onHang?(WorkerInfo(taskID: taskID, generation: pool.slots[taskID].generation, pid: pid))
        case .reloadFinished(let generation, let after):
            endReload(generation, .done("generation \(generation) serves, after \(after.short)"))
            forgetPreviousImage()
        case .reloadAborted(let generation, let replaced, let total, let reason):
            endReload(generation, .failed("\(total - replaced) of \(total) old workers stay: \(reason)"))
            // A pool that ends has nothing to go back to: the program before would serve on as if nobody had asked.
            if pool.phase == .running { goBack() }
        default: break
        }
    }

    private func endReload(_ generation: Int, _ outcome: ControlOutcome) {
        let waiters = reloadWaiters.filter { $0.generation <= generation }
        reloadWaiters.removeAll { $0.generation <= generation }
        for waiter in waiters { waiter.body(outcome) }
    }

    /// Does what an operator asks for.
    ///
    /// - Parameter whenOver: called when a reload that this began has ended.
    /// - Returns: what came of it, and the seat, when the caller now is a new worker.
    func performAndTell(
        _ command: ControlCommand, whenOver: ((ControlOutcome) -> Void)? = nil
    ) -> (ControlOutcome, WorkerSeat?) {
        if case .upgrade(let path) = command { return (beginUpgrade(to: path, whenOver: whenOver), nil) }
        if command == .reload, pool.phase == .running, let refusal = prepareReload() { return (refusal, nil) }
        let (outcome, actions) = pool.perform(command, at: .now)
        if case .done = outcome, command == .reload, let whenOver {
            // One that waits for the present reload to end is of the generation after it.
            let generation = pool.reload?.isWantedAgain == true ? pool.generation + 1 : pool.generation
            reloadWaiters.append((generation, whenOver))
        }
        return (outcome, carryOut(actions))
    }

    private func prepareReload() -> ControlOutcome? {
        do {
            try configuration.hooks.onReload?(pool.generation + 1)
            return nil
        } catch {
            log(LogLine(level: .error, text: "reload refused, all workers stay: \(error)"))
            return .failed("the program refused the reload: \(error)")
        }
    }

    func takeSamples() -> [WorkerSample] {
        let wantsMemory = configuration.recycling.memory != nil
        let wantsTime = configuration.scaling != nil
        return pool.slots.compactMap { slot -> WorkerSample? in
            guard slot.isReady, let worker = slot.worker, let entry = workers[worker.spawn] else { return nil }
            var sample = WorkerSample(slot: slot.taskID, spawn: worker.spawn)
            sample.heartbeat = scoreboard.heartbeat(line: entry.line)
            sample.extendedUntil = scoreboard.extendedUntil(line: entry.line)
            sample.requests = scoreboard.requests(line: entry.line)
            if wantsMemory { sample.memory = try? ProcessVitals.residentBytes(of: worker.pid) }
            if wantsTime { sample.processorTime = try? ProcessVitals.processorTime(of: worker.pid) }
            return sample
        }
    }

    func dumpStack(of spawn: UInt64) {
        guard let entry = workers[spawn] else { return }
        log(LogLine(level: .warning, text: "worker \(entry.slot) \(ProcessVitals.whereabouts(of: entry.child.pid))"))
    }

    func log(_ line: LogLine) {
        if let log = configuration.log { log(line) } else { standardError.write(line) }
    }
}
