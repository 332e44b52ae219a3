// Sleeping until a store has news, and waking the sleepers.

import PreforkSystem
import Synchronization

/// What a process that is about to sleep announces to the store.
package struct SleepWish: Sendable {
    let bit: UInt64
    /// The stripe whose writers may not see it. If nil, they all do.
    let stripe: Int?
}

/// Watchers of keys and subscribers of channels wait for one bell that all processes share. Each says by a bit of
/// the word `sleepers` what it waits for. A writer that changes something whose bit is set clears the word and rings
/// once. The ring wakes all sleepers, and those that it does not concern go back to sleep.
///
/// Subscribers are not registered. A killed subscriber leaves its bit set, which costs the next publisher one extra
/// write. Without sleepers, publishing makes no system call.
///
/// A writer must not miss a sleeper that has missed the writer's change. There are two ways:
///
/// - The writer changes, passes a full barrier (the exchange that gives back its lock) and reads the word. The sleeper
///   sets its bit, passes a full barrier, too, and checks for news. One of the two sees the other.
/// - `quickReplace` has only the barrier of the exchange that takes its lock, so it reads the word there, before its
///   change. A sleeper that this read has missed set its bit after it. It then finds the lock held, or given back
///   together with the change. While the lock is held it sleeps for `SleepWish.doubtfulSleep` only.
extension StoreTable {
    /// What the watchers of a key wait for.
    package func sleepWish(forKey key: [UInt8]) -> SleepWish {
        let hash = key.withUnsafeBytes { self.hash($0) }
        return SleepWish(bit: hash.sleeperBit, stripe: hash.stripe(of: layout.stripes))
    }

    /// Announces that this process is about to wait. The caller checks once more for news afterwards, then sleeps.
    ///
    /// - Returns: whether each later change rings the bell. Else a writer is at work that may not: the caller sleeps no
    ///   longer than `SleepWish.doubtfulSleep`.
    package func prepareToSleep(_ wish: SleepWish) -> Bool {
        memory.word(Header.sleepers).pointee.bitwiseOr(wish.bit, ordering: .sequentiallyConsistent)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard let stripe = wish.stripe else { return true }
        // A lock is held for tenths of a microsecond.
        let lock = memory.word(stripeOffset(stripe))
        for _ in 0..<64 where lock.pointee.load(ordering: .acquiring) != 0 { LockPatience.pause() }
        return lock.pointee.load(ordering: .acquiring) == 0
    }

    /// Whether a watcher of the key may sleep. After the stripe's lock was taken, and before the change.
    @inline(__always)
    func mayHaveSleepers(_ hash: KeyHash) -> Bool {
        // On x86 the exchange that takes the lock is a full barrier between it and this read. On other processors it is
        // not.
        #if !arch(x86_64)
            atomicMemoryFence(ordering: .sequentiallyConsistent)
        #endif
        return memory[Header.sleepers] & hash.sleeperBit != 0
    }

    /// Wakes the watchers of a key. After its change was published and the stripe's lock given back by `unlock`.
    @inline(__always)
    func wakeWatchers(_ hash: KeyHash) {
        // On x86 the unlocking exchange is a full barrier between the change and this read. On other processors it is
        // not.
        #if !arch(x86_64)
            atomicMemoryFence(ordering: .sequentiallyConsistent)
        #endif
        if memory[Header.sleepers] & hash.sleeperBit != 0 { wakeAllSleepers() }
    }

    package func wakeAllSleepers() {
        memory.word(Header.sleepers).pointee.store(0, ordering: .sequentiallyConsistent)
        bell.ring()
    }
}

extension SleepWish {
    /// How long a sleeper sleeps at most while a writer may not have seen it: longer than a writer needs, unless that
    /// one is stopped, was killed or waits for a processor.
    package static let doubtfulSleep = Duration.milliseconds(2)
}
