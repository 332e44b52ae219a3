// Which bucket a value falls into, without a loop over the bounds.

import Synchronization

/// A table from the first bits of a value to its bucket.
///
/// The sign, the exponent and the first four bits of a positive `Double` order it as a number does. For each of these
/// prefixes the table has the lowest bucket that a value with it can be in. Where bounds are closer than a sixteenth of
/// an octave, a few comparisons follow. Otherwise one does.
///
/// The memory is never freed: the buckets of a program are few, and its histograms live as long as its process.
package struct BucketIndex: @unchecked Sendable {
    // Sendable: what is behind the addresses is written before the value is made and never again.
    /// `count` bounds, and infinity behind them.
    private let bounds: UnsafePointer<Double>
    private let table: UnsafePointer<UInt8>
    private let firstKey: Int
    private let keys: Int
    package let count: Int

    private static let known = Mutex<[HistogramBuckets: BucketIndex]>([:])

    /// The table for these buckets, which all histograms that have them share. If nil, they make no sense.
    package static func of(_ buckets: HistogramBuckets) -> BucketIndex? {
        known.withLock { known in
            if let index = known[buckets] { return index }
            guard let index = BucketIndex(buckets) else { return nil }
            known[buckets] = index
            return index
        }
    }

    private init?(_ buckets: HistogramBuckets) {
        guard let bounds = buckets.bounds, let last = bounds.last else { return nil }
        count = bounds.count
        let memory = UnsafeMutablePointer<Double>.allocate(capacity: bounds.count + 1)
        for (index, bound) in bounds.enumerated() { (memory + index).initialize(to: bound) }
        (memory + bounds.count).initialize(to: .infinity)
        self.bounds = UnsafePointer(memory)
        firstKey = Self.key(bounds[0])
        keys = Self.key(last) - firstKey + 1
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: keys)
        for key in 0..<keys {
            let least = Double(bitPattern: UInt64(key + firstKey) << 48)
            (table + key).initialize(to: UInt8(bounds.firstIndex { $0 >= least } ?? bounds.count))
        }
        self.table = UnsafePointer(table)
    }

    @inline(__always)
    private static func key(_ value: Double) -> Int { Int(truncatingIfNeeded: value.bitPattern >> 48) }

    /// 0 ... `count`. What is no number belongs into no bucket: the caller has excluded it.
    ///
    /// Proof: a value above the first bound has a key of at least `firstKey`, the table has `keys` bytes, and infinity
    /// behind the bounds ends the loop.
    @inline(__always)
    package func index(of value: Double) -> Int {
        guard value > bounds[0] else { return 0 }
        let key = Self.key(value) &- firstKey
        guard key < keys else { return count }
        var index = Int(table[key])
        while value > bounds[index] { index &+= 1 }
        return index
    }
}
