// Events of the other end, and the waiters that they wake.

import PreforkSystem
import Synchronization

extension ChannelEnd {
    /// The other end as a wait for room sees it.
    ///
    /// - Throws: `.corrupt`, `.closed`. `.peerDied`: there is no process to wait for. `.peerStopping`: the peer makes
    ///   no room.
    func checkPeerCanTake() throws(ChannelError) {
        try checkPeerLives()
        if memory.isStopping(side.other) { throw error(.peerStopping(generation: memory.generation(of: side.other))) }
    }

    /// The other end as one sees it that waits for an answer, or to give one.
    ///
    /// - Throws: `.corrupt`, `.closed`, `.peerDied`.
    func checkPeerLives() throws(ChannelError) {
        if memory.isCorrupt { throw error(.corrupt("found before")) }
        if memory.isClosed(side.other) { throw error(.closed) }
        let generation = memory.generation(of: side.other)
        if generation > 0, deadGeneration.load(ordering: .acquiring) >= generation,
            !memory.hasLivingClaimant(of: side.other)
        {
            throw error(.peerDied(generation: generation))
        }
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
