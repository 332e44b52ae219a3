// The figures of a queue.

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
