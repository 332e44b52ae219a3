// A lock between processes that outlives its owner, without a pointer in it.

import CPrefork
package import Synchronization

/// A mutex in memory that several processes share: one word that names its owner (`LockOwner`), and a futex.
///
/// Every value that the word can have is safe to find. A robust mutex of the C library is unsafe: it is linked into a
/// list by addresses, so unlocking one whose links another process wrote is a write to an address of that process's
/// choice.
///
/// A waiter checks whether the owner is gone (pidfd, start time) and then takes the lock from it by one
/// compare-and-exchange. An owner that is stopped keeps its lock. An invalid word is replaced after the waiter's whole
/// time limit, because a living owner may be inside.
///
/// A word can be written over so that it names a living process that does not hold the lock. If that process cannot
/// hold it (`LockFamily`), the word is replaced like an invalid one. Of others a waiter cannot know it, and finds the
/// lock busy. The named process can: it corrects the word when it next takes the lock or checks its locks (`disown`).
///
/// Not recursive, and not to be held across a suspension. A thread that ends while it holds a lock, of a process that
/// lives on, keeps it.
package struct SharedLock: @unchecked Sendable {
    // Sendable: the memory is shared on purpose, and every access is atomic.
    package let word: UnsafeMutablePointer<Atomic<UInt64>>

    /// How many bytes a lock takes in a layout: a cache line. Zeroed memory is a free lock.
    package static let byteCount = 64

    /// The state of a lock that was just taken.
    package enum Acquisition: Equatable, Sendable {
        case clean
        /// The last owner died inside, or the word was damaged. Repair what the lock protects, then `unlock`, or leave
        /// it to the next owner by `unlockForRepair`.
        case mustRepair
    }

    package enum Failure: Error, Equatable, Sendable {
        /// Another thread or process has had it all the time.
        case busy
        /// The word was invalid all the time. It was replaced: the next owner repairs.
        case damaged
    }

    /// - Parameter memory: `byteCount` bytes, aligned to 8, mapped shared as long as the lock is used.
    package init(at memory: UnsafeMutableRawPointer) {
        word = memory.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Takes the lock if it is free and does not need repair.
    package func tryLock() -> Bool {
        let token = cprefork_lock_token()
        if token == 0 { return false }
        return word.pointee.compareExchange(expected: 0, desired: token, ordering: .acquiring).exchanged
    }

    /// Gives the lock back. On x86 this is a full barrier.
    ///
    /// - Returns: false when another process wrote over the word while it was held: the next owner repairs.
    @discardableResult
    package func unlock() -> Bool {
        let old = word.pointee.exchange(0, ordering: .acquiringAndReleasing)
        return old == cprefork_lock_token() ? true : finishUnlocking(old)
    }

    /// The rest of `unlock`, where the word that was exchanged for 0 is not this process's own without flags.
    @inline(never)
    package func finishUnlocking(_ old: UInt64) -> Bool {
        let isOwn = LockOwner(word: old) == .current
        if !isOwn || old & LockOwner.needsRepair != 0 {
            // If another owner is inside by now, it finds the bit when it unlocks.
            word.pointee.bitwiseOr(LockOwner.needsRepair, ordering: .acquiringAndReleasing)
        }
        if old & LockOwner.waiting != 0 || !isOwn { cprefork_futex_wake(word) }
        return isOwn
    }

    /// Gives a lock back behind which not all is in order: the next owner gets `.mustRepair`.
    package func unlockForRepair() {
        word.pointee.bitwiseOr(LockOwner.needsRepair, ordering: .releasing)
        unlock()
    }

    /// Tells the next owner to repair, whichever process has the lock now.
    package func demandRepair() {
        word.pointee.bitwiseOr(LockOwner.needsRepair, ordering: .acquiringAndReleasing)
    }

    /// Frees the lock if its word names this process, or an earlier program image of it, whose threads are gone with it.
    /// Must be called only while the process holds no lock, which only a process with one thread can know. In a process
    /// with more threads it has no effect.
    ///
    /// - Returns: whether it was so: the word was written over, and the next owner repairs.
    package func disown() -> Bool {
        let seen = word.pointee.load(ordering: .relaxed)
        let owner = LockOwner(word: seen)
        guard !owner.isNobody, owner.isOfThisProcess, isOnlyThread else { return false }
        let freed = LockOwner.needsRepair | seen & LockOwner.waiting
        guard word.pointee.compareExchange(expected: seen, desired: freed, ordering: .relaxed).exchanged
        else { return false }
        if seen & LockOwner.waiting != 0 { cprefork_futex_wake(word) }
        return true
    }

    /// The owner that the word names.
    package var owner: LockOwner { LockOwner(word: word.pointee.load(ordering: .relaxed)) }

    /// Whether the lock is free and does not need repair.
    package var isFree: Bool { word.pointee.load(ordering: .relaxed) == 0 }
}
