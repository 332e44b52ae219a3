// Events of the other end, and the waiters that they wake.

import PreforkSystem
import Synchronization

extension ChannelEnd {
    /// The other end as a wait for room sees it.
    ///
    /// - Returns: whether a process is there. If not, one comes: the first one, or the dead one's successor.
    /// - Throws: `.corrupt`, `.closed`. `.peerDied`: there is no process to wait for. `.peerStopping`: the peer makes
    ///   no room.
    @discardableResult
    func checkPeerCanTake() throws(ChannelError) -> Bool {
        try checkPeerIsUsable()
        let generation = memory.generation(of: side.other)
        if isDead(generation) {
            guard isFollowed(.now) else { throw error(.peerDied(generation: generation)) }
            return false
        }
        if memory.isStopping(side.other) { throw error(.peerStopping(generation: generation)) }
        return generation > 0
    }

    /// The other end as one sees it that waits to give an answer: the successor of a dead caller has no use for it.
    ///
    /// - Throws: `.corrupt`, `.closed`, `.peerDied`.
    func checkPeerListens() throws(ChannelError) {
        try checkPeerIsUsable()
        let generation = memory.generation(of: side.other)
        if isDead(generation), !memory.hasLivingClaimant(of: side.other) {
            throw error(.peerDied(generation: generation))
        }
    }

    /// - Throws: `.corrupt`, `.closed`.
    func checkPeerIsUsable() throws(ChannelError) {
        if memory.isCorrupt { throw error(.corrupt("found before")) }
        if memory.isClosed(side.other) { throw error(.closed) }
    }

    /// Whether this process knows that the one of that generation at the other end is dead.
    func isDead(_ generation: UInt64) -> Bool {
        generation > 0 && deadGeneration.load(ordering: .acquiring) >= generation
    }

    /// Since when a successor of the dead process at the other end must have been promised.
    enum Promise {
        /// Now: for what is in no ring, or stays in the ring for any process that comes.
        case now
        /// For as long as the process was there: for calls in the ring, which another successor would pass over.
        case always
    }

    /// Whether a process will come in place of the dead one at the other end, or is about to take its place.
    func isFollowed(_ promise: Promise) -> Bool {
        if memory.hasLivingClaimant(of: side.other) { return true }
        let slot = memory.record(of: side.other).slot
        return promise == .always
            ? memory.isFollowed(slot) : SlotPromises.hold(for: slot.identity, spawn: .max)
    }

    /// Whether senders and callers wait for a process in place of a dead one: no ring tells that none will come.
    var mayWaitInVain: Bool { isDead(memory.generation(of: side.other)) && waiters.hasSenders }

    /// Wakes those if no process will come.
    func checkForSuccessor() {
        if mayWaitInVain, !isFollowed(.always) { waiters.wakeAll(andCalls: true) }
    }

    /// Runs on any thread, once or more for each death.
    func peerEnded(_ generation: UInt64) {
        // One that has left its end to a successor is no loss.
        if memory.succeededGenerations(of: side.other).contains(generation) { return }
        var known = deadGeneration.load(ordering: .relaxed)
        while known < generation {
            let (isDone, seen) = deadGeneration.weakCompareExchange(
                expected: known, desired: generation, ordering: .acquiringAndReleasing)
            if isDone { break }
            known = seen
        }
        wakeLocally()
    }

    /// Something has happened in this process that its waiters must check.
    func wakeLocally() {
        waiters.wakeAll(andCalls: true)
        // A thread that waits without a loop has only its bell, and so do observers on their loops.
        memory.ringBell(of: side)
    }

    /// The other end has rung: messages, replies, room, or a process that came or left.
    func bellRang() {
        settleSuccession()
        drainReplies()
        let generation = memory.generation(of: side.other)
        // A process that has closed the end may have a successor by now, so that the end is open again. Calls must
        // learn of either. A call without a callee watches the first process that comes.
        let isNew = seenGeneration.exchange(generation, ordering: .acquiringAndReleasing) != generation
        if isNew || memory.isCorrupt || memory.isClosed(side.other) || memory.isStopping(side.other) {
            waiters.wakeAll(andCalls: true)
        } else {
            waiters.wakeAll()
        }
    }

    /// Closes the channel for good: what is in its memory comes from no process of this package.
    func corrupt(_ what: String) -> ChannelError {
        memory.markCorrupt()
        waiters.wakeAll(andCalls: true)
        return error(.corrupt(what))
    }
}
