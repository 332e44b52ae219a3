// What of a line is added to which sums.

import PreforkSystem

/// The words of a line in the order of its series, and where each belongs. Made once for all processes that know the
/// same series, since the words of a thousand lines are added for each page.
struct MetricPlan {
    /// Words side by side, here and there.
    struct Run: Equatable {
        let cell: Int
        let value: Int
        var count: Int
        /// A sum of a histogram: a `Double`, and one word alone.
        let isDouble: Bool
    }

    private(set) var runs: [Run] = []
    /// Where gauges lie, and their numbers in the table.
    private(set) var gauges: [(cell: Int, entry: Int)] = []
    /// Where each series begins, in order.
    private var starts: [(cell: Int, entry: Int)] = []
    private(set) var nextCell: Int
    /// Words that lie beyond the line, or that are unknown, follow: nothing behind them can be found.
    private(set) var isBroken = false

    init(from cell: Int = MetricLayout.firstWord) { nextCell = cell }

    /// The next series of the line.
    ///
    /// - Parameter entry: if nil, what is counted there is on no page.
    mutating func add(_ number: Int?, words: Int, _ table: MetricTable) {
        guard !isBroken, words > 0, nextCell + words <= MetricLayout.words else {
            isBroken = true
            return
        }
        defer { nextCell += words }
        guard let number, table.entries.indices.contains(number) else { return }
        let entry = table.entries[number]
        guard !entry.isDead, entry.description.kind.words == words else { return }
        starts.append((nextCell, number))
        switch entry.description.kind {
        case .counter: add(Run(cell: nextCell, value: entry.value, count: 1, isDouble: false))
        case .gauge: gauges.append((nextCell, number))
        case .histogram:
            add(Run(cell: nextCell, value: entry.value, count: 1, isDouble: true))
            add(Run(cell: nextCell + 1, value: entry.value + 1, count: words - 1, isDouble: false))
        }
    }

    /// The series that begins there.
    func entry(at cell: Int) -> Int? {
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle].cell < cell { low = middle + 1 } else { high = middle }
        }
        return low < starts.count && starts[low].cell == cell ? starts[low].entry : nil
    }

    mutating func breakOff() { isBroken = true }

    private mutating func add(_ run: Run) {
        if let last = runs.last, !last.isDouble, !run.isDouble, last.cell + last.count == run.cell,
            last.value + last.count == run.value
        {
            runs[runs.count - 1].count += run.count
        } else {
            runs.append(run)
        }
    }

    /// Adds a line's counts. Any word may stand there: sums wrap.
    ///
    /// Proof: `add` above has bounded each cell by the line. Numbers of values are those of the table, for all of which
    /// `values` has room, and the buffer checks them.
    func add(_ line: UnsafeMutableRawPointer, to values: inout [UInt64]) {
        values.withUnsafeMutableBufferPointer { values in
            for run in runs {
                if run.isDouble {
                    let share = Double(bitPattern: MetricLines.load(line, run.cell))
                    // A hostile share that is no number would spoil the sum for good.
                    if share.isFinite {
                        values[run.value] = (Double(bitPattern: values[run.value]) + share).bitPattern
                    }
                } else {
                    for index in 0..<run.count {
                        values[run.value + index] &+= MetricLines.load(line, run.cell + index)
                    }
                }
            }
        }
    }
}

extension MetricPlan {
    /// Adds the gauges that the process has set.
    func addGauges(_ line: UnsafeMutableRawPointer, of process: String, to totals: inout MetricTotals) {
        for gauge in gauges {
            let stamp = MetricLines.load(line, gauge.cell + 1)
            guard stamp > 0 else { continue }
            let value = Double(bitPattern: MetricLines.load(line, gauge.cell))
            totals.gauges[gauge.entry, default: GaugeTotal()].add(value, stamp: stamp, process: process)
        }
    }

    /// Adds its examples of series that this plan knows.
    func addExemplars(_ line: UnsafeMutableRawPointer, to totals: inout MetricTotals) {
        for (word, bucket, exemplar) in MetricExemplars.read(line) {
            if let entry = entry(at: word) { totals.add(exemplar, entry: entry, bucket: bucket) }
        }
    }
}

/// The values of one gauge in all living processes.
struct GaugeTotal {
    private(set) var sum = 0.0
    private(set) var greatest = 0.0
    private var lastStamp: UInt64 = 0
    private(set) var last = 0.0
    private(set) var each: [(process: String, value: Double)] = []

    /// - Parameter stamp: when it was set, above zero.
    mutating func add(_ value: Double, stamp: UInt64, process: String) {
        greatest = each.isEmpty ? value : max(greatest, value)
        sum += value
        if stamp > lastStamp { (lastStamp, last) = (stamp, value) }
        each.append((process, value))
    }
}

/// Everything that a page shows.
struct MetricTotals {
    /// The sums of the dead and of the living, as `MetricTable` numbers them.
    var values: [UInt64]
    /// By number. One that no living process has set is not there.
    var gauges: [Int: GaugeTotal] = [:]
    /// The last example of each series, or of each bucket of one.
    var exemplars: [ExemplarKey: MetricExemplar] = [:]

    struct ExemplarKey: Hashable {
        let entry: Int
        let bucket: Int
    }

    mutating func add(_ exemplar: MetricExemplar, entry: Int, bucket: Int) {
        let key = ExemplarKey(entry: entry, bucket: bucket)
        if let known = exemplars[key], known.time > exemplar.time { return }
        exemplars[key] = exemplar
    }
}
