// Which of a histogram's ranges a value falls into.

/// Ranges whose upper bounds double: `first`, `2 × first`, `4 × first` and so on, and above the last of them one without
/// a bound.
package struct DoublingRanges: Hashable, Sendable {
    /// The upper bound of the lowest range, which a value in it may equal. Above zero, in whatever unit the values have.
    package let first: UInt64
    /// How many ranges have a bound: 1...64, so that no bound exceeds a word.
    package let boundedCount: Int

    /// - Parameters:
    ///   - first: zero counts as one.
    ///   - boundedCount: fewer or more than a word can have count as the least or the most.
    package init(first: UInt64, boundedCount: Int) {
        self.first = max(1, first)
        self.boundedCount = min(max(1, boundedCount), max(1, max(1, first).leadingZeroBitCount + 1))
    }

    /// With the one that has no bound.
    package var count: Int { boundedCount + 1 }

    /// Of a range that has one. Beyond those, the last of them.
    package func bound(_ index: Int) -> UInt64 { first << UInt64(min(max(0, index), boundedCount - 1)) }

    /// 0 ..< `count`. No loop: the number of bits of the quotient is the number of doublings.
    @inline(__always)
    package func index(of value: UInt64) -> Int {
        guard value > first else { return 0 }
        return min(UInt64.bitWidth - ((value - 1) / first).leadingZeroBitCount, boundedCount)
    }
}
