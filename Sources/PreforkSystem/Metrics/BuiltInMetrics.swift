// What every worker counts by itself.

/// The pool's own series that children count. The supervisor makes them before its first fork, since names that begin
/// with `prefork_` are not for children to make.
package enum BuiltInMetrics {
    /// From 1 ms to 16 s, each bound twice the one before. The kernel's tick, of 1 to 10 ms, is the clock of these
    /// histograms, for a quarter of the price of the exact time: what is shorter is zero or one tick.
    private static let buckets = HistogramBuckets.exponential(from: 0.001, factor: 2, count: 15)

    /// From the end of a wait for events to the next wait: by so much is whatever becomes ready meanwhile late.
    package static let loopTurns = histogram(
        "prefork_event_loop_turn_seconds",
        "Time that a turn of a worker's event loop took, by which what became ready meanwhile was late")
    /// From the send to the receive.
    package static let queueTime = histogram(
        "prefork_queue_wait_seconds", "Time that messages of work queues waited, from send to receive")

    /// How moves of open connections came out, by `outcome`.
    private static let moves: [String: SharedCounter] = Dictionary(
        uniqueKeysWithValues: moveOutcomes.compactMap { outcome in
            let counter = try? SharedCounter(
                own: "prefork_connection_moves_total",
                help: "Open connections that moved from a worker to another one, or did not for this reason",
                labels: ["outcome": outcome])
            return counter.map { (outcome, $0) }
        })
    /// `moved`, and the reasons of a connection that stays, by the names of `HandoverRefusal`.
    package static let moveOutcomes = [
        "moved", "malformed", "noDescriptor", "noServer", "full", "draining", "version", "state", "late", "tooLarge",
        "gone", "failed", "immovable",
    ]

    /// - Parameter outcome: one of `moveOutcomes`. Others count nothing.
    package static func countMoves(_ outcome: String, _ count: Int = 1) { moves[outcome]?.increment(by: count) }

    private static func histogram(_ name: String, _ help: String) -> SharedHistogram? {
        try? SharedHistogram(own: name, buckets, help: help)
    }

    /// Makes all of them. Called again, it does nothing.
    package static func make() {
        _ = loopTurns
        _ = queueTime
        _ = moves
    }
}
