// The lock of a stripe: its holder may change the stripe's part of the store.

package import PreforkSystem
import Synchronization

/// A `SharedLock` whose shortest path is inlined: a function of another module is a call, and a call with its saved
/// registers costs as much as the rest of a short write.
struct QuickLock: Sendable {
    private let words: SharedWords
    /// The word of this process as an owner. See `LockOwner.currentWord`.
    private let own: SharedWords

    /// - Parameters:
    ///   - words: the lock is at their beginning.
    ///   - own: `LockOwner.currentWord`, which the caller keeps, because reading it is a call.
    @inline(__always)
    init(_ words: SharedWords, own: SharedWords) {
        self.words = words
        self.own = own
    }

    var shared: SharedLock { SharedLock(at: words.base) }

    /// Takes the lock if it is free and does not need repair.
    @inline(__always)
    func tryLock() -> Bool {
        let token = own[0]
        if token == 0 { return false }
        return words.word(0).pointee.compareExchange(expected: 0, desired: token, ordering: .acquiring).exchanged
    }

    /// Gives the lock back. On x86 this is a full barrier.
    ///
    /// - Returns: false when another process wrote over the word while it was held.
    @inline(__always)
    func unlock() -> Bool {
        let old = words.word(0).pointee.exchange(0, ordering: .acquiringAndReleasing)
        return old == own[0] ? true : shared.finishUnlocking(old)
    }

    /// Gives the lock back by a plain store: no barrier. What the caller stored under the lock may become visible after
    /// what it loads next.
    ///
    /// A waiter that sets its bit between the two lines is not woken. It finds the lock free at the end of its slice of
    /// waiting, which is at most 10 ms, or when it calls futex(2) to wait on a word that is no longer the one it saw. A
    /// process that writes over the word between them is not noticed.
    ///
    /// - Returns: as `unlock`.
    @inline(__always)
    func unlockWithoutBarrier() -> Bool {
        guard words[0] == own[0] else { return shared.unlock() }
        words.release(0, 0)
        return true
    }
}

extension StoreTable {
    @inline(__always)
    func quickLock(_ stripe: Int) -> QuickLock {
        QuickLock(SharedWords(base: memory.base + stripeOffset(stripe)), own: ownWord)
    }

    package func sharedLock(_ stripe: Int) -> SharedLock { quickLock(stripe).shared }

    /// What a call of this store may wait, all its locks together.
    var patience: LockPatience { LockPatience(limit: lockTimeout) }

    /// Takes a stripe's lock and repairs what a dead owner has left.
    ///
    /// - Throws: `.busy` when a living process has held it for the whole time, which only a stopped process does. Its
    ///   lock is not stolen, because it would continue where it was (Swoole's tables steal it after two seconds).
    ///   `.corrupt` when the lock's word was written over.
    @inline(__always)
    func lock(_ stripe: Int) throws(StoreError) {
        if quickLock(stripe).tryLock() { return }
        var patience = patience
        try lockSlowly(stripe, &patience)
    }

    /// As `lock`, for a call that takes several locks in one time limit.
    @inline(__always)
    func lock(_ stripe: Int, _ patience: inout LockPatience) throws(StoreError) {
        if quickLock(stripe).tryLock() { return }
        try lockSlowly(stripe, &patience)
    }

    /// Takes a stripe's lock without waiting for any other process.
    ///
    /// - Returns: whether it was taken.
    func lockWithoutWaiting(_ stripe: Int) -> Bool {
        var patience = LockPatience.none
        return (try? lock(stripe, &patience)) != nil
    }

    @inline(never)
    private func lockSlowly(_ stripe: Int, _ patience: inout LockPatience) throws(StoreError) {
        guard try acquire(sharedLock(stripe), &patience) == .mustRepair else { return }
        do throws(StoreError) {
            try recover(stripe, &patience)
        } catch {
            sharedLock(stripe).unlockForRepair()
            throw error
        }
    }

    func acquire(
        _ lock: SharedLock, _ patience: inout LockPatience
    ) throws(StoreError) -> SharedLock.Acquisition {
        do throws(SharedLock.Failure) {
            return try lock.lock(&patience)
        } catch {
            if error == .busy { throw StoreError(.busy) }
            memory.count(Header.damages)
            throw StoreError(.corrupt("a lock that no process has taken"))
        }
    }

    @inline(__always)
    func unlock(_ stripe: Int) {
        if !quickLock(stripe).unlock() { memory.count(Header.damages) }
    }

    /// Repairs every stripe whose lock's owner has died, and the log if its lock's owner has. Waits for no process.
    ///
    /// Repair is otherwise left to the next writer. A new worker calls this after the death of a predecessor.
    package func repair() {
        for stripe in 0..<layout.stripes where !sharedLock(stripe).isFree {
            if lockWithoutWaiting(stripe) { unlock(stripe) }
        }
        if ringBytes > 0, !logLock.shared.isFree, (try? lockLog(.none)) != nil { unlockLog() }
    }

    /// Frees the locks whose words name this process although it holds no lock, because another process overwrote them.
    func disownLocks() {
        for stripe in 0..<layout.stripes where sharedLock(stripe).disown() { memory.count(Header.damages) }
        if ringBytes > 0, logLock.shared.disown() { memory.count(Header.damages) }
    }
}
