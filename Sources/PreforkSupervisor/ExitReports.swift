// The last ends of workers, for operators.

import PreforkSystem

/// Judges exits and remembers them.
struct ExitReports {
    /// How many are remembered.
    static let limit = 100

    private(set) var last: [ExitReport] = []
    private var lastOfSlot: [Int: ExitReport] = [:]
    private let outOfMemoryKills = OutOfMemoryKills()
    private var killCount: UInt64?

    init() {
        killCount = outOfMemoryKills.current()
    }

    func last(of slot: Int) -> ExitReport? { lastOfSlot[slot] }

    /// Adds the verdict of the kernel's counter, and remembers the report.
    mutating func judge(_ report: ExitReport) -> ExitReport {
        var report = report
        if case .signaled(.kill, _) = report.status, let count = outOfMemoryKills.current() {
            report.outOfMemory = count > killCount ?? count
            killCount = count
        }
        if last.count == Self.limit { last.removeFirst() }
        last.append(report)
        lastOfSlot[report.taskID] = report
        return report
    }
}
