// The ends of managed processes, and of unknown children.

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

    /// SIGCHLD says that some child has ended. It is the only notice for children that have no pidfd.
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

    /// A separate function, because its return closes the pidfd. A successor that is forked next does not inherit it.
    private func collect(_ number: Int) -> (exit: ProcessExit, givenUp: ChildProcess?)? {
        // A batch of events can still hold words of closed pidfds. The target then has no child, or a living one.
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

    /// A process that lives on without its target keeps the line, and the target gets another one. If no line is left,
    /// they share it: a process could write any other line, too, so that sharing adds no risk.
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

    /// Children that managed processes have left here (CLONE_PARENT). Beside a pool, its supervisor collects them.
    /// SIGCHLD belongs to the program, so that a check runs each second if managed processes have their own user.
    private func reapStrangers() {
        guard host == nil, let user = ownRights?.otherUser else { return strangersLook = nil }
        if let look = strangersLook, look > .now { return }
        let reaped = AdoptedOrphans.reap(except: Set(knownProcesses), ofUser: user, atMost: 64)
        let isMore = reaped.count == 64
        strangersLook = isMore ? .now + .milliseconds(5) : children.isEmpty ? nil : .now + Self.strangersPause
    }
}
