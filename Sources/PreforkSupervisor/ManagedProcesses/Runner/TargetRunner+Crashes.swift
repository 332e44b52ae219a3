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
        guard let crashed = crashedChildren[spawn].map({ ($0.record, $0.lastWords, $0.line) }),
            let end = collectOther(Source.crashed | spawn)
        else { return }
        let (known, lastWords, line) = crashed
        let atEnd = output?.end(spawn, at: .now)
        // It has found more of its stack meanwhile.
        let latest = crashRecord(line: line).flatMap {
            $0.signal == known.signal && $0.thread == known.thread ? $0 : nil
        }
        let notes = TargetEndNotes(crash: report(of: latest ?? known), lastWords: lastWords ?? atEnd)
        if !end.isGivenUp, let line { lineTable.free(line) }
        handle(.crashedExited(spawn: spawn, end.exit, notes))
    }

    /// Collects a child that is not the current process of a target: one that has crashed, or of the previous image.
    ///
    /// It is forgotten here, and nothing that is returned has its pidfd: a process that is forked next would inherit that.
    ///
    /// - Parameter key: the spawn with the bit of its kind.
    /// - Returns: nil while it has not ended. With `isGivenUp` it keeps its line for as long as it is there.
    func collectOther(_ key: UInt64) -> (exit: ProcessExit, isGivenUp: Bool)? {
        let spawn = key & ~(Source.crashed | Source.elder)
        let isElder = key & Source.elder != 0
        let other = isElder
            ? elders[spawn].map { ($0.child, $0.name, Optional($0.line)) }
            : crashedChildren[spawn].map { ($0.child, $0.name, $0.line) }
        guard let (child, name, line) = other else { return nil }
        let collected = child.reapOrLose()
        if collected == nil {
            guard late.isToBeGivenUp(key, isOver: child.isOver, at: .now) else { return nil }
            logger.say(child.lateLine, by: .target(name, .lateEnd))
        }
        late.remove(key)
        scoreboard.orders.forgetCrash(of: child.pid)
        if let pidfd = child.pidfdNumber { epoll.remove(pidfd) }
        if isElder { elders[spawn] = nil } else { crashedChildren[spawn] = nil }
        if collected == nil { late.keep(child, line: line, at: .now) }
        return (collected ?? ProcessExit(status: .lost, usage: ResourceUsage()), collected == nil)
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

    /// - Parameter isInherited: the process runs the program of the previous image.
    func report(of record: CrashRecord, isInherited: Bool = false) -> CrashReport {
        CrashNote(record: record, isInherited: isInherited).report(program: (try? ProgramImage.path()) ?? "")
    }
}
