// The lock of a stripe: its holder may change the stripe's part of the store.

package import PreforkSystem

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
