// The ends of managed processes, and of children that nobody knows.

import PreforkSystem

extension TargetRunner {
    private static var strangersPause: Duration { .seconds(1) }

    /// Those that are waited for one by one.
    var knownProcesses: [Int32] {
        children.values.map(\.pid) + crashedChildren.values.map(\.child.pid) + elders.values.map(\.child.pid)
            + late.processes
    }

    var hasChildWithoutPidfd: Bool {
        children.values.contains { $0.pidfdNumber == nil }
            || crashedChildren.values.contains { $0.child.pidfdNumber == nil }
            || elders.values.contains { $0.child.pidfdNumber == nil }
    }

    /// SIGCHLD says that somebody has ended: it is what is left for children that have no pidfd.
    package func reapWithoutPidfd() {
        for (number, child) in children where child.pidfdNumber == nil { reap(number) }
        for (spawn, crashed) in crashedChildren where crashed.child.pidfdNumber == nil { reapCrashed(spawn) }
        for (spawn, elder) in elders where elder.child.pidfdNumber == nil { reapElder(spawn) }
    }

    func reap(_ number: Int) {
        guard let (exit, givenUp) = collect(number) else { return }
        // It may have become ready, or sent an order, and ended between two looks.
        takeControls(of: number)
        readReadiness(of: number)
        bells.remove(UInt64(number), from: epoll)
        var notes = endNotes(of: number, exit.status)
        if case .signaled(.kill, _) = exit.status, !table.wasKilled(number) {
            notes.outOfMemory = host?.outOfMemory.claim(at: .now) ?? false
        }
        if let givenUp { late.keep(givenUp, line: leaveLine(of: number), at: .now) }
        switch exit.status {
        case .signaled, .lost: scoreboard.orders.countDeath()
        case .exited: break
        }
        handle(.exited(number, exit, notes))
    }

    /// A function of its own: with its end the pidfd is closed, and a successor that is forked next does not have it.
    private func collect(_ number: Int) -> (exit: ProcessExit, givenUp: ChildProcess?)? {
        // Words of closed pidfds can be left in a batch of events; the target then has no child, or one that lives.
        guard let child = children[number] else { return nil }
        let collected = child.reapOrLose()
        if collected == nil {
            guard late.isToBeGivenUp(UInt64(number), isOver: child.isOver, at: .now) else { return nil }
            logger.say(child.lateLine, by: .target(table.targets[number]?.name ?? "", .lateEnd))
        }
        late.remove(UInt64(number))
        if let pidfd = child.pidfdNumber { epoll.remove(pidfd) }
        children[number] = nil
        if let collected { return (collected, nil) }
        return (ProcessExit(status: .lost, usage: ResourceUsage()), child)
    }

    /// The line stays that of a process that lives on without its target, which gets another one. Where none is left,
    /// they share it: the line holds nothing that a process could not write of any other one.
    ///
    /// - Returns: nil when they share it.
    func leaveLine(of number: Int) -> Int? {
        guard let line = lines[number], let other = lineTable.take(of: scoreboard.lines) else { return nil }
        scoreboard.clear(line: other)
        lines[number] = other
        return line
    }

    /// What comes without an event.
    func reapLate() {
        for key in late.due(at: .now) {
            if key & Source.crashed != 0 {
                reapCrashed(key & ~Source.crashed)
            } else if key & Source.elder != 0 {
                reapElder(key & ~Source.elder)
            } else {
                reap(Int(key))
            }
        }
        for line in late.collect(at: .now) { lineTable.free(line) }
        reapStrangers()
    }

    /// Children that managed processes have left here (CLONE_PARENT); beside a pool its supervisor does that. SIGCHLD
    /// is the program's own, so that it takes a look each second, where managed processes have a user of their own.
    private func reapStrangers() {
        guard host == nil, let user = ownRights?.otherUser else { return strangersLook = nil }
        if let look = strangersLook, look > .now { return }
        let reaped = Strangers.reap(except: Set(knownProcesses), ofUser: user, atMost: 64)
        let isMore = reaped.count == 64
        strangersLook = isMore ? .now + .milliseconds(5) : children.isEmpty ? nil : .now + Self.strangersPause
    }
}
