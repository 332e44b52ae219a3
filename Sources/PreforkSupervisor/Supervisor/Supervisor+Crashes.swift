// Workers that crash: their successors come first, what they have to say later.

import PreforkSystem

extension Supervisor {
    /// The worker's own bell has said that it has crashed. Its successor does not wait for the end of its process.
    ///
    /// Believed once for each worker. Only the process itself can ring that bell, and it harms itself alone.
    func noteCrash(of spawn: UInt64) {
        guard let entry = workers[spawn], crashNotes[entry.child.pid] == nil, let record = crashRecord(of: entry)
        else { return }
        crashNotes[entry.child.pid] = CrashNote(record: record, isInherited: entry.isInherited)
        records.counters.crashedWorkers &+= 1
        lastWords[entry.child.pid] = output?.wordsSoFar(of: spawn, at: .now)
        // For its siblings it is gone: no share of connections, no channel end, no delivery is kept for it.
        scoreboard.orders.setOrder(.leave, line: entry.line)
        scoreboard.orders.noteCrash(of: entry.child.pid)
        scoreboard.orders.countDeath()
        if isNewlyReady(spawn, slot: entry.slot, line: entry.line) { handle(.ready(slot: entry.slot, spawn: spawn)) }
        for text in Listener.reviveAll() { logger.say(LogLine(.warning, text), by: .pool(.listener)) }
        let hand = requestsInHand(line: entry.line)
        lastHands[entry.child.pid] = hand
        noteCrash(hand, slot: entry.slot)
        let sign = CrashSign(signal: record.signal, hadRequest: hand.count > 0, hasBacktracer: record.hasBacktracer)
        handle(.crashed(slot: entry.slot, spawn: spawn, sign))
    }

    /// What a worker wrote if its end came before its doorbell was heard. The memory is shared, and another worker may
    /// have written it: for the report only, and only where it agrees with the kernel.
    func noteCrashAtEnd(of entry: WorkerTable.Entry, _ status: ExitStatus) {
        guard let record = crashRecord(of: entry) else { return }
        if let known = crashNotes[entry.child.pid] {
            // It has found more of its stack meanwhile.
            guard record.signal == known.record.signal, record.thread == known.record.thread else { return }
        } else {
            guard case .signaled(let signal, _) = status, record.signal == signal else { return }
            records.counters.crashedWorkers &+= 1
        }
        crashNotes[entry.child.pid] = CrashNote(record: record, isInherited: entry.isInherited)
    }

    private func crashRecord(of entry: WorkerTable.Entry) -> CrashRecord? {
        scoreboard.crashArea(line: entry.line).flatMap { CrashRecord(in: $0) }
    }

    /// The stack in the log, after the line of the end.
    func tellStack(of report: ExitReport) {
        guard let crash = report.crash, !crash.frames.isEmpty else { return }
        logger.say(crash.logLines(of: "worker \(report.taskID)"), by: .worker(report.taskID, .stack))
    }
}

extension CrashReport {
    private static let framesInLog = 16

    /// The stack for the log.
    func logLines(of name: String) -> [LogLine] {
        var lines = ["\(name): stack of thread \(thread), \(signal)\(cause):"]
        lines += frames.prefix(Self.framesInLog).map { "\(name):   \($0.text)" }
        let rest = frames.count - Self.framesInLog
        if rest > 0 { lines.append("\(name):   \(rest) frames more: preforkctl crashes") }
        return lines.map { LogLine(.warning, $0) }
    }
}
