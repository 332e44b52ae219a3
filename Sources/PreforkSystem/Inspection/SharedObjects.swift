// The stores, queues and channels of a service, as operators see them.

/// What the processes of a service share: one row for each object that the supervisor's process has made.
///
/// The figures come out of memory that workers write, so that any of them may be wrong, and none does more than be
/// shown. The names and limits are the supervisor's own.
package struct SharedObjects: Equatable, Sendable {
    package var stores: [Store] = []
    package var queues: [Queue] = []
    package var channels: [Channel] = []

    package init() {}

    package struct Store: Equatable, Sendable {
        package var name: String
        package var entries = 0
        package var entryLimit = 0
        package var bytes = 0
        package var byteLimit = 0
        package var evictions = 0
        package var expirations = 0
        package var refusals = 0
        package var recoveries = 0
        package var damages = 0

        package init(name: String) { self.name = name }
    }

    package struct Queue: Equatable, Sendable {
        package var name: String
        /// Messages that wait for a receiver.
        package var ready = 0
        /// Messages that a receiver has in hand.
        package var inFlight = 0
        package var deadLetters = 0
        package var usedBytes = 0
        package var capacity = 0
        package var sent = 0
        package var delivered = 0
        package var redelivered = 0
        package var acknowledged = 0
        /// Messages that have become dead letters so far.
        package var died = 0
        package var dropped = 0
        package var reclaimed = 0
        package var recoveries = 0
        package var damages = 0

        package init(name: String) { self.name = name }
    }

    package struct Channel: Equatable, Sendable {
        package var name: String
        package var isCorrupt = false
        /// The end of the process that has made it, then the other one.
        package var ends: [End] = []

        package init(name: String) { self.name = name }

        package struct End: Equatable, Sendable {
            /// `creator` or `peer`.
            package var name: String
            /// Nil before the first process.
            package var pid: Int32?
            /// How many processes have been at this end.
            package var generation: UInt64
            package var isClosed: Bool
            /// Messages sent from this end.
            package var sent: UInt64
            /// Of those, messages that the other end has not taken yet, and the bytes of the ring that they fill.
            package var waiting: Int
            package var waitingBytes: Int

            package init(
                name: String, pid: Int32?, generation: UInt64, isClosed: Bool, sent: UInt64, waiting: Int, waitingBytes: Int
            ) {
                self.name = name
                self.pid = pid
                self.generation = generation
                self.isClosed = isClosed
                self.sent = sent
                self.waiting = waiting
                self.waitingBytes = waitingBytes
            }
        }
    }
}
