// A histogram as a value.

/// How many values fell into each range, and their sum.
package struct HistogramCounts: Hashable, Sendable {
    package let ranges: DoublingRanges
    /// For each range. The last one has no upper bound.
    package private(set) var counts: [UInt64]
    /// All values added up, in their own unit. It wraps.
    package private(set) var sum: UInt64

    /// A histogram that has counted nothing.
    package init(_ ranges: DoublingRanges) {
        self.ranges = ranges
        counts = [UInt64](repeating: 0, count: ranges.count)
        sum = 0
    }

    /// - Parameter words: the sum, then a count for each range, as another process has written them. Missing ones are
    ///   zero, further ones are not read.
    package init(_ ranges: DoublingRanges, words: some Sequence<UInt64>) {
        self.init(ranges)
        for (index, word) in words.enumerated() {
            if index == 0 { sum = word } else if index <= ranges.count { counts[index - 1] = word }
        }
    }

    /// The sum, then the counts.
    package var words: [UInt64] { [sum] + counts }

    /// Of values, in all ranges. It wraps.
    package var count: UInt64 { counts.reduce(0, &+) }

    package mutating func add(_ value: UInt64) {
        counts[ranges.index(of: value)] &+= 1
        sum &+= value
    }

    /// Adds what another histogram has counted. Counts of processes that may hold anything must not trap, so they wrap.
    /// One with other ranges adds nothing.
    package mutating func add(_ other: HistogramCounts) {
        guard other.ranges == ranges else { return }
        sum &+= other.sum
        for index in counts.indices { counts[index] &+= other.counts[index] }
    }
}
