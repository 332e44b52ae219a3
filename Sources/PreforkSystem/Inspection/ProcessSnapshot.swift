// The state of a hanging process from /proc, read without stopping it.

/// One thread of a process, as /proc shows it (proc(5)). A value that must not be read is nil: `wchan` needs the right
/// to trace the process (ptrace(2)).
package struct ThreadSnapshot: Equatable, Sendable {
    package var id: Int32
    package var name: ForeignText
    /// `R` running, `S` waiting, `D` waiting and not to be interrupted, `T` stopped, `Z` ended.
    package var state: Character
    /// The kernel's function it waits in.
    package var waitChannel: String?
}

/// A process with its first threads. Reads take microseconds, stop nothing, and wait for nothing that the process could
/// hold: `stat`, `status` and `wchan` take no lock that sleeps. `maps`, `smaps`, `cmdline`, `environ` and `exe` would
/// take the lock of its address space, `syscall`, `stack` and `auxv` the lock of its execve(2) (exec_update_lock). A
/// hostile process can hold either lock for as long as it likes, and a reader would wait with it.
package struct ProcessSnapshot: Equatable, Sendable {
    package var pid: Int32
    /// Of all threads together, in clock ticks (1/100 s): two snapshots distinguish a loop from a wait.
    package var processorTicks: UInt64
    package var residentBytes: Int?
    package var threadCount: Int
    package var threads: [ThreadSnapshot]

    package static let threadLimit = 16

    /// - Returns: nil when there is no such process.
    package init?(of pid: Int32) {
        guard let stat = try? SmallFile.read("/proc/\(pid)/stat", limit: 4096), let head = Self.head(stat) else {
            return nil
        }
        self.pid = pid
        processorTicks = head.ticks
        let status = (try? SmallFile.read("/proc/\(pid)/status", limit: 16_384)) ?? ""
        residentBytes = Self.field("VmRSS", in: status).flatMap { Int($0.split(separator: " ")[0]) }.map { $0 * 1024 }
        let ids = DirectoryListing.names("/proc/\(pid)/task").compactMap { Int32($0) }.sorted()
        threadCount = ids.count
        threads = ids.prefix(Self.threadLimit).compactMap { Self.thread($0, of: pid) }
    }

    /// Whether the thread that began the process is in nanosleep(2) or clock_nanosleep(2), which no signal handler lets
    /// continue (signal(7)). False where the kernel's function cannot be read.
    package var isMainThreadAsleep: Bool {
        threads.contains { $0.id == pid && $0.waitChannel?.contains("nanosleep") == true }
    }

    /// The snapshot for a log, a line for each fact.
    ///
    /// - Parameter earlier: an earlier snapshot of the same process, to show the processor time since then.
    package func lines(since earlier: ProcessSnapshot? = nil) -> [String] {
        var first = "process \(pid): \(threadCount) thread\(threadCount == 1 ? "" : "s")"
        if let residentBytes { first += ", \(residentBytes >> 20) MiB resident" }
        if let earlier, earlier.pid == pid, processorTicks >= earlier.processorTicks {
            first += ", \((processorTicks - earlier.processorTicks) * 10) ms of processor time since the first sample"
        }
        var lines = [first]
        for thread in threads {
            var line = "thread \(thread.id) (\(thread.name.escaped(for: .log))) is \(Self.meaning(of: thread.state))"
            if let channel = thread.waitChannel { line += ", waits in \(channel)" }
            lines.append(line)
        }
        if threadCount > threads.count { lines.append("\(threadCount - threads.count) more threads are not shown") }
        return lines
    }

    private static func thread(_ id: Int32, of pid: Int32) -> ThreadSnapshot? {
        let directory = "/proc/\(pid)/task/\(id)"
        func text(_ name: String) -> String? { try? SmallFile.read("\(directory)/\(name)", limit: 16_384) }
        guard let stat = text("stat"), let head = head(stat) else { return nil }
        let channel = text("wchan").flatMap { $0 == "0" || $0.isEmpty ? nil : $0 }
        return ThreadSnapshot(id: id, name: head.name, state: head.state, waitChannel: channel)
    }

    /// Name, state, and the sum of fields 14 and 15 of /proc/pid/stat.
    static func head(_ stat: String) -> (name: ForeignText, state: Character, ticks: UInt64)? {
        guard let stat = ProcessStat(stat), let state = stat[3]?.first, let user = stat.number(14),
            let system = stat.number(15)
        else { return nil }
        return (stat.name, state, user &+ system)
    }

    static func field(_ name: String, in status: String) -> Substring? {
        for line in status.split(separator: "\n") where line.hasPrefix("\(name):") {
            let value = line.dropFirst(name.count + 1).drop { $0 == " " || $0 == "\t" }
            return value.isEmpty ? nil : value
        }
        return nil
    }

    static func meaning(of state: Character) -> String {
        switch state {
        case "R": "running (R)"
        case "S": "waiting (S)"
        case "D": "in uninterruptible sleep (D)"
        case "T": "stopped (T)"
        case "t": "stopped by a tracer (t)"
        case "Z": "a zombie (Z)"
        default: "in state \(state)"
        }
    }
}
