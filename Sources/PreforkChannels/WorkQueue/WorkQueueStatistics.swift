// Counters of a work queue.

import PreforkStore

/// Counters of a `WorkQueue`, for all processes together. The snapshot is taken without a lock: each number is right,
/// but they are not all of one moment. A process that is killed may leave a count one short.
public struct WorkQueueStatistics: Hashable, Sendable {
    /// Messages that went in.
    public let sent: Int
    /// Deliveries, repeated ones included.
    public let delivered: Int
    /// Deliveries of messages that had been delivered before.
    public let redelivered: Int
    /// Deliveries that their receiver acknowledged.
    public let acknowledged: Int
    /// Messages that became dead letters.
    public let dead: Int
    /// Dead letters that were dropped because no process took them.
    public let dropped: Int
    /// Messages taken back from dead processes, to be delivered again.
    public let reclaimed: Int
    /// How often the queue was put in order after a process had died inside one of its steps.
    public let recoveries: Int
    /// Messages that were given up because another process had written over them in the shared memory.
    public let damages: Int
    /// Messages that wait for a receiver, are with one, or wait to be taken as dead letters.
    public let ready: Int
    /// Messages that a receiver has and has not settled yet.
    public let inFlight: Int
    /// Dead letters that wait to be taken.
    public let deadLetters: Int
    /// Bytes of free cells, of `capacity`.
    public let free: Int
    /// Room for messages, in bytes. See `WorkQueueOptions.capacity`.
    public let capacity: Int

    init(_ counters: QueueCounters) {
        sent = counters.sent
        delivered = counters.delivered
        redelivered = counters.redelivered
        acknowledged = counters.acknowledged
        dead = counters.died
        dropped = counters.dropped
        reclaimed = counters.reclaimed
        recoveries = counters.recoveries
        damages = counters.damages
        ready = counters.ready
        inFlight = counters.inFlight
        deadLetters = counters.deadLetters
        free = counters.freeCells &* QueueTable.cellByteCount
        capacity = counters.cells &* QueueTable.cellByteCount
    }
}
