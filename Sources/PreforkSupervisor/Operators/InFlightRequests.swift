// The running requests of every worker, for operators.

import PreforkSystem

/// The requests of all workers, oldest first, as many as an answer has room for.
package struct InFlightRequests: Equatable, Sendable {
    package struct Row: Equatable, Sendable {
        package var slot: Int
        package var pid: Int32
        package var request: RequestReport
    }

    /// How many rows an answer has.
    static let most = 1_000
    /// How many are read of all workers together: what is asked for by one client must not keep the supervisor.
    private static let mostRead = 4_000

    package private(set) var rows: [Row] = []
    /// How many are not among the rows.
    package private(set) var leftOut = 0
    private var count = 0
    /// How many are read of one worker. Those that execute come first there, then the oldest.
    let mostOfWorker: Int

    package init(workers: Int = 0) {
        mostOfWorker = max(1, Self.mostRead / max(1, workers))
    }

    mutating func add(_ reading: RequestRingReading, slot: Int, pid: Int32, at now: MonotonicInstant) {
        rows += reading.records.map { Row(slot: slot, pid: pid, request: RequestReport($0, at: now)) }
        count += reading.count
    }

    /// Called once, after the last worker.
    mutating func finish() {
        rows.sort { a, b in
            a.request.age != b.request.age ? a.request.age > b.request.age : (a.slot, a.pid) < (b.slot, b.pid)
        }
        rows.removeLast(max(0, rows.count - Self.most))
        leftOut = max(0, count - rows.count)
    }
}
