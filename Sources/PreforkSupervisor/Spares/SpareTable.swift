// The processes behind a pool's spares.

import PreforkSystem

/// Which process, line of the scoreboard and pipe belong to a spare, by its key.
struct SpareTable {
    /// Keys are not spawns of workers: a spare gets the spawn of the worker that it becomes.
    static let keyBit: UInt64 = 1 << 62

    static func key(of number: UInt64) -> UInt64 { keyBit | number }

    static func number(of key: UInt64) -> UInt64 { key & ~keyBit }

    static func isKey(_ word: UInt64) -> Bool { word & keyBit != 0 }

    struct Entry {
        let line: Int
        let child: ChildProcess
        /// What the program and this package had made for children when it was forked.
        let offers: [HandoverItem]
        /// The supervisor's end of its pipe. If nil, the spare was let go.
        fileprivate(set) var pipe: Int32?
    }

    private(set) var entries: [UInt64: Entry] = [:]

    subscript(key: UInt64) -> Entry? { entries[key] }

    mutating func insert(_ child: ChildProcess, _ key: UInt64, line: Int, pipe: Int32, offers: [HandoverItem]) {
        entries[key] = Entry(line: line, child: child, offers: offers, pipe: pipe)
    }

    mutating func remove(_ key: UInt64) -> Entry? {
        closePipe(of: key)
        return entries.removeValue(forKey: key)
    }

    /// Has the spare end. Closing a pipe waits for nothing.
    mutating func closePipe(of key: UInt64) {
        guard let pipe = entries[key]?.pipe else { return }
        closeDescriptor(pipe)
        entries[key]?.pipe = nil
    }

    var processes: [Int32] { entries.values.map(\.child.pid) }

    var pidfds: [Int32] { entries.values.compactMap(\.child.pidfdNumber) }

    var pipes: [Int32] { entries.values.compactMap(\.pipe) }

    /// Spares whose end only SIGCHLD reports.
    var withoutPidfd: [UInt64] { entries.filter { $0.value.child.pidfdNumber == nil }.map(\.key).sorted() }
}
