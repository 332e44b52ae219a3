// Taking a shared lock that is not free: waiting for its owner, or finding that it is gone.

import CPrefork
import Synchronization

extension SharedLock {
    /// Takes the lock, and waits for it as long as `patience` allows.
    ///
    /// Bounded on any contents of the word, also on contents that another process changes all the time.
    ///
    /// A word that names this very process is damaged if the process has no other thread: the caller waits for the
    /// lock, and so does not have it. So is one that names a process which cannot have the lock (`LockFamily`). It is
    /// replaced like an invalid word, after the caller's whole time. A call that may meet a lock which its caller holds
    /// must have a short patience (`LockPatience.isLong`) or zero patience.
    @inline(never)
    package func lock(_ patience: inout LockPatience) throws(Failure) -> Acquisition {
        let own = LockOwner.current.word
        if word.pointee.compareExchange(expected: 0, desired: own, ordering: .acquiring).exchanged { return .clean }
        if !patience.neverWaits, spin(own) { return .clean }
        var wanted = own
        var firstSuspect: UInt64?
        // Each turn takes the lock, sleeps, or loses a race. Only `patience.none` counts them.
        var turns = 0
        while true {
            let seen = word.pointee.load(ordering: .relaxed)
            let owner = LockOwner(word: seen)
            let isNonsense = owner.isNonsense
            let isSuspect = isNonsense || owner.word == own || LockFamily.isKnown
            if owner.isNobody || (!isNonsense && owner.isGone) {
                if take(seen, wanted) {
                    return owner.isNobody && seen & LockOwner.needsRepair == 0 ? .clean : .mustRepair
                }
            } else if firstSuspect == nil || !isSuspect {
                firstSuspect = isSuspect ? owner.word : nil
            }
            turns += 1
            guard let slice = patience.nextSlice() else {
                if patience.neverWaits, turns < 4, !isNonsense, word.pointee.load(ordering: .relaxed) != seen {
                    continue
                }
                guard isSuspect, patience.isLong, isNonsense || isMisnamed(owner) else { throw .busy }
                throw giveUp(seen, since: firstSuspect)
            }
            if owner.isNobody { continue }
            // Waits on a word that has the waiting bit: its owner wakes one waiter. A woken waiter sets the bit for the
            // others.
            let expected = seen | LockOwner.waiting
            if seen != expected, !exchange(seen, expected, .relaxed) { continue }
            cprefork_futex_wait(word, UInt32(truncatingIfNeeded: expected), min(slice, slices(turns)))
            wanted = own | LockOwner.waiting
        }
    }

    /// A few tries before calling the kernel: a lock is held for tenths of a microsecond, a futex costs several.
    private func spin(_ own: UInt64) -> Bool {
        for _ in 0..<64 {
            if word.pointee.load(ordering: .relaxed) == 0,
                word.pointee.compareExchange(expected: 0, desired: own, ordering: .acquiring).exchanged
            {
                return true
            }
            cprefork_pause()
        }
        return false
    }

    /// In nanoseconds: 50 µs, doubled each time, then what `patience` gives. An owner's death is not announced, so a
    /// waiter finds a killed owner after about the time that it has already waited. A stopped owner costs little.
    private func slices(_ turns: Int) -> Int64 { 50_000 << Int64(min(turns - 1, 8)) }

    private func take(_ seen: UInt64, _ wanted: UInt64) -> Bool {
        exchange(seen, wanted | seen & LockOwner.waiting, .acquiring)
    }

    /// Whether the living process that a word names does not have the lock.
    private func isMisnamed(_ owner: LockOwner) -> Bool {
        owner == .current ? isOnlyThread : LockFamily.excludes(owner.pid)
    }

    /// The word was not what an owner writes for the caller's whole time, or became that just now.
    private func giveUp(_ seen: UInt64, since first: UInt64?) -> Failure {
        guard first == LockOwner(word: seen).word else { return .busy }
        return exchange(seen, LockOwner.needsRepair | seen & LockOwner.waiting, .relaxed) ? .damaged : .busy
    }

    private enum Order { case acquiring, relaxed }

    private func exchange(_ old: UInt64, _ new: UInt64, _ order: Order) -> Bool {
        switch order {
        case .acquiring: word.pointee.compareExchange(expected: old, desired: new, ordering: .acquiring).exchanged
        case .relaxed: word.pointee.compareExchange(expected: old, desired: new, ordering: .relaxed).exchanged
        }
    }
}
