// A counter that all processes of a pool share.

/// Counts events in any process of a pool. `/metrics` has the sum over all of them, the dead included.
///
/// ```swift
/// let orders = try SharedCounter("shop_orders_total", help: "Orders taken", labels: ["country": "de"])
/// orders.increment()
/// ```
///
/// It can be made before the fork or in a worker, in a managed process, or in a program without a pool. The same name and
/// labels are the same counter. Each process counts in memory of its own, so that an increment is one addition without a
/// lock. The supervisor reads the memory without asking the process, and adds what a dead process has counted to the sum
/// exactly once. The sum survives reloads, upgrades and rollbacks. The manual's page "Metrics" has more.
///
/// A process that the program itself forks, beside the pool, must not count: nothing adds up its share.
public struct SharedCounter: Sendable {
    private let cell: MetricCell

    /// - Parameters:
    ///   - name: as `shop_orders_total`: letters, digits, underscores and colons, at most 200 bytes. If it does not end
    ///     in `_total`, that is appended.
    ///   - help: one sentence for `# HELP`, at most 1,024 bytes.
    ///   - labels: names and values, at most 16, at most 1,024 bytes in all. Counters of one name have the same label
    ///     names.
    /// - Throws: `MetricError`. A series beyond the limit of 10,000 samples is no error: see the page "Metrics".
    public init(_ name: String, help: String = "", labels: [String: String] = [:]) throws(MetricError) {
        cell = try MetricRegistry.cell(of: MetricDescription(.counter, name, help: help, labels: labels))
    }

    /// One of the pool's own.
    package init(own name: String, help: String, labels: [String: String] = [:]) throws(MetricError) {
        cell = try MetricRegistry.cell(of: MetricDescription(.counter, name, help: help, labels: labels, isOwn: true))
    }

    /// Counts. On any thread, but not in a signal handler.
    ///
    /// - Parameter amount: how many events. Zero and less count nothing.
    @inline(__always)
    public func increment(by amount: Int = 1) {
        guard amount > 0 else { return }
        cell.count(UInt64(truncatingIfNeeded: amount))
    }

    /// Counts, and leaves an example for scrapers that ask for OpenMetrics: the last one of each series is shown. For a
    /// sample of the events: it takes a lock and reads the clock.
    ///
    /// - Parameters:
    ///   - amount: how many events. Zero and less count nothing.
    ///   - exemplar: labels as `["trace_id": "4bf92f35"]`, at most 128 characters in all. What is longer, or has names
    ///     that are none, is left out.
    public func increment(by amount: Int = 1, exemplar: [String: String]) {
        guard amount > 0 else { return }
        increment(by: amount)
        MetricExemplars.write(exemplar, value: Double(amount), word: cell.firstWord, bucket: 0)
    }

    /// What this process has counted so far, without its siblings.
    public var ownValue: UInt64 { cell.load() }
}
