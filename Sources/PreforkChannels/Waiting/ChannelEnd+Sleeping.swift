// A thread that waits for messages on the ring itself.

import PreforkSystem
import Synchronization

extension ChannelEnd {
    /// So many waits on the ring come before one at the bell, which costs no look every 10 ms.
    private static let waitsOnRing = 5

    /// The leader's sleep, if no task of a loop listens at this end: a message then costs one system call on each side.
    /// What else a leader waits for, it checks after each `FutexWord.longestWait`: the other process's death, the end of
    /// the wait, and wakings within this process.
    ///
    /// - Parameter peer: the other end's process.
    /// - Returns: nil if nothing has happened: the caller goes on sleeping at its bell. False when the time is over.
    func sleepOnRing(since epoch: UInt64, until deadline: MonotonicInstant?, _ peer: ThreadPidfd?) -> Bool? {
        guard !isClaiming, wiring.withLock({ $0.bellWatches.isEmpty }) else { return nil }
        let ring = memory.ring(.messages, from: side.other)
        guard ring.consumerSleepsOnWord() else { return true }
        for _ in 0..<Self.waitsOnRing {
            let left = deadline.map { $0 - .now } ?? FutexWord.longestWait
            if left <= .zero { return ring.consumerSleepsAtBell() ? false : true }
            FutexWord.wait(ring.asleep, while: ConsumerSleep.onWord, atMost: left)
            if ring.asleep.pointee.load(ordering: .sequentiallyConsistent) != ConsumerSleep.onWord {
                // Not a message: a process came or left.
                if ring.isEmpty { bellRang() }
                return true
            }
            if waiters.epoch != epoch {
                _ = ring.consumerSleepsAtBell()
                return true
            }
            if let peer, (try? Polling.waitUntilReadable([peer.descriptor.number], until: .now)) == true { break }
        }
        return ring.consumerSleepsAtBell() ? nil : true
    }
}
