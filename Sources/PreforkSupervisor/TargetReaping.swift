// The ends of managed processes, and of children that nobody knows.

import PreforkSystem

extension TargetRunner {
    private static var strangersPause: Duration { .seconds(1) }

    /// Those that are waited for one by one.
    var knownProcesses: [Int32] { children.values.map(\.pid) + late.processes }

    /// SIGCHLD says that somebody has ended: it is what is left for children that have no pidfd.
    package func reapWithoutPidfd() {
        for (number, child) in children where child.pidfdNumber == nil { reap(number) }
    }

    func reap(_ number: Int) {
        guard let (exit, givenUp) = collect(number) else { return }
        // It may have become ready, or sent an order, and ended between two looks.
        takeControls(of: number)
        readReadiness(of: number)
        bells.remove(UInt64(number), from: epoll)
        endOutput(of: number)
        if let givenUp { keep(givenUp, of: number) }
        switch exit.status {
        case .signaled, .lost: scoreboard.orders.countDeath()
        case .exited: break
        }
        handle(.exited(number, exit))
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

    /// Its line stays its own, the target gets another one. Where none is left, they share it: the line holds nothing
    /// that a process could not write of any other one.
    private func keep(_ child: ChildProcess, of number: Int, killingAt deadline: MonotonicInstant? = nil) {
        var kept: Int?
        if let line = lines[number], let other = lineTable.take(of: scoreboard.lines) {
            scoreboard.clear(line: other)
            lines[number] = other
            kept = line
        }
        late.keep(child, line: kept, at: .now, killingAt: deadline)
    }

    /// A process's own bell has said that it has crashed: for its target this is the end, by the signal that it names.
    /// What is left of the process, while its stack is being read, is collected later, and its usage never told.
    func noteCrash(of number: Int) {
        guard let child = children[number], let line = lines[number], let target = table.targets[number],
            let record = scoreboard.crashArea(line: line).flatMap({ CrashRecord(in: $0) })
        else { return }
        readReadiness(of: number)
        bells.remove(UInt64(number), from: epoll)
        if let pidfd = child.pidfdNumber { epoll.remove(pidfd) }
        children[number] = nil
        late.remove(UInt64(number))
        scoreboard.orders.noteCrash(of: child.pid)
        scoreboard.orders.countDeath()
        keep(child, of: number, killingAt: .now + (host?.crashes ?? CrashPolicy()).timeout)
        let crash = CrashNote(record: record, isInherited: false).report(program: (try? ProgramImage.path()) ?? "")
        // What a backtracer writes from here on goes where the process's own words go.
        endOutput(of: number)
        logger.say(crash.logLines(of: "\(target.name) (pid \(child.pid))"), by: .target(target.name, .stack))
        let status = ExitStatus.signaled(record.signal, coreDumped: false)
        handle(.exited(number, ProcessExit(status: status, usage: ResourceUsage())))
    }

    /// What comes without an event.
    func reapLate() {
        for number in late.due(at: .now) { reap(Int(number)) }
        for (process, line) in late.collect(at: .now) {
            scoreboard.orders.forgetCrash(of: process)
            if let line { lineTable.free(line) }
        }
        reapStrangers()
    }

    /// Children that managed processes have left here (CLONE_PARENT); beside a pool its supervisor does that. SIGCHLD is
    /// the program's own, so that it takes a look each second, where managed processes have a user of their own.
    private func reapStrangers() {
        guard host == nil, let user = ownRights?.otherUser else { return strangersLook = nil }
        if let look = strangersLook, look > .now { return }
        let reaped = Strangers.reap(except: Set(knownProcesses), ofUser: user, atMost: 64)
        let isMore = reaped.count == 64
        strangersLook = isMore ? .now + .milliseconds(5) : children.isEmpty ? nil : .now + Self.strangersPause
    }
}
