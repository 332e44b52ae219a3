// The senders of a process that wait for room in a lane, first come first.

import PreforkStore
import PreforkSystem
import Synchronization

extension SendingLane {
    func joinQueue(_ ticket: UInt64) {
        state.withLock { state in
            // A parent's senders do not wait here.
            if state.queueOwner != ForkCount.current { state.queue = [] }
            state.queueOwner = ForkCount.current
            state.queue.append(ticket)
        }
    }

    /// - Returns: whether another sender is first now and should check.
    func leaveQueue(_ ticket: UInt64) -> Bool {
        state.withLock { state in
            state.queue.removeAll { $0 == ticket }
            return !state.queue.isEmpty
        }
    }

    /// Whether the sender with that ticket must wait. Sets the flag that makes the other end ring when it takes
    /// something.
    func mustWait(_ record: OutgoingRecord, ticket: UInt64) -> Bool {
        let isFirst = state.withLock { $0.queue.first == ticket }
        guard isFirst else { return true }
        let beside = record.file != nil || !record.descriptors.isEmpty
        let needed = record.bytes.count + (beside ? OutOfBandReference.byteCount : 0)
        guard ring.producerFallsAsleep(needing: needed) else {
            // There is room in the ring, so it is the socket that is full: it has packets that wait for their records'
            // turn, each of which makes the other end ring.
            return beside && !ring.isEmpty
        }
        return true
    }
}
