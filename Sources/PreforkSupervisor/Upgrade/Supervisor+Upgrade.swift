// The supervisor re-executes itself: same process, same workers, another program.

import PreforkSystem

/// An upgrade under way in the image that begins it.
struct Upgrade {
    let path: String
    /// Later upgrades start what is there, too.
    let keepsPath: Bool
    /// Where it begins.
    let directory: String
    /// The file that was there when the trial began, or nil.
    let file: ProgramFile?
    /// What the trial tells.
    let report: TrialReport
    /// The new program in a separate process, which shows that it can start.
    let trial: ChildProcess
    let deadline: MonotonicInstant
    /// It was killed at the deadline. Only its end can follow.
    var isLate = false
    let whenOver: ((ControlOutcome) -> Void)?
    /// The trial is over; what is left is that the main process's callbacks finish.
    var isTried = false
    /// What the new program changes, by its own word.
    var changes: [String] = []
}

/// What one image leaves to the next besides listeners and stores. Descriptors: scoreboard, orders, both ends of the
/// lifeline, the doorbells of those workers that have one and what reads their output, each in the order of the text.
extension Supervisor {
    static let handoverKind = "supervisor"

    /// Begins an upgrade: a separate process first tries the new program, and ends where the program would begin to
    /// serve. A program that cannot start costs nothing but a line in the log.
    ///
    /// - Parameters:
    ///   - path: the program. If nil, what is now at the path that the service was started by.
    ///   - keeps: later upgrades without a path start what is there, too.
    ///   - directory: its working directory. If nil, the one in which the service was started.
    func beginUpgrade(
        to path: String?, keeps: Bool = false, in directory: String? = nil, whenOver: ((ControlOutcome) -> Void)? = nil
    ) -> ControlOutcome {
        guard pool.phase == .running else { return .failed("the pool is stopping") }
        guard upgrade == nil, !isGoingBack else { return .failed("an upgrade is in progress") }
        if let reload = pool.reload {
            return .failed(
                reload.probationEnd.map { "the last reload is on probation for another \(($0 - .now).short)" }
                    ?? "a reload is in progress")
        }
        let target = path ?? programs.path
        let file = try? ProgramFile(at: target)
        let directory = directory ?? programs.directory
        if let reason = host.rights.privileges.distrust(of: target) { return .failed(reason) }
        do {
            // The trial has no use for what the supervisor itself holds, but must be able to read of it.
            let own = HandoverItem(
                kind: Self.handoverKind, key: "", descriptors: [], text: inheritedPool.text)
            let report = try TrialReport()
            defer { report.closeFile() }
            let offers = Handover.offers.compactMap(TrialHandover.item)
            let trial = try ChildProcess(
                pid: ProgramImage.tryOut(
                    .path(target), in: directory, leaving: offers + [own, inheritedRecords.item, report.item],
                    parent: pid))
            if let pidfd = trial.pidfdNumber { try epoll.add(pidfd, .readable, word: Source.trial) }
            upgrade = Upgrade(
                path: target, keepsPath: keeps, directory: directory, file: file, report: report, trial: trial,
                deadline: .now + configuration.settings.bootTimeout, whenOver: whenOver)
        } catch {
            return .failed("cannot try out the new program: \(error)")
        }
        let name = file?.summary ?? target
        let line = LogLine(.info, "upgrade: trying out \(name) (pid \(upgrade?.trial.pid ?? 0))")
        logger.say(line, by: .own(.order))
        return .done("the upgrade to \(name) began")
    }

    /// When the trial is given up.
    var upgradeDeadline: MonotonicInstant? {
        upgrade.flatMap { $0.isTried || $0.isLate ? nil : $0.deadline }
    }

    /// Another image takes over as soon as the main process's callbacks have finished what they have in hand.
    var isLeaving: Bool { isGoingBack || upgrade?.isTried == true }

