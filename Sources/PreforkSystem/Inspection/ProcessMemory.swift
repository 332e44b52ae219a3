// Which memory of a process is its own, and which it shares.

/// The sums of all mappings of a process, in bytes, as /proc/pid/smaps_rollup has them (Linux 4.14, proc(5)).
package struct ProcessMemory: Hashable, Sendable {
    /// Each page divided by the number of processes that have it (PSS).
    package var proportional: Int
    /// Pages that no other process has (USS).
    package var unique: Int
    /// Pages that another process has, too: of files, of shared mappings, and of this process's parent that neither has
    /// written to since the fork.
    package var shared: Int

    package init(proportional: Int, unique: Int, shared: Int) {
        self.proportional = proportional
        self.unique = unique
        self.shared = shared
    }

    /// From the text of the file, whose lines are as `Private_Dirty:   12 kB`.
    ///
    /// - Returns: nil if a figure is missing.
    init?(rollup: ArraySlice<UInt8>) {
        var figures: [String: Int] = [:]
        for line in rollup.split(separator: UInt8(ascii: "\n")) {
            guard let end = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let digits = line[end...].filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard let kibibytes = Int(String(decoding: digits, as: UTF8.self)), kibibytes <= Int.max >> 12 else { continue }
            figures[String(decoding: line[..<end], as: UTF8.self)] = kibibytes << 10
        }
        guard let proportional = figures["Pss"], let uniqueClean = figures["Private_Clean"],
            let uniqueDirty = figures["Private_Dirty"], let sharedClean = figures["Shared_Clean"],
            let sharedDirty = figures["Shared_Dirty"]
        else { return nil }
        self.init(
            proportional: proportional, unique: uniqueClean + uniqueDirty, shared: sharedClean + sharedDirty)
    }
}
