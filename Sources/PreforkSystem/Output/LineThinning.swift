// A limit on the log lines of each cause.

/// Lets one line a second through for each cause. The next line that gets through says how many were left out.
///
/// A worker, a client or a peer that can cause a line can cause a million: 35 MB in five seconds were seen. Some causes
/// may have several lines at once first (`burst`), and one a second from then on. A pure value: it neither writes nor
/// reads a clock.
package struct LineThinning<Cause: Hashable & Sendable>: Sendable {
    package enum Verdict: Equatable, Sendable {
        /// To be written, and so many like it were not since the last one that was.
        case write(leftOut: Int)
        case leaveOut
    }

    /// Left-out lines that have not been reported yet.
    package struct Rest: Equatable, Sendable {
        /// If nil, all causes that were too many to be distinguished.
        package var cause: Cause?
        package var leftOut: Int
    }

    private struct Record {
        /// When the last line was written.
        var written: MonotonicInstant
        /// When the last line came, written or not.
        var came: MonotonicInstant
        var leftOut = 0
        /// How many more may be written at once.
        var credit: Int
        let burst: Int
    }

    private var records: [Cause: Record] = [:]
    /// Of all causes that found no room: together they have what one has.
    private var others: Record?
    private var swept: MonotonicInstant?
    /// How many causes have something to report. It is usually zero, and the causes are then not searched.
    private var untold = 0
    /// Nothing has to be reported before this time. Stored, because each turn of an event loop reads it.
    private var earliest: MonotonicInstant?
    private let period: Duration
    private let mostCauses: Int

    /// - Parameter mostCauses: so many are distinguished. Causes may contain names from other processes, so their
    ///   number is unbounded.
    package init(mostCauses: Int = 256, period: Duration = .seconds(1)) {
        self.mostCauses = max(1, mostCauses)
        self.period = period
    }

    /// Called for each line before it is made.
    ///
    /// - Parameter burst: so many lines of the cause may come at once, after which one comes back each `period`.
    package mutating func judge(_ cause: Cause, burst: Int = 1, at now: MonotonicInstant) -> Verdict {
        let isOne = records[cause] != nil || hasRoom(at: now)
        let burst = isOne ? max(1, burst) : 1
        guard var record = isOne ? records[cause] : others else {
            let new = Record(written: now, came: now, credit: burst - 1, burst: burst)
            if isOne { records[cause] = new } else { others = new }
            return .write(leftOut: 0)
        }
        defer { if isOne { records[cause] = record } else { others = record } }
        record.came = now
        record.credit = min(record.burst, record.credit + periods(from: record.written, to: now))
        guard record.credit > 0 else {
            if record.leftOut == 0 { untold += 1 }
            // Lines that come later put it off, but for other causes.
            if earliest == nil { earliest = now + period }
            record.leftOut &+= 1
            return .leaveOut
        }
        record.credit -= 1
        record.written = now
        if record.leftOut > 0 { untold -= 1 }
        if untold == 0 { earliest = nil }
        defer { record.leftOut = 0 }
        return .write(leftOut: record.leftOut)
    }

    /// Whole ones, and never so many that a sum with them overflows.
    private func periods(from start: MonotonicInstant, to end: MonotonicInstant) -> Int {
        let count = (end - start).saturatedNanoseconds / max(1, period.saturatedNanoseconds)
        return min(max(0, Int(clamping: count)), 1 << 20)
    }

    /// Takes the reports of causes that have been silent for a period, because no further line of theirs will carry the
    /// report soon.
    package mutating func takeSettled(at now: MonotonicInstant) -> [Rest] {
        guard let next = nextDeadline, next <= now else { return [] }
        let period = period
        let taken = take { now - $0.came >= period }
        earliest = earliestOfAll
        return taken
    }

    /// Takes all reports, because no later line can carry them.
    package mutating func takeAll() -> [Rest] {
        defer { earliest = nil }
        return take { _ in true }
    }

    private mutating func take(where isDue: (Record) -> Bool) -> [Rest] {
        var taken: [(rest: Rest, came: MonotonicInstant)] = []
        for (cause, record) in records where record.leftOut > 0 && isDue(record) {
            taken.append((Rest(cause: cause, leftOut: record.leftOut), record.came))
            records[cause]?.leftOut = 0
        }
        taken.sort { $0.came < $1.came }
        if let record = others, record.leftOut > 0, isDue(record) {
            taken.append((Rest(cause: nil, leftOut: record.leftOut), record.came))
            others?.leftOut = 0
        }
        untold -= taken.count
        return taken.map(\.rest)
    }

    /// How many causes it distinguishes at present.
    package var causeCount: Int { records.count }

    /// When `takeSettled` may return a report. If nil, nothing was left out.
    package var nextDeadline: MonotonicInstant? { untold == 0 ? nil : earliest }

    private var earliestOfAll: MonotonicInstant? {
        if untold == 0 { return nil }
        let own = records.values.lazy.filter { $0.leftOut > 0 }.map { $0.came + period }.min()
        return [own, others.flatMap { $0.leftOut > 0 ? $0.came + period : nil }].lazy.compactMap { $0 }.min()
    }

    /// Forgets, at most once in a period, causes that have their full allowance again. Callers see no difference.
    private mutating func hasRoom(at now: MonotonicInstant) -> Bool {
        if records.count < mostCauses { return true }
        guard swept.map({ now - $0 >= period }) ?? true else { return false }
        swept = now
        records = records.filter { _, record in
            record.leftOut > 0 || record.credit + periods(from: record.written, to: now) < record.burst
        }
        return records.count < mostCauses
    }
}