    /// Checks how far the trial is, and executes the new program once nothing delays it. Then it does not return if all
    /// goes well.
    func turnUpgrade() {
        if let upgrade, !upgrade.isTried { checkTrial(upgrade) }
        let sparesAreGone = sparesAreGone(held: upgrade != nil || isGoingBack)
        guard isLeaving else { return }
        guard pool.phase == .running else {
            isGoingBack = false
            mainLoop.stay()
            if let upgrade { endUpgrade(upgrade, "the pool is stopping") }
            return
        }
        guard mainLoop.mayLeave(within: configuration.settings.drainTimeout), sparesAreGone else { return }
        if DrivenLoops.driven?.hasWorkInHand == true {
            let text = "upgrade: callbacks of the main process have not finished in time"
            logger.say(LogLine(.warning, text), by: .own(.order))
        }
        DrivenLoops.leave()
        if let upgrade { commitUpgrade(upgrade) } else { commitRollback() }
        mainLoop.stay()
    }

    private func checkTrial(_ current: Upgrade) {
        if !current.isLate, current.deadline <= .now {
            upgrade?.isLate = true
            try? current.trial.send(.kill)
        }
        guard let exit = current.trial.reapOrLose() else { return }
        if let pidfd = current.trial.pidfdNumber { epoll.remove(pidfd) }
        guard pool.phase == .running else { return endUpgrade(current, "the pool is stopping") }
        let report = current.report.read()
        guard exit.status == .exited(code: Handover.trialPassed) else {
            var refusal: String?
            if case .refusal(let reason) = report { refusal = ForeignText(reason).escaped(for: .log) }
            let reason =
                refusal ?? (upgrade?.isLate == true ? "it did not start within the boot timeout"
                : exit.status == .exited(code: Handover.trialFailed) ? "it cannot take over the running workers"
                : "its trial \(exit.status) before it could serve")
            return endUpgrade(current, "\(current.path): \(reason)")
        }
        if case .report(let text) = report, let next = ProgramWord(text: text) {
            upgrade?.changes = configuration.word(serviceListeners).changes(to: next, scaledTo: pool.scaledTo).map {
                ForeignText($0).escaped(for: .log)
            }
        }
        upgrade?.isTried = true
    }

    /// A trial that is under way when the pool has ended ends with it.
    func endTrial() {
        guard let upgrade, !upgrade.isTried else { return }
        try? upgrade.trial.send(.kill)
        if let pidfd = upgrade.trial.pidfdNumber {
            _ = try? Polling.waitUntilReadable([pidfd], until: .now + .seconds(1))
        }
        _ = try? upgrade.trial.reap()
    }

    private func endUpgrade(_ upgrade: Upgrade, _ reason: String) {
        self.upgrade = nil
        logger.say(LogLine(.error, "upgrade refused, nothing has changed: \(reason)"), by: .own(.order))
        upgrade.whenOver?(.failed("nothing has changed: \(reason)"))
    }

    private func commitUpgrade(_ upgrade: Upgrade) {
        guard upgrade.file?.stamp == (try? ProgramFile(at: upgrade.path))?.stamp else {
            return endUpgrade(upgrade, "\(upgrade.path) has changed since its trial")
        }
        let name = upgrade.file?.summary ?? upgrade.path
        logger.say(LogLine(.info, "upgrade: this process becomes \(name)"), by: .own(.order))
        if !upgrade.changes.isEmpty {
            let list = upgrade.changes.joined(separator: "; ")
            logger.say(LogLine(.info, "upgrade: changes: \(list)"), by: .own(.order))
        }
        let handover = programs.handover(to: upgrade.path, keeps: upgrade.keepsPath, changes: upgrade.changes)
        targets?.prepareToLeave()
        // Before the list is made: it closes the output of a worker that has just ended.
        finishLog()
        let (inherited, records) = (inheritedPool, inheritedRecords.item)
        func items(_ pool: InheritedPool, _ managed: InheritedTargets?) -> [HandoverItem] {
            let managed = targets.flatMap { targets in managed.map { targets.item($0) } }
            return Handover.offers + [item(pool), records, handoverRoutes.item] + (managed.map { [$0] } ?? [])
        }
        // Workers of this program are of an earlier generation when it comes back, and managed processes are its own.
        var poolBack = inherited
        poolBack.generation = pool.generation + 1
        let managed = targets?.inheritance { _ in false }
        let managedBack = targets.map { targets in targets.inheritance { targets.isOwn($0) } }
        do throws(SystemError) {
            let undo = HandoverItem(
                kind: ProgramHandover.handoverKind, key: "", descriptors: [], text: handover.undo ?? "")
            let rollback = try RollbackOffer(
                items(poolBack, managedBack) + [undo], startLimit: configuration.settings.bootTimeout)
            throw become(
                .path(upgrade.path), in: upgrade.directory,
                items(inherited, managed) + [handover.item, rollback.item], rollback)
        } catch {
            endUpgrade(upgrade, "\(error)")
        }
    }

