// A distribution of values over all processes of a pool.

/// Counts values by their size in any process of a pool. `/metrics` has the sums over all of them, the dead included.
///
/// ```swift
/// let time = try SharedHistogram("shop_query_seconds", .seconds, help: "Time of database queries")
/// time.observe(0.013)
/// ```
///
/// Where and when it can be made, and how long its counts last: as `SharedCounter`.
public struct SharedHistogram: Sendable {
    private let cell: MetricCell
    private let index: BucketIndex

    /// - Parameters:
    ///   - name: as that of `SharedCounter`, without an ending.
    ///   - buckets: the upper bounds, which all histograms of this name share.
    ///   - help: as that of `SharedCounter`.
    ///   - labels: likewise. `le` is not allowed.
    /// - Throws: `MetricError`.
    public init(
        _ name: String, _ buckets: HistogramBuckets = .seconds, help: String = "", labels: [String: String] = [:]
    ) throws(MetricError) {
        try self.init(MetricDescription(.histogram(buckets), name, help: help, labels: labels), buckets)
    }

    /// One of the pool's own.
    package init(own name: String, _ buckets: HistogramBuckets, help: String) throws(MetricError) {
        try self.init(MetricDescription(.histogram(buckets), name, help: help, labels: [:], isOwn: true), buckets)
    }

    private init(_ description: MetricDescription, _ buckets: HistogramBuckets) throws(MetricError) {
        guard let index = BucketIndex.of(buckets) else { throw MetricError(.badBuckets("\(buckets)")) }
        self.index = index
        cell = try MetricRegistry.cell(of: description)
    }

    /// Counts a value. On any thread, but not in a signal handler.
    ///
    /// - Parameter value: in the histogram's unit. What is no number is not counted.
    @inline(__always)
    public func observe(_ value: Double) {
        guard value == value else { return }
        cell.count(1, in: 1 + index.index(of: value))
        cell.add(value, to: 0)
    }

    /// Counts a value, and leaves an example for scrapers that ask for OpenMetrics: the last one of each bucket is shown.
    /// For a sample of the values: it takes a lock and reads the clock.
    ///
    /// - Parameters:
    ///   - value: in the histogram's unit. What is no number is not counted.
    ///   - exemplar: as of `SharedCounter.increment(by:exemplar:)`.
    public func observe(_ value: Double, exemplar: [String: String]) {
        guard value == value else { return }
        observe(value)
        MetricExemplars.write(exemplar, value: value, word: cell.firstWord, bucket: index.index(of: value))
    }

    /// Counts a duration, in a histogram of seconds.
    ///
    /// - Parameter duration: how long something took.
    public func observe(seconds duration: Duration) {
        // Not `components`, which trap beyond the seconds of an Int64. Nanoseconds reach 292 years.
        observe(Double(duration.saturatedNanoseconds) / 1e9)
    }

    /// How many values this process has counted so far, without its siblings.
    public var ownCount: UInt64 { (0...index.count).reduce(0) { $0 &+ cell.load(1 + $1) } }
}
