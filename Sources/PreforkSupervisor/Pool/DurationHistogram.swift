// Durations, counted by ranges.

/// Durations by ranges, as Prometheus wants them: how many were at most so long.
package struct DurationHistogram: Equatable, Sendable {
    /// Upper bounds of the ranges, in seconds, from a worker's boot without a preload to one that loads a model.
    package static let bounds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// How many durations fell into each range. The last range has no upper bound.
    package internal(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    /// All of them added up.
    package internal(set) var sum: Duration = .zero

    /// A histogram that has counted nothing.
    package init() {}

    /// Counts one duration. A negative one counts as zero.
    package mutating func add(_ duration: Duration) {
        let duration = max(duration, .zero)
        let index = Self.bounds.firstIndex { duration <= .seconds($0) } ?? Self.bounds.count
        counts[index] &+= 1
        // A sum beyond 292 years would no longer be exact in seconds. It stays at its last value.
        if sum < .seconds(1 << 40) { sum += min(duration, .seconds(1 << 32)) }
    }
}