    /// - Parameter items: from here on nothing closes their descriptors. `finishLog` came before.
    /// - Returns: only when it fails, with everything as it was.
    func become(
        _ source: ProgramImage.Source, in directory: String, _ items: [HandoverItem], _ rollback: RollbackOffer? = nil
    ) -> SystemError {
        // A directory that is gone as well as the one before leaves this process where it is.
        let place = WorkingDirectory()
        if !directory.isEmpty {
            do throws(SystemError) {
                try WorkingDirectory.change(to: directory)
            } catch {
                let text = "upgrade: cannot change the working directory: \(error)"
                logger.say(LogLine(.warning, text), by: .own(.order))
            }
        }
        host.prepareForExec()
        leaveMemory(true)
        let error = ProgramImage.execute(
            source, leaving: items, for: rollback == nil ? .rollback : .upgrade, rollback: rollback)
        leaveMemory(false)
        host.returnFromFailedExec()
        place.restore()
        return error
    }

    /// Rolls back to the previous program: while the present one is on probation, as its failure would, and later by
    /// its path, if the same build is still there.
    func beginRollback(whenOver: ((ControlOutcome) -> Void)?) -> ControlOutcome {
        guard pool.phase == .running else { return .failed("the pool is stopping") }
        guard upgrade == nil, !isGoingBack else { return .failed("an upgrade is in progress") }
        guard let previous = programs.previous else { return .failed("there is no previous program") }
        if rollback != nil, pool.reload != nil {
            whenNotBack = whenOver ?? { _ in }
            want(pool.abandonReload("an operator requested a rollback", at: .now))
            return .done("the rollback to \(previous.summary) began")
        }
        if let refusal = ProgramHistory.refusal(of: previous) { return .failed(refusal) }
        let outcome = beginUpgrade(to: previous.file, in: programs.previousDirectory, whenOver: whenOver)
        if case .done = outcome { return .done("the rollback to \(previous.summary) began") }
        return outcome
    }

    /// A trial ends here: it has shown that it can open its files, sockets and privileges.
    static func endTrial(_ configuration: SupervisorConfiguration, _ host: SupervisorHost) -> Never {
        TrialHandover.check()
        if !InheritedRecords.areReadable {
            TrialReport.tell(.refusal("it cannot read the counters of the running program"))
            exitChild(code: Handover.trialFailed)
        }
        let listeners = Listener.all.filter { $0 !== host.control && $0 !== host.metrics }
        TrialReport.tell(.report(configuration.word(listeners).text))
        exitChild(code: Handover.trialPassed)
    }

    /// Before another image has this one's memory, and until it supervises: its program may call the store before.
    ///
    /// - Parameter isLeaving: false: the other image has not come.
    private func leaveMemory(_ isLeaving: Bool) {
        // What this process has counted in series that it has made since the last page.
        if isLeaving { MetricsHub.current?.sync() }
        scoreboard.keepWhole(!isLeaving)
        targets?.scoreboard.keepWhole(!isLeaving)
        if isLeaving { scoreboard.orders.ownsLocks = true }
        Handover.leave(isLeaving)
    }

    var inheritedRecords: InheritedRecords {
        var inherited = records.inheritance
        inherited.counters = countersToLeave
        pool.leave(to: &inherited)
        return inherited
    }

    var inheritedPool: InheritedPool {
        InheritedPool(
            generation: pool.generation, spawns: pool.lastSpawn, restarts: pool.restarts,
            supervisorStarted: started.nanoseconds, signalMask: signalMask.numbers,
            slots: pool.target, ended: pool.endedSlots,
            workers: pool.inheritance(lines: workers.linesBySpawn).map { worker in
                var worker = worker
                worker.heartbeatPeriod = workers[worker.spawn]?.heartbeatPeriod
                worker.hasDoorbell = bells[worker.spawn] != nil
                worker.output = output?.pipe(of: worker.spawn)?.kind
                return worker
            })
    }

