// The lock's short ways, in line.

import PreforkSystem
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
