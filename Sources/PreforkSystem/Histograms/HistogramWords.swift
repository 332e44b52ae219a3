// A histogram in memory that one process writes and others read.

import Synchronization

/// The words of a histogram: the sum of all values, then a count for each range.
///
/// One thread writes, by plain loads and stores: a look-up and two additions, no lock, no atomic exchange. A reader in
/// another process may see a value in the sum and not yet in its range, or the other way round. No word of its own ever
/// decreases. What a reader loads may be anything, if the writer is not to be trusted.
package struct HistogramWords: @unchecked Sendable {
    // Sendable: an address that never changes. What is behind it is atomic.
    private let base: UnsafeMutableRawPointer
    package let ranges: DoublingRanges

    /// Bytes that a histogram of these ranges takes.
    package static func byteCount(_ ranges: DoublingRanges) -> Int { (ranges.count + 1) * 8 }

    /// - Parameter memory: `byteCount` bytes, aligned to eight, zeroed when nothing was counted, which stay mapped for as
    ///   long as this value or a copy of it is used.
    package init(_ memory: UnsafeMutableRawPointer, _ ranges: DoublingRanges) {
        base = memory
        self.ranges = ranges
    }

    /// Proof: `index` is 0 ... `ranges.count`, as all callers below have it, within the bytes that `init` demands, and
    /// each word is only ever used as an atomic one.
    @inline(__always)
    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Counts one value. On one thread only.
    @inline(__always)
    package func add(_ value: UInt64) {
        let count = word(1 + ranges.index(of: value))
        count.pointee.store(count.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        let sum = word(0)
        sum.pointee.store(sum.pointee.load(ordering: .relaxed) &+ value, ordering: .relaxed)
    }

    /// What was counted so far: each word is loaded once.
    package var counts: HistogramCounts {
        HistogramCounts(ranges, words: (0...ranges.count).lazy.map { word($0).pointee.load(ordering: .relaxed) })
    }

    /// Nothing was counted any more. For the next writer.
    package func clear() {
        for index in 0...ranges.count { word(index).pointee.store(0, ordering: .relaxed) }
    }
}
