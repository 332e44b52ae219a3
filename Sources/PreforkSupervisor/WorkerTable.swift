// The processes behind a pool's workers.

import PreforkSystem

/// Which child and which line of the scoreboard belong to a worker, by its spawn.
struct WorkerTable {
    struct Entry {
        let slot: Int
        let line: Int
        var child: ChildProcess
    }

    private(set) var entries: [UInt64: Entry] = [:]
    /// Which lines of the scoreboard are taken.
    private var lines: [Bool] = []

    subscript(spawn: UInt64) -> Entry? { entries[spawn] }

    /// No line from this one on is taken.
    var linesInUse: Int { lines.count }

    /// The first line that is free; nil when there is none.
    mutating func takeLine(of limit: Int) -> Int? {
        if let free = lines.firstIndex(of: false) {
            lines[free] = true
            return free
        }
        guard lines.count < limit else { return nil }
        lines.append(true)
        return lines.count - 1
    }

    mutating func freeLine(_ line: Int) {
        guard lines.indices.contains(line) else { return }
        lines[line] = false
        while lines.last == false { lines.removeLast() }
    }

    mutating func insert(_ child: ChildProcess, spawn: UInt64, slot: Int, line: Int) {
        entries[spawn] = Entry(slot: slot, line: line, child: child)
    }

    mutating func remove(_ spawn: UInt64) -> Entry? {
        guard let entry = entries.removeValue(forKey: spawn) else { return nil }
        freeLine(entry.line)
        return entry
    }

    var pidfds: [Int32] { entries.values.compactMap(\.child.pidfdNumber) }

    /// Workers whose end only SIGCHLD tells of.
    var withoutPidfd: [UInt64] { entries.filter { $0.value.child.pidfdNumber == nil }.map(\.key).sorted() }
}
