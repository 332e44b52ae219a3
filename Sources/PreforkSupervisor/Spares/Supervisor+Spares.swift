// Forking spares, handing slots to them, and their ends.

import PreforkSystem

extension Supervisor {
    /// Makes a spare, if the pool still wants it.
    ///
    /// - Returns: in the spare: what it is, once a slot has it. It ends there when it is let go.
    func forkSpare(_ number: UInt64) -> ForkedSpare {
        guard pool.spares.asked == number else { return .parent([]) }
        guard pool.phase == .running, threadCount() == 1, configuration.settings.spares.fits(MemoryLimit.current) else {
            return .parent(pool.handle(.spare(.postponed(number)), at: .now))
        }
        guard let line = workers.takeLine(of: scoreboard.lines) else {
            return .parent(pool.handle(.spare(.postponed(number)), at: .now))
        }
        scoreboard.orders.linesInUse = workers.linesInUse
        let key = SpareTable.key(of: number)
        do throws(SystemError) {
            let parts = try SpareParts(host, key, links: makeHandoverRoute)
            switch try fork(parts, key, line: line) {
            case .parent(let pid): return .parent(pool.handle(.spare(.forked(number, pid: pid)), at: .now))
            case .child(let worker): return .child(worker)
            }
        } catch {
            workers.freeLine(line)
            return .parent(pool.handle(.spare(.refused(number, reason: "\(error)")), at: .now))
        }
    }

    /// How `forkSpare` comes back.
    enum ForkedSpare {
        case parent([PoolAction])
        case child(WorkerHandle)
    }

    private enum SpareSide {
        case parent(pid: Int32)
        case child(WorkerHandle)
    }

    private func fork(_ parts: SpareParts, _ key: UInt64, line: Int) throws(SystemError) -> SpareSide {
        let bell = bells.add(key, by: epoll, word: Source.bell | key, at: .now)
        let child = SupervisedChild(
            kind: .worker, owner: .spare, spawn: key, place: 0, bell: bell,
            isWalled: host.rights.otherUser != nil, crashes: scoreboard.crashArea(line: line))
        do throws(SystemError) {
            switch try child.fork(by: self, output: output) {
            case .parent(let pid):
                if let route = parts.route { accessLogRoutes.add(route, of: key) }
                if let links = parts.links { handoverRoutes.add(links, of: key) }
                closeDescriptor(parts.pipe.reading)
                spares.insert(
                    .watched(pid, by: epoll, word: key), key, line: line, pipe: parts.pipe.writing,
                    offers: Handover.offers)
                return .parent(pid: pid)
            case .child(let doorbell, _):
                closeDescriptor(parts.pipe.writing)
                return .child(park(parts, key, line: line, doorbell: doorbell))
            }
        } catch {
            parts.close(host, key)
            bells.remove(key, from: epoll)
            throw error
        }
    }

    /// Runs in the spare: everything of a worker's start that needs no task ID, then the wait for one.
    private func park(_ parts: SpareParts, _ key: UInt64, line: Int, doorbell: Int32) -> WorkerHandle {
        let name = OutputOwner.spare.name
        let reading = parts.pipe.reading
        enterGroup(key, name)
        parts.route?.enter()
        parts.links?.enter()
        DescriptorHolders.keep(HeldDescriptor(.spareOrders, reading))
        ManagedOrderRoute.enter(
            ManagedOrderRoute.Sender(scoreboard: scoreboard, line: line, doorbell: doorbell, lifeline: lifeline.number))
        host.showTitle(.spare(generation: pool.generation), "booting")
        giveUpRights(name, line: line, doorbell: doorbell)
        configuration.hooks.afterSpareFork?()
        host.showTitle(.spare(generation: pool.generation), "parked")
        scoreboard.setReadySpawn(key, line: line)
        Doorbell.ring(doorbell)
        guard let order = SparePipe.wait(at: reading, lifeline: lifeline.number) else { exitChild(code: 0) }
        DescriptorHolders.forget(reading)
        closeDescriptor(reading)
        let info = WorkerInfo(taskID: order.taskID, generation: order.generation, pid: CurrentProcess.pid)
        host.showTitle(.worker(taskID: info.taskID, generation: info.generation), "booting")
        ProcessBells.takePlace(info.taskID)
        return takeSlot(info, spawn: order.spawn, line: line, doorbell: doorbell)
    }

