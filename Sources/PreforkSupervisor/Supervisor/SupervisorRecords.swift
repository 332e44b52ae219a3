// A supervisor's records of its workers, for operators.

import PreforkSystem

/// The last ends of workers, and what is counted of all of them.
struct SupervisorRecords {
    private var history = ExitHistory()
    private var lastOfSlot: [Int: ExitReport] = [:]
    var counters = PoolCounters() {
        didSet { haveCountersChanged = true }
    }
    /// Since they were noted.
    var haveCountersChanged = false
    /// When those that were asked to end were asked, by process.
    private var asked: [Int32: MonotonicInstant] = [:]

    /// Continues with the counts of the previous image.
    mutating func inherit(_ records: InheritedRecords) {
        counters = records.counters
        asked = records.asked
        for report in records.ends {
            history.add(report)
            lastOfSlot[report.taskID] = report
        }
    }

    /// What the next image continues with, as far as it is known here.
    var inheritance: InheritedRecords {
        var records = InheritedRecords()
        records.counters = counters
        records.asked = asked
        records.ends = history.reports
        return records
    }

    var last: [ExitReport] { history.reports }

    func last(of slot: Int) -> ExitReport? { lastOfSlot[slot] }

    mutating func wasAsked(_ pid: Int32, at now: MonotonicInstant) {
        if asked[pid] == nil { asked[pid] = now }
    }

    mutating func countBoot(_ duration: Duration) { counters.recordBoot(after: duration) }

    mutating func countFailedFork() { counters.recordFailedFork() }

    mutating func countReload(isDone: Bool) { counters.recordReload(done: isDone) }

    /// Counts and remembers the report.
    ///
    /// - Parameter requests: how many the worker had served.
    mutating func add(_ report: ExitReport, requests: UInt64, at now: MonotonicInstant) {
        if let asked = asked.removeValue(forKey: report.pid) { counters.recordDrain(after: now - asked) }
        counters.recordExit(report, requests: requests)
        history.add(report)
        lastOfSlot[report.taskID] = report
    }
}
