// Managed processes that crash: their successors come first, the reports of their ends when they are reaped.

import PreforkSystem

/// A managed process that has said that it crashes, and has not been reaped.
struct CrashedChild {
    let child: ChildProcess
    let name: String
    /// Its own line of the scoreboard. If nil, another process shares the line.
    let line: Int?
    var record: CrashRecord
    /// Up to its crash: what follows is a backtracer's.
    let lastWords: LastWords?
}

extension TargetRunner {
    /// A process's own bell has said that it has crashed. Its successor does not wait for its end.
    ///
    /// Believed once for each process: from here on the bell is its target's next process's.
    func noteCrash(of number: Int) {
        guard let record = crashRecord(line: lines[number]) else { return }
        // Its orders and its readiness came before, and their hooks may change what becomes of it.
        readReadiness(of: number)
        handleQueue()
        guard let child = children[number], let target = table.targets[number], let process = target.state.process
        else { return }
        // SIGKILL was sent, and its end is on the way.
        if case .killed = target.state { return }
        bells.remove(UInt64(number), from: epoll)
        late.remove(UInt64(number))
        children[number] = nil
        crashedChildren[process.spawn] = CrashedChild(
            child: watched(child, process.spawn), name: target.name, line: leaveLine(of: number), record: record,
            lastWords: output?.wordsSoFar(of: process.spawn, at: .now))
        crashMarks &+= 1
        // For other processes it is gone: no channel end, no delivery is kept for it.
        scoreboard.orders.noteCrash(of: child.pid)
        scoreboard.orders.countDeath()
        let sign = CrashSign(signal: record.signal, hadRequest: false, hasBacktracer: record.hasBacktracer)
        handle(.crashed(number, spawn: process.spawn, sign, host?.crashes ?? ownCrashes))
    }

    /// Its end has another epoll word: its former word belongs to its successor.
    private func watched(_ child: ChildProcess, _ spawn: UInt64) -> ChildProcess {
        guard let pidfd = child.pidfdNumber else { return child }
        do throws(SystemError) {
            try epoll.modify(pidfd, .readableOnce, word: Source.crashed | spawn)
            return child
        } catch {
            epoll.remove(pidfd)
            return ChildProcess(withoutPidfd: child.pid)
        }
    }

    func killCrashed(_ spawn: UInt64) {
        guard let crashed = crashedChildren[spawn] else { return }
        late.wasKilled(Source.crashed | spawn, at: .now)
        do throws(SystemError) {
            try crashed.child.send(.kill)
        } catch {
            logger.say(
                LogLine(.error, "\(crashed.name) cannot be signalled: \(error)"), by: .target(crashed.name, .signal))
        }
    }

    func reapCrashed(_ spawn: UInt64) {
        guard let (exit, crashed, isGivenUp) = collectCrashed(spawn) else { return }
        let atEnd = output?.end(spawn, at: .now)
        let known = crashed.record
        // It has found more of its stack meanwhile.
        let latest = crashRecord(line: crashed.line).flatMap {
            $0.signal == known.signal && $0.thread == known.thread ? $0 : nil
        }
        let notes = TargetEndNotes(crash: report(of: latest ?? known), lastWords: crashed.lastWords ?? atEnd)
        if isGivenUp {
            late.keep(crashed.child, line: crashed.line, at: .now)
        } else if let line = crashed.line {
            lineTable.free(line)
        }
        handle(.crashedExited(spawn: spawn, exit, notes))
    }

    /// A separate function, because its return closes the pidfd.
    private func collectCrashed(_ spawn: UInt64) -> (exit: ProcessExit, crashed: CrashedChild, isGivenUp: Bool)? {
        guard let crashed = crashedChildren[spawn] else { return nil }
        let key = Source.crashed | spawn
        let collected = crashed.child.reapOrLose()
        if collected == nil {
            guard late.isToBeGivenUp(key, isOver: crashed.child.isOver, at: .now) else { return nil }
            logger.say(crashed.child.lateLine, by: .target(crashed.name, .lateEnd))
        }
        late.remove(key)
        scoreboard.orders.forgetCrash(of: crashed.child.pid)
        if let pidfd = crashed.child.pidfdNumber { epoll.remove(pidfd) }
        crashedChildren[spawn] = nil
        let exit = collected ?? ProcessExit(status: .lost, usage: ResourceUsage())
        return (exit, crashed, collected == nil)
    }

    /// For the report of the end of a process that has not said before that it crashes.
    func endNotes(of number: Int, _ status: ExitStatus) -> TargetEndNotes {
        var notes = TargetEndNotes()
        if let process = table.targets[number]?.state.process { notes.lastWords = output?.end(process.spawn, at: .now) }
        // Its end came before its bell was heard. Another process may have written there: only what agrees with the
        // kernel counts.
        if let record = crashRecord(line: lines[number]), case .signaled(let signal, _) = status,
            record.signal == signal
        {
            crashMarks &+= 1
            notes.crash = report(of: record)
        }
        return notes
    }

    func crashRecord(line: Int?) -> CrashRecord? {
        line.flatMap { scoreboard.crashArea(line: $0) }.flatMap { CrashRecord(in: $0) }
    }

    /// - Parameter isInherited: the process runs the program of the image before.
    func report(of record: CrashRecord, isInherited: Bool = false) -> CrashReport {
        CrashNote(record: record, isInherited: isInherited).report(program: (try? ProgramImage.path()) ?? "")
    }
}
