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

    private static func histogram(_ name: String, _ help: String) -> SharedHistogram? {
        try? SharedHistogram(own: name, buckets, help: help)
    }

    /// Makes all of them. Called again, it does nothing.
    package static func make() {
        _ = loopTurns
        _ = queueTime
    }
}