    /// Has a spare become the worker of a fork that the pool has asked for.
    ///
    /// - Returns: what the pool is told, as of a fork. If nil, a worker must be forked.
    func handOver(slot: Int, spawn: UInt64, generation: Int) -> PoolEvent? {
        while let number = pool.spare(forFork: spawn, slot: slot) {
            let key = SpareTable.key(of: number)
            guard let spare = spares[key], let pipe = spare.pipe, !spare.child.isOver,
                spare.offers == Handover.offers
            else {
                want(pool.handle(.spare(.unfit(number)), at: .now))
                continue
            }
            runHook(configuration.hooks.beforeFork, WorkerInfo(taskID: slot, generation: generation, pid: nil))
            let order = SpareOrder(taskID: slot, generation: generation, spawn: spawn)
            guard SparePipe.send(order, to: pipe) else {
                want(pool.handle(.spare(.unfit(number)), at: .now))
                continue
            }
            become(spawn, slot: slot, spare, key)
            want(pool.handle(.spare(.taken(number)), at: .now))
            return .forked(slot: slot, pid: spare.child.pid, spawn: spawn)
        }
        return nil
    }

    /// Everything that is known by the spare's key is the worker's from here on. After the write: the worker does not
    /// wait for this, and what it rings meanwhile is heard, because a change of its word makes epoll report it again.
    private func become(_ spawn: UInt64, slot: Int, _ spare: SpareTable.Entry, _ key: UInt64) {
        _ = spares.remove(key)
        bells.rename(key, to: spawn, by: epoll, word: Source.bell | spawn, at: .now)
        if let pidfd = spare.child.pidfdNumber { try? epoll.modify(pidfd, .readableOnce, word: spawn) }
        accessLogRoutes.rename(key, to: spawn)
        handoverRoutes.rename(key, to: spawn)
        linkToPredecessor(slot: slot, spawn: spawn)
        output?.rename(key, to: spawn, of: .worker(slot))
        MetricsHub.current?.rename(spare.child.pid, to: OutputOwner.worker(slot).name)
        host.workerGroups?.rename(key, to: spawn)
        workers.insert(
            spare.child, spawn: spawn, slot: slot, line: spare.line, heartbeatPeriod: heartbeatPeriod)
    }

    /// A spare has rung.
    func hearSpare(_ key: UInt64) {
        guard let spare = spares[key], scoreboard.readySpawn(line: spare.line) == key else { return }
        // Siblings count the lines with such a word as workers that serve.
        scoreboard.setReadySpawn(0, line: spare.line)
        handle(.spare(.parked(SpareTable.number(of: key))))
    }

    func carryOutSpareAction(_ action: PoolAction) {
        switch action {
        case .letSpareGo(let number): spares.closePipe(of: SpareTable.key(of: number))
        case .killSpare(let number):
            let key = SpareTable.key(of: number)
            late.wasKilled(key, at: .now)
            try? spares[key]?.child.send(.kill)
        default: break
        }
    }

    func reapSpare(_ key: UInt64) {
        guard let child = spares[key]?.child else { return }
        let collected = child.reapOrLose()
        if collected == nil {
            guard late.isToBeGivenUp(key, isOver: child.isOver, at: .now) else { return }
            logger.say(child.lateLine, by: .pool(.lateEnd))
        }
        late.remove(key)
        if let pidfd = child.pidfdNumber { epoll.remove(pidfd) }
        bells.remove(key, from: epoll)
        accessLogRoutes.remove(key)
        handoverRoutes.remove(key)
        _ = output?.end(key, at: .now)
        _ = host.workerGroups?.end(key)
        guard let entry = spares.remove(key) else { return }
        if collected == nil {
            late.keep(child, line: entry.line, at: .now)
        } else {
            scoreboard.clear(line: entry.line)
            workers.freeLine(entry.line)
        }
        switch collected?.status ?? .lost {
        case .signaled, .lost: scoreboard.orders.countDeath()
        case .exited: break
        }
        handle(.spare(.exited(SpareTable.number(of: key), collected?.status ?? .lost)))
    }

    /// What a hook changes from here on, spares that live do not have.
    func letSparesGo() { want(pool.letSparesGo(at: .now)) }

    /// Before another image takes over, which does not know them.
    ///
    /// - Returns: whether there is none any more.
    func sparesAreGone(held: Bool) -> Bool {
        if pool.holdsSpares != held { want(pool.holdSpares(held, at: .now)) }
        return spares.entries.isEmpty
    }
}

/// What is made for a spare before its fork.
private struct SpareParts {
    let pipe: SparePipe
    let route: AccessLogRoute?
    let links: HandoverRoute?

    /// - Parameter links: makes the way by which its connections will move.
    init(_ host: SupervisorHost, _ key: UInt64, links: () -> HandoverRoute?) throws(SystemError) {
        let pipe = try SparePipe()
        var route: AccessLogRoute?
        do throws(SystemError) {
            route = try host.makeAccessLogRoute()
            try host.workerGroups?.make(for: key)
        } catch {
            route?.close()
            closeDescriptors([pipe.reading, pipe.writing])
            throw error
        }
        self.pipe = pipe
        self.route = route
        self.links = links()
    }

    /// It was not forked.
    func close(_ host: SupervisorHost, _ key: UInt64) {
        route?.close()
        links?.close()
        closeDescriptors([pipe.reading, pipe.writing])
        _ = host.workerGroups?.end(key)
    }
}
