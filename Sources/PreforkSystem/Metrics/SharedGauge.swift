// A value that goes up and down, of all processes of a pool.

/// The present value of something in every process of a pool. `/metrics` has one value for all that live.
///
/// ```swift
/// let sessions = try SharedGauge("shop_sessions", .sum, help: "Open sessions")
/// sessions.add(1)
/// ```
///
/// A process that has never set or changed it takes no part, and a dead process takes none any more. Where and when it
/// can be made: as `SharedCounter`.
public struct SharedGauge: Sendable {
    /// How the values of the living processes become what `/metrics` shows.
    public enum Aggregation: Hashable, Sendable {
        /// Their sum.
        case sum
        /// The greatest of them.
        case max
        /// The one that was set last.
        case last
        /// Each of them, with a label `process`: `worker 0`, or the name of a managed process.
        case live
    }

    private let cell: MetricCell
    private let aggregation: Aggregation

    /// - Parameters:
    ///   - name: as that of `SharedCounter`, without an ending.
    ///   - aggregation: how the values of several processes become one.
    ///   - help: as that of `SharedCounter`.
    ///   - labels: likewise.
    /// - Throws: `MetricError`.
    public init(
        _ name: String, _ aggregation: Aggregation, help: String = "", labels: [String: String] = [:]
    ) throws(MetricError) {
        cell = try MetricRegistry.cell(
            of: MetricDescription(.gauge(aggregation), name, help: help, labels: labels))
        self.aggregation = aggregation
    }

    /// Sets this process's value. On any thread.
    ///
    /// - Parameter value: what is no number shows as `NaN`.
    public func set(_ value: Double) {
        cell.store(value.bitPattern)
        stamp()
    }

    /// Adds to this process's value, which begins at zero. On any thread.
    ///
    /// - Parameter amount: below zero it subtracts.
    public func add(_ amount: Double) {
        cell.add(amount)
        stamp()
    }

    /// The clock is read where its time decides.
    @inline(__always)
    private func stamp() {
        cell.store(aggregation == .last ? UInt64(clamping: max(1, MonotonicInstant.now.nanoseconds)) : 1, to: 1)
    }
}
