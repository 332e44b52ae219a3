// The figures of a queue.

package import PreforkSystem

/// A picture without the lock: each number is right, not all of one moment.
package struct QueueCounters: Hashable, Sendable {
    package let ready: Int
    package let inFlight: Int
    package let deadLetters: Int
    package let freeCells: Int
    package let cells: Int
    package let sent: Int
    package let delivered: Int
    package let redelivered: Int
    package let acknowledged: Int
    package let died: Int
    package let dropped: Int
    package let reclaimed: Int
    package let recoveries: Int
    package let damages: Int
}

extension QueueTable {
    /// The queue as operators see it.
    package func row(_ name: String) -> SharedObjects.Queue {
        let counters = counters
        var row = SharedObjects.Queue(name: name)
        row.ready = counters.ready
        row.inFlight = counters.inFlight
        row.deadLetters = counters.deadLetters
        // A word of shared memory may say that more is free than there is.
        let free = min(max(0, counters.freeCells), counters.cells)
        row.usedBytes = (counters.cells - free) * Self.cellByteCount
        row.capacity = counters.cells * Self.cellByteCount
        row.sent = counters.sent
        row.delivered = counters.delivered
        row.redelivered = counters.redelivered
        row.acknowledged = counters.acknowledged
        row.died = counters.died
        row.dropped = counters.dropped
        row.reclaimed = counters.reclaimed
        row.recoveries = counters.recoveries
        row.damages = counters.damages
        return row
    }

    package var counters: QueueCounters {
        func number(_ word: QueueHeader) -> Int { Int(truncatingIfNeeded: self[word]) }
        return QueueCounters(
            ready: number(.readyCount), inFlight: number(.inFlight), deadLetters: number(.deadCount),
            freeCells: number(.freeCount), cells: Int(cellCount), sent: number(.sent), delivered: number(.delivered),
            redelivered: number(.redelivered), acknowledged: number(.acknowledged), died: number(.died),
            dropped: number(.dropped), reclaimed: number(.reclaimed), recoveries: number(.recoveries),
            damages: number(.damages))
    }
}
