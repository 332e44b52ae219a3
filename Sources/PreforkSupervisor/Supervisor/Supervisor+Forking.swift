// Making workers, and signalling them.

import PreforkSystem

/// How a fork came out, on either side of it.
enum ForkResult {
    case parent(PoolEvent)
    case child(WorkerHandle)
}

extension Supervisor {
    func fork(slot: Int, spawn: UInt64, generation: Int) -> ForkResult {
        var info = WorkerInfo(taskID: slot, generation: generation, pid: nil)
        runHook(configuration.hooks.beforeFork, info)
        let threads = threadCount()
        guard threads == 1 else {
            let error = SupervisorError(.multithreaded(threads: threads))
            return .parent(.forkFailed(slot: slot, spawn: spawn, reason: "\(error)"))
        }
        guard let line = workers.takeLine(of: scoreboard.lines) else {
            return .parent(.forkFailed(slot: slot, spawn: spawn, reason: "\(scoreboard.lines) workers live already"))
        }
        scoreboard.orders.linesInUse = workers.linesInUse
        let route: AccessLogRoute?
        do throws(SystemError) {
            route = try host.makeAccessLogRoute()
        } catch {
            workers.freeLine(line)
            return .parent(.forkFailed(slot: slot, spawn: spawn, reason: "\(error)"))
        }
        do throws(SystemError) {
            try host.workerGroups?.make(for: spawn)
        } catch {
            workers.freeLine(line)
            route?.close()
            return .parent(.forkFailed(slot: slot, spawn: spawn, reason: "\(error)"))
        }
        let links = makeHandoverRoute()
        let bell = bells.add(spawn, by: epoll, word: Source.bell | spawn, at: .now)
        let child = SupervisedChild(
            kind: .worker, owner: .worker(slot), spawn: spawn, place: slot, bell: bell,
            isWalled: host.rights.otherUser != nil, crashes: scoreboard.crashArea(line: line))
        do throws(SystemError) {
            switch try child.fork(by: self, output: output) {
            case .parent(let child):
                if let route { accessLogRoutes.add(route, of: spawn) }
                if let links {
                    handoverRoutes.add(links, of: spawn)
                    linkToPredecessor(slot: slot, spawn: spawn)
                }
                workers.insert(
                    .watched(child, by: epoll, word: spawn), spawn: spawn, slot: slot, line: line,
                    heartbeatPeriod: heartbeatPeriod)
                return .parent(.forked(slot: slot, pid: child, spawn: spawn))
            case .child(let doorbell, _):
                enterGroup(spawn, child.owner.name)
                info.pid = CurrentProcess.pid
                route?.enter()
                links?.enter()
                return .child(becomeWorker(info, spawn: spawn, line: line, doorbell: doorbell))
            }
        } catch {
            workers.freeLine(line)
            route?.close()
            links?.close()
            _ = host.workerGroups?.end(spawn)
            bells.remove(spawn, from: epoll)
            return .parent(.forkFailed(slot: slot, spawn: spawn, reason: "\(error)"))
        }
    }

    /// Runs in the child, before anything that takes memory.
    func enterGroup(_ key: UInt64, _ name: String) {
        do throws(SystemError) {
            try host.workerGroups?.enter(key)
        } catch {
            StandardErrorLines.say("error", "\(name) has no memory limit and does not serve: \(error)", by: "end")
            exitChild(code: ChildRights.failureCode)
        }
    }

    /// Runs in the child. Signals stay blocked: only the worker's own code knows when it can take them.
    private func becomeWorker(_ info: WorkerInfo, spawn: UInt64, line: Int, doorbell: Int32) -> WorkerHandle {
        ManagedOrderRoute.enter(
            ManagedOrderRoute.Sender(scoreboard: scoreboard, line: line, doorbell: doorbell, lifeline: lifeline.number))
        host.showTitle(.worker(taskID: info.taskID, generation: info.generation), "booting")
        giveUpRights(OutputOwner.worker(info.taskID).name, line: line, doorbell: doorbell)
        return takeSlot(info, spawn: spawn, line: line, doorbell: doorbell)
    }

    /// Runs in the child: what needs no slot. It ends there if it cannot serve.
    func giveUpRights(_ name: String, line: Int, doorbell: Int32) {
        do {
            try host.becomeChild(dumps: scoreboard.dumpArea(line: line), doorbell: doorbell, profiles)
        } catch {
            StandardErrorLines.say("error", "\(name) cannot serve: \(error)", by: "end")
            exitChild(code: ChildRights.failureCode)
        }
    }

