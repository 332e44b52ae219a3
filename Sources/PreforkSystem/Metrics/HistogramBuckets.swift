// The buckets of a shared histogram.

/// Buckets whose upper bounds grow by a factor, and above the last of them one without a bound.
public struct HistogramBuckets: Hashable, Sendable {
    /// The upper bound of the lowest bucket, which a value in it may equal. In the histogram's own unit, above zero.
    public let start: Double
    /// What each bound is multiplied by for the next one. Above 1.
    public let factor: Double
    /// How many buckets have a bound: 1...64.
    public let count: Int

    /// Bounds `start`, `start × factor`, `start × factor²` and so on.
    ///
    /// Values that make no sense are refused when a histogram is made of them (`MetricError.Code.badBuckets`).
    ///
    /// - Parameters:
    ///   - start: the upper bound of the lowest bucket, above zero.
    ///   - factor: above 1.
    ///   - count: the number of buckets with a bound, 1...64.
    public static func exponential(from start: Double, factor: Double, count: Int) -> HistogramBuckets {
        HistogramBuckets(start: start, factor: factor, count: count)
    }

    /// For durations in seconds: twenty bounds from 100 µs to 52 s, each twice the one before.
    public static let seconds = exponential(from: 0.000_1, factor: 2, count: 20)

    package static let mostBounds = 64

    /// If nil, the bounds do not grow, or leave what a `Double` can hold.
    package var bounds: [Double]? {
        guard (1...Self.mostBounds).contains(count), start > 0, start >= .leastNormalMagnitude, factor > 1 else {
            return nil
        }
        var bounds = [start]
        while bounds.count < count {
            let next = bounds[bounds.count - 1] * factor
            guard next.isFinite, next > bounds[bounds.count - 1] else { return nil }
            bounds.append(next)
        }
        return bounds
    }
}
