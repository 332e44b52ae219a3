// Stacks of hung workers in the log.

import PreforkSystem

extension Supervisor {
    /// What can be known of a hung worker: from outside at once, and from its own handler, which rings when it is done.
    func dumpStack(of spawn: UInt64) {
        guard let entry = workers[spawn] else { return }
        let known = dumpArea(entry.line).map { StackDump.number(in: $0) } ?? 0
        guard let refused = dumps.admit(spawn, known: known, at: .now) else { return }
        if refused > 0 { tellDump(entry.slot, "hung \(refused) times more within a second: not looked at") }
        if let snapshot = ProcessSnapshot(of: entry.child.pid) {
            for line in snapshot.logLines(taskID: entry.slot) { log(line) }
        }
        _ = try? StackDump.request(from: entry.child)
    }

    /// Called when a worker has rung, and before it is reaped.
    func takeDump(of spawn: UInt64) {
        guard let known = dumps.known(spawn), let entry = workers[spawn], let area = dumpArea(entry.line)
        else { return }
        switch StackDump.read(area, after: known) {
        case .nothing: return
        case .dump(let dump):
            // An inherited worker runs the program before: what is at its addresses here is something else.
            for line in dump.lines(program: entry.isInherited ? nil : program) { tellDump(entry.slot, line) }
        case .nonsense:
            tellDump(entry.slot, "what it has written is no stack")
        }
        dumps.wasAnswered(spawn)
    }

    private func tellDump(_ slot: Int, _ text: String) { log(LogLine(.warning, "worker \(slot): \(text)")) }

    private func dumpArea(_ line: Int) -> UnsafeMutableRawPointer? {
        let area = scoreboard.dumpArea(line: line)
        return area.count >= StackDump.byteCount ? area.baseAddress : nil
    }
}
