// Sleeping until a store has news, and waking the sleepers.

package import PreforkSystem
import Synchronization

/// What a process that is about to sleep announces to the store.
package struct SleepWish: Sendable {
    let bit: UInt64
    /// The stripe whose writers may not see it. If nil, they all do.
    let stripe: Int?
}

/// Watchers of keys and subscribers of channels say by a bit of the word `sleepers` what they wait for. A writer that
/// changes something whose bit is set clears the word and wakes all sleepers. Those that it does not concern go back to
/// sleep. Without sleepers, writing and publishing make no system call.
///
/// A child of a supervisor sleeps at its place of `ProcessBells`, and says which one in the word `places`. A writer moves
/// that word's bits to `pending` and rings for two of them. A process that wakes rings for two more (`passOn`), so that
/// the writer's cost does not grow with the number of sleepers. `pending` belongs to no process: it is enough that one of
/// those that were woken lives. If all of them are killed or stopped, or one is killed between taking a bit and ringing,
/// the others look by themselves after `Bell.longestSleep`, and the first one that does rings for the rest.
///
/// Processes without a place (the supervisor, programs that were started by exec, small pools) sleep at the store's own
/// bell and say so in `unplaced`. All sleepers hear that bell, also those with a place: a writer that has other bells
/// than the sleepers, or none, rings it. The word `bells` says whose places the bits are. Of two supervisors that share
/// a store, such as the two programs of an upgrade, each one takes that word over when it has woken all sleepers.
///
/// No sleeper is registered by its process. A killed one leaves its bits set, which costs the next writer a ring.
///
/// A writer must not miss a sleeper that has missed the writer's change. There are two ways:
///
/// - The writer changes, passes a full barrier (the exchange that gives back its lock) and reads the word. The sleeper
///   sets its bit, passes a full barrier, too, and checks for news. One of the two sees the other.
/// - `quickReplace` has only the barrier of the exchange that takes its lock, so it reads the word there, before its
///   change. A sleeper that this read has missed set its bit after it. It then finds the lock held, or given back
///   together with the change. While the lock is held it sleeps for `SleepWish.doubtfulSleep` only.
///
/// A sleeper announces where it sleeps before what it waits for. A writer that clears the first before it reads the
/// second has rung: the sleeper wakes at once, and announces both again.
extension StoreTable {
    /// What the watchers of a key wait for.
    package func sleepWish(forKey key: [UInt8]) -> SleepWish {
        let hash = key.withUnsafeBytes { self.hash($0) }
        return SleepWish(bit: hash.sleeperBit, stripe: hash.stripe(of: layout.stripes))
    }

    /// Announces that this process is about to wait. The caller checks once more for news afterwards, then sleeps.
    ///
    /// - Parameter place: where it sleeps. If nil, at `bell`, which it hears in any case.
    /// - Returns: whether each later change rings the bell. Else a writer is at work that may not: the caller sleeps no
    ///   longer than `SleepWish.doubtfulSleep`.
    package func prepareToSleep(_ wish: SleepWish, at place: ProcessBells.Place? = nil) -> Bool {
        announce(place)
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

    private func announce(_ place: ProcessBells.Place?) {
        if let place {
            let bells = memory.word(Header.bells)
            _ = bells.pointee.compareExchange(
                expected: 0, desired: place.bells, ordering: .sequentiallyConsistent)
            if bells.pointee.load(ordering: .sequentiallyConsistent) == place.bells {
                memory.word(Header.places).pointee.bitwiseOr(place.bit, ordering: .sequentiallyConsistent)
                // A writer that has taken the word over meanwhile may have missed the bit.
                if bells.pointee.load(ordering: .sequentiallyConsistent) == place.bells { return }
            }
        }
        memory.word(Header.unplaced).pointee.store(1, ordering: .sequentiallyConsistent)
    }

    /// Wakes all sleepers, or has them woken: this process rings twice at most.
    package func wakeAllSleepers() {
        memory.word(Header.sleepers).pointee.store(0, ordering: .sequentiallyConsistent)
        let hasUnplaced = memory.word(Header.unplaced).pointee.exchange(0, ordering: .sequentiallyConsistent) != 0
        guard !hasUnplaced, let bells = ownBells else { return ringForAll() }
        let places = memory.word(Header.places).pointee.exchange(0, ordering: .sequentiallyConsistent) & bells.places
        if places == 0 { return }
        memory.word(Header.pending).pointee.bitwiseOr(places, ordering: .sequentiallyConsistent)
        ringForTwo(bells)
    }

    /// This process's bells, if the places of sleepers are theirs.
    private var ownBells: ProcessBells? {
        guard let bells = ProcessBells.current,
            memory.word(Header.bells).pointee.load(ordering: .sequentiallyConsistent) == bells.identity
        else { return nil }
        return bells
    }

    @inline(never)
    private func ringForAll() {
        if let bells = ProcessBells.current {
            memory.word(Header.bells).pointee.store(bells.identity, ordering: .sequentiallyConsistent)
        }
        memory.word(Header.pending).pointee.store(0, ordering: .sequentiallyConsistent)
        memory.word(Header.places).pointee.store(0, ordering: .sequentiallyConsistent)
        bell.ring()
    }

    /// Rings for two of those that the last writer has left to the woken. For a process that has just woken, for whatever
    /// reason, or is about to sleep.
    @inline(__always)
    package func passOn() {
        if memory[Header.pending] != 0 { passOnNow() }
    }

    @inline(never)
    private func passOnNow() {
        if let bells = ownBells { ringForTwo(bells) } else { ringForAll() }
    }

    /// A bit is taken before its bell is rung: of several processes that wake at the same time, each rings for others.
    private func ringForTwo(_ bells: ProcessBells) {
        let pending = memory.word(Header.pending)
        var rings = 0
        // Bounded, also on a word that another process changes all the time.
        for _ in 0..<64 where rings < 2 {
            let left = pending.pointee.load(ordering: .relaxed)
            if left == 0 { return }
            let next = left & (0 &- left)
            let before = pending.pointee.bitwiseAnd(~next, ordering: .sequentiallyConsistent).oldValue
            if before & next == 0 { continue }
            bells.ring(next)
            rings += 1
        }
    }
}

extension SleepWish {
    /// How long a sleeper sleeps at most while a writer may not have seen it: longer than a writer needs, unless that
    /// one is stopped, was killed or waits for a processor.
    package static let doubtfulSleep = Duration.milliseconds(2)
}
