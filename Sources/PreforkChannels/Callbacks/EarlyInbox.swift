// Messages that a sender takes out of the ring, so that two ends that send to each other do not deadlock.

import PreforkStore
import PreforkSystem
import Synchronization

/// Messages that were taken before their turn.
///
/// When the callbacks of both ends send more than the rings hold, each waits for room that only the other's next
/// callback would make (swoole-src #730, zeek #3396). So a send that waits at an end in passive mode takes what arrives
/// meanwhile, in order, up to a bound. If the process dies, these messages are gone with it.
struct EarlyInbox: Sendable {
    private var records: [(header: ByteRingHeader, value: CarriedValue?)] = []
    /// Those in front of it are handed out: to move all others up for each would take too long.
    private var first = 0
    private var byteCount = 0
    private var process = ForkCount.current

    /// Forgets what a parent has left here.
    mutating func adopt() {
        if process != ForkCount.current { self = EarlyInbox() }
    }

    func hasRoom(limit: Int) -> Bool { byteCount <= limit }

    mutating func append(_ record: (header: ByteRingHeader, value: CarriedValue?)) {
        byteCount += ByteRingHeader.byteCount + (record.value?.value.bytes.count ?? 0)
        records.append(record)
    }

    mutating func popFirst() -> (ByteRingHeader, CarriedValue?)? {
        if first == records.count { return nil }
        let record = records[first]
        records[first].value = nil
        first += 1
        if first * 2 >= records.count {
            records.removeFirst(first)
            first = 0
        }
        byteCount -= ByteRingHeader.byteCount + (record.value?.value.bytes.count ?? 0)
        return record
    }
}

extension ChannelEnd {
    /// The next message or call for the callbacks.
    func takePassive() throws(ChannelError) -> (ByteRingHeader, CarriedValue?)? {
        try inbox.withLock { inbox throws(ChannelError) -> (ByteRingHeader, CarriedValue?)? in
            inbox.adopt()
            if let early = inbox.popFirst() { return early }
            return try takeCopy(.anything)
        }
    }

    /// The next one that was taken early.
    func takeSpilled() -> (ByteRingHeader, CarriedValue?)? { inbox.withLock { $0.popFirst() } }

    /// Takes one message early, for a send that has to wait.
    ///
    /// - Returns: false if there is no message, the end is not in passive mode, or the bound is reached.
    func spill() -> Bool {
        guard isPassive else { return false }
        let hasSpilled = inbox.withLock { inbox in
            inbox.adopt()
            // The receiver gets an error in its turn.
            guard inbox.hasRoom(limit: spillLimit), let record = try? takeCopy(.anything) else { return false }
            inbox.append(record)
            return true
        }
        // The server may have looked here before, and be about to sleep beside a ring that is empty now.
        if hasSpilled { waiters.wakeAll() }
        return hasSpilled
    }

    /// Whether there is something to spill, after the flag is set that makes the other end ring for it.
    func canSpill() -> Bool {
        guard isPassive, inbox.withLock({ $0.hasRoom(limit: spillLimit) }) else { return false }
        return !mustWaitToReceive(.anything)
    }

    private var isPassive: Bool { receiving.withLock { $0.process == ForkCount.current && $0.mode == .passive } }

    private var spillLimit: Int { memory.options.messageLimit }
}