    private func item(_ pool: InheritedPool) -> HandoverItem {
        let own = [
            scoreboard.file.descriptor.number, scoreboard.orders.descriptor, lifeline.number,
            lifelineHold.number,
        ]
        let doorbells = pool.workers.compactMap { bells[$0.spawn]?.number }
        let outputs = pool.workers.compactMap { output?.pipe(of: $0.spawn)?.number }
        return HandoverItem(
            kind: Self.handoverKind, key: "", descriptors: own + doorbells + outputs, text: pool.text)
    }

    /// Takes over the workers of the previous image, which are this process's own children.
    func adopt(_ inheritance: SupervisorInheritance) {
        var inherited = inheritance.pool
        var doorbells = inheritance.doorbells[...]
        var outputs = inheritance.outputs[...]
        // The ended program's last known state may be older than its last reaped worker.
        let gone = Handover.isAfterEnd ? Set(inherited.workers.map(\.pid).filter { !ChildProcess.isChild($0) }) : []
        for worker in inherited.workers {
            if gone.contains(worker.pid) {
                if worker.hasDoorbell, let number = doorbells.popFirst() { closeDescriptor(number) }
                if worker.output != nil, let number = outputs.popFirst() { closeDescriptor(number) }
                continue
            }
            workers.inherit(.watched(worker.pid, by: epoll, word: worker.spawn), worker)
            let bell = worker.hasDoorbell ? doorbells.popFirst() : nil
            if let kind = worker.output, let number = outputs.popFirst() {
                let pipe = OutputPipe(owning: number, kind: kind)
                // Where this image captures nothing, the pipe is closed, and what the worker still says is lost.
                output?.inherit(worker.spawn, of: .worker(worker.slot), pid: worker.pid, pipe, at: .now)
            }
            bells.inherit(worker.spawn, number: bell, by: epoll, word: Source.bell | worker.spawn, at: .now)
        }
        inherited.workers.removeAll { gone.contains($0.pid) }
        inheritHandoverRoutes()
        clearLinesOfTheGone()
        let left = InheritedRecords.take()
        let actions = pool.inherit(inherited, scaledTo: left?.scaledTo, at: .now)
        promised.lastSpawn = inherited.spawns
        if let left {
            pool.inherit(left)
            records.inherit(left)
        }
        takeCounterNote()
        scoreboard.orders.linesInUse = workers.linesInUse
        let count = inherited.workers.count
        let text = "upgrade: \(programs.running.summary) took over \(count) workers of the previous program"
        logger.say(LogLine(.info, text), by: .own(.start))
        linkBack()
        // These actions are only signals: they fork nothing.
        carryOutAllButForks(actions)
    }
}

/// What this image has from the one before.
struct SupervisorInheritance {
    let pool: InheritedPool
    let scoreboard: Int32
    let orders: Int32
    let lifeline: Int32
    let lifelineHold: Int32
    let doorbells: [Int32]
    /// Reading ends of workers' output.
    let outputs: [Int32]

    private static let ownDescriptors = 4

    /// If nil, this is the first image of its process.
    static func take() -> SupervisorInheritance? {
        Handover.take(Supervisor.handoverKind, key: "").flatMap { SupervisorInheritance($0) }
    }
}

extension SupervisorInheritance {
    init?(_ item: HandoverItem) {
        guard let pool = InheritedPool(text: item.text) else { return nil }
        let numbers = item.descriptors
        let doorbells = numbers.dropFirst(Self.ownDescriptors).prefix(pool.workers.count(where: \.hasDoorbell))
        let outputs = numbers.dropFirst(Self.ownDescriptors + doorbells.count)
            .prefix(pool.workers.count { $0.output != nil })
        guard numbers.count == Self.ownDescriptors + doorbells.count + outputs.count, doorbells.count == pool.workers.count(where: \.hasDoorbell),
            outputs.count == pool.workers.count(where: { $0.output != nil }),
            Set(numbers).count == numbers.count
        else { return nil }
        self.init(
            pool: pool, scoreboard: numbers[0], orders: numbers[1], lifeline: numbers[2], lifelineHold: numbers[3],
            doorbells: Array(doorbells), outputs: Array(outputs))
    }
}
