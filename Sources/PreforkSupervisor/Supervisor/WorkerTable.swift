// The processes behind a pool's workers.

import PreforkSystem

/// Which child and which line of the scoreboard belong to a worker, by its spawn.
struct WorkerTable {
    struct Entry {
        let slot: Int
        let line: Int
        var child: ChildProcess
        /// How often it gives a heartbeat. If nil, never.
        let heartbeatPeriod: Duration?
        /// The previous image has forked it.
        let isInherited: Bool
    }

    private(set) var entries: [UInt64: Entry] = [:]
    /// Which lines of the scoreboard are taken.
    private var lines = ScoreboardLines()

    subscript(spawn: UInt64) -> Entry? { entries[spawn] }

    /// No line from this one on is taken.
    var linesInUse: Int { lines.inUse }

    /// The first free line, or nil.
    mutating func takeLine(of limit: Int) -> Int? { lines.take(of: limit) }

    mutating func freeLine(_ line: Int) { lines.free(line) }

    mutating func insert(
        _ child: ChildProcess, spawn: UInt64, slot: Int, line: Int, heartbeatPeriod: Duration?, isInherited: Bool = false
    ) {
        entries[spawn] = Entry(
            slot: slot, line: line, child: child, heartbeatPeriod: heartbeatPeriod, isInherited: isInherited)
    }

    /// - Parameter keepsLine: until `freeLine`.
    mutating func remove(_ spawn: UInt64, keepsLine: Bool) -> Entry? {
        guard let entry = entries.removeValue(forKey: spawn) else { return nil }
        if !keepsLine { freeLine(entry.line) }
        return entry
    }

    /// Takes over a worker and its line from the previous image.
    mutating func inherit(_ child: ChildProcess, _ worker: InheritedWorker) {
        lines.inherit(worker.line)
        insert(
            child, spawn: worker.spawn, slot: worker.slot, line: worker.line, heartbeatPeriod: worker.heartbeatPeriod,
            isInherited: true)
    }

    var linesBySpawn: [UInt64: Int] { entries.mapValues(\.line) }

    var pidfds: [Int32] { entries.values.compactMap(\.child.pidfdNumber) }

    /// Workers whose end only SIGCHLD reports.
    var withoutPidfd: [UInt64] { entries.filter { $0.value.child.pidfdNumber == nil }.map(\.key).sorted() }
}
