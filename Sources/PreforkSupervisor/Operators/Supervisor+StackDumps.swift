// Stacks of hung workers in the log.

import PreforkSystem

extension Supervisor {
    /// What can be known of a hung worker: from outside at once, and from its own handler, which rings when it is done.
    ///
    /// - Parameter isForStall: a thread that sleeps (clock_nanosleep(2)) is not asked: the signal would end its sleep, which
    ///   the program has not bargained for. The snapshot says that it sleeps.
    func dumpStack(of spawn: UInt64, forStall isForStall: Bool = false) {
        guard let entry = workers[spawn] else { return }
        let known = dumpArea(entry.line).map { StackDump.number(in: $0) } ?? 0
        guard dumps.admit(spawn, known: known, isForStall: isForStall, at: .now) else { return }
        let snapshot = ProcessSnapshot(of: entry.child.pid)
        if let snapshot {
            logger.say(snapshot.logLines(taskID: entry.slot), by: .worker(entry.slot, .snapshot))
        }
        if isForStall, snapshot?.isMainThreadAsleep == true { return }
        _ = try? StackDump.request(from: entry.child)
    }

    /// Called when a worker has rung, and before it is reaped.
    func takeDump(of spawn: UInt64) {
        guard let known = dumps.known(spawn), let entry = workers[spawn], let area = dumpArea(entry.line)
        else { return }
        switch StackDump.read(area, after: known) {
        case .nothing: return
        case .dump(let dump):
            // An inherited worker runs the previous program: its addresses mean something else here.
            hangStacks[entry.child.pid] = dump.frames.map { frame in
                entry.isInherited ? StackFrame(unknown: frame) : StackFrame(at: frame, program: program)
            }
            tellDump(entry.slot, dump.lines(program: entry.isInherited ? nil : program))
        case .nonsense:
            tellDump(entry.slot, ["what it wrote is not a stack"])
        }
        dumps.wasAnswered(spawn)
    }

    private func tellDump(_ slot: Int, _ lines: [String]) {
        logger.say(lines.map { LogLine(.warning, "worker \(slot): \($0)") }, by: .worker(slot, .stack))
    }

    private func dumpArea(_ line: Int) -> UnsafeMutableRawPointer? {
        let area = scoreboard.dumpArea(line: line)
        return area.count >= StackDump.byteCount ? area.baseAddress : nil
    }
}
