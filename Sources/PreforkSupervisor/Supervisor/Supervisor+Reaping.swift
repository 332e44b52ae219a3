// The ends of workers, and of unknown children.

import PreforkSystem

extension Supervisor {
    /// How many strangers of the workers' user are collected in one turn.
    private static let mostStrangers = 64
    /// Until the next turn where there are more.
    private static let strangersPause = Duration.milliseconds(5)

    /// Children are reaped by their pidfds, which say which child has ended. SIGCHLD says only that some child has. It
    /// serves for children without a pidfd, and for strangers.
    func reapAfterSignal() {
        targets?.reapWithoutPidfd()
        for spawn in workers.withoutPidfd + spares.withoutPidfd { reap(spawn) }
        // After the events of this turn, by which the known children are reaped.
        strangersLook = max(.now, strangersRest)
    }

    func reap(_ spawn: UInt64) {
        if SpareTable.isKey(spawn) { return reapSpare(spawn) }
        guard let (slot, exit, isReady, hadRequest) = collect(spawn) else { return }
        if isReady { handle(.ready(slot: slot, spawn: spawn)) }
        // Before a successor is forked. Workers whose listener was shut down end with an error.
        if !exit.status.isSuccess {
            for text in Listener.reviveAll() { logger.say(LogLine(.warning, text), by: .pool(.listener)) }
        }
        if hadRequest, !exit.status.isSuccess { handle(.endedInRequest(slot: slot, spawn: spawn)) }
        handle(.exited(slot: slot, spawn: spawn, exit))
    }

    /// A separate function, because its return closes the pidfd. A successor that is forked next does not inherit it.
    private func collect(_ spawn: UInt64) -> (slot: Int, exit: ProcessExit, isReady: Bool, hadRequest: Bool)? {
        // A batch of events can still hold words of closed pidfds. No worker belongs to them any more.
        guard let child = workers[spawn]?.child else { return nil }
        let collected = child.reapOrLose()
        if collected == nil {
            guard late.isToBeGivenUp(spawn, isOver: child.isOver, at: .now) else { return nil }
            if let slot = workers[spawn]?.slot { logger.say(child.lateLine, by: .worker(slot, .lateEnd)) }
        }
        scoreboard.orders.forgetCrash(of: child.pid)
        late.remove(spawn)
        if let pidfd = child.pidfdNumber { epoll.remove(pidfd) }
        takeDump(of: spawn)
        dumps.remove(spawn)
        endProfile(of: spawn)
        guard let entry = workers.remove(spawn, keepsLine: collected == nil) else { return nil }
        // A doorbell ends with its owner: what it said last is on its line, rung or not.
        takeControls(of: spawn, line: entry.line)
        let isReady = isNewlyReady(spawn, slot: entry.slot, line: entry.line)
        bells.remove(spawn, from: epoll)
        accessLogRoutes.remove(spawn)
        handoverRoutes.remove(spawn)
        let exit = collected ?? ProcessExit(status: .lost, usage: ResourceUsage())
        switch exit.status {
        case .signaled, .lost: scoreboard.orders.countDeath()
        case .exited: break
        }
        // Read where its end is reported: the fork of its successor comes first.
        endedOutputs[child.pid] = spawn
        groupKills[child.pid] = host.workerGroups?.end(spawn)
        lastRequests[child.pid] = scoreboard.requests(line: entry.line)
        records.counters.refusedRequests &+= scoreboard.refusals(line: entry.line)
        // Once: the table has no line of it any more, and the line is cleared below.
        records.counters.requestDurations.add(scoreboard.requestDurations(line: entry.line).counts)
        noteCrashAtEnd(of: entry, exit.status)
        // One that has told of its crash had it noted then.
        let hand = lastHands[child.pid] ?? (exit.status.isSuccess ? RequestsInHand() : requestsInHand(line: entry.line))
        if lastHands[child.pid] == nil, exit.status.isCrash { noteCrash(hand, slot: entry.slot) }
        lastHands[child.pid] = hand
        if collected == nil { late.keep(child, line: entry.line, at: .now) }
        endRun(ofReaped: spawn, line: entry.line, isCollected: collected != nil, exit.status)
        scoreboard.clear(line: entry.line)
        return (entry.slot, exit, isReady, hand.count > 0)
    }

    /// What comes without an event: ends that are late, and strangers.
    func reapLate() {
        noise.hearAgain(by: signals, at: .now)
        for spawn in late.due(at: .now) { reap(spawn) }
        for line in late.collect(at: .now) {
            scoreboard.clear(line: line)
            workers.freeLine(line)
        }
        if let look = strangersLook, look <= .now { reapStrangers() }
    }

    /// Orphans, if they are reparented to this process, and children that workers leave here: a child that a worker
    /// makes with CLONE_PARENT is the supervisor's own, and would stay a zombie. Children of the program's own code
    /// have the supervisor's user and are left alone.
    private func reapStrangers() {
        strangersLook = nil
        let begin = MonotonicInstant.now
        let isMore: Bool
        if InitReaper.areNeeded {
            let isOwnUser = host.rights.otherUser == nil
            let reaped = InitReaper.reapStrangers(except: knownChildren, endsFamilies: isOwnUser)
            isMore = reaped.count == InitReaper.mostStrangers
        } else if let user = host.rights.otherUser {
            let most = Self.mostStrangers
            isMore = AdoptedOrphans.reap(except: knownChildren, ofUser: user, atMost: most).count == most
        } else {
            isMore = false
        }
        // The kernel goes through all children: a worker that leaves ten thousand here, and has one of them end now and
        // then, gets a tenth of the supervisor's time and not all of it.
        let now = MonotonicInstant.now
        strangersRest = now + (now - begin) * 10
        if isMore { strangersLook = max(now + Self.strangersPause, strangersRest) }
    }
}