    /// Runs in the child, which has given up its rights: it gets its slot.
    func takeSlot(_ info: WorkerInfo, spawn: UInt64, line: Int, doorbell: Int32) -> WorkerHandle {
        TaskIdentity.current = TaskIdentity(taskID: info.taskID, generation: info.generation, supervisor: pid)
        AcceptDuties.acceptingTaskIDs = { [orders = scoreboard.orders] in orders.acceptingTaskIDs }
        enterSlot(info.taskID, spawn: spawn, line: line)
        do throws(SystemError) { try host.settings.affinity.apply(worker: info.taskID) } catch {
            StandardErrorLines.say("error", "worker \(info.taskID) cannot serve: \(error)", by: "end")
            exitChild(code: ChildRights.failureCode)
        }
        configuration.hooks.afterFork?(info)
        return WorkerHandle(
            info: info, scoreboard: scoreboard, line: line, supervisorPipe: lifeline.number, signalMask: signalMask,
            heartbeatPeriod: heartbeatPeriod, watchesLoop: configuration.settings.loopStall != nil, spawn: spawn,
            doorbell: doorbell,
            title: host.settings.setsTitles ? WorkerTitle(info: info, service: host.settings.service) : nil,
            onceOrders: onceOrders)
    }

    private func enterSlot(_ taskID: Int, spawn: UInt64, line: Int) {
        let orders = scoreboard.orders
        let slot = ProcessSlot(identity: ProcessSlot.identity(ofWorker: taskID, of: pid), spawn: spawn) {
            orders.serviceStops ? .end : orders.order(line: line)
        }
        ProcessSlot.enter(slot)
    }

    /// How often a worker gives a heartbeat. If nil, hangs are not detected.
    var heartbeatPeriod: Duration? { configuration.settings.hangs.map { $0.soft.part(of: 3) } }

    /// The processes that the supervisor reaps one by one.
    var knownChildren: Set<Int32> {
        var known = Set(workers.entries.values.map(\.child.pid)).union(spares.processes)
        if let upgrade { known.insert(upgrade.trial.pid) }
        return known.union(late.processes).union(targets?.knownProcesses ?? [])
    }

    func send(_ signal: Signal, to spawn: UInt64) {
        guard let entry = workers[spawn] else { return }
        // Before the signal: the worker checks whether the supervisor sent it.
        if signal == .terminate || signal == .interrupt {
            scoreboard.orders.setOrder(pool.order(toWorkerOf: entry.slot), line: entry.line)
            records.wasAsked(entry.child.pid, at: .now)
        }
        if signal == .kill { late.wasKilled(spawn, at: .now) }
        do {
            try entry.child.send(signal)
            // As systemd does: a stopped worker would not act on the signal before its drain time is over.
            if signal == .terminate || signal == .interrupt { try entry.child.send(.resume) }
        } catch {
            let line = LogLine(.error, "worker \(entry.slot) cannot be signalled: \(error)")
            logger.say(line, by: .worker(entry.slot, .signal))
        }
    }
}

extension SupervisorHost {
    /// Runs in a new worker or spare, before its hooks: the answer to a request for its stack, its rights.
    ///
    /// - Parameters:
    ///   - dumps: where it leaves its stack when it is asked for it.
    ///   - doorbell: what it rings then.
    ///   - profiles: where it writes samples of its stack when it is asked for them.
    /// - Throws: what makes it unfit to serve.
    func becomeChild(dumps: UnsafeMutableRawBufferPointer, doorbell: Int32, _ profiles: ProfileLanes?) throws {
        let dumpsStacks = settings.hangs != nil || settings.slowRequest != nil || settings.loopStall != nil
        if dumpsStacks, dumps.count >= StackDump.byteCount, let area = dumps.baseAddress {
            try StackDump.install(into: area, doorbell: doorbell)
        }
        try profiles?.install()
        try rights.giveUp()
    }

    /// Runs in a new worker or spare, which has not got a `WorkerTitle` yet.
    func showTitle(_ role: ProcessTitleText.Role, _ state: String) {
        guard settings.setsTitles else { return }
        let text = ProcessTitleText(role: role, state: state, service: settings.service)
        ProcessTitle.set(text.title, name: text.name)
    }
}
