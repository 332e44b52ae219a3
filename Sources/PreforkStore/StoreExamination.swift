// Counts and slabs that damage has changed while no lock tells of it: found by the writers that are refused.

import PreforkSystem
import Synchronization

/// A word that was written over keeps no lock from being taken, so nobody would repair what follows from it. Counts
/// that are too high and slabs that belong to no stripe would refuse writers for as long as the store lives.
extension StoreTable {
    /// At most so often a process looks again, in nanoseconds: a store that is rightly full refuses many writers.
    private static let pause: Int64 = 100_000_000

    /// After a refusal for want of room, and without any lock: computes one stripe anew, in turn, and those whose counts
    /// are impossible. If one was wrong, all of them. Waits for no lock.
    @inline(never)
    func examine(after error: StoreError) {
        switch error.code {
        case .full, .fullOfEntries: break
        default: return
        }
        let now = MonotonicInstant.now.nanoseconds
        let last = lastExamination.load(ordering: .relaxed)
        guard now - last > Self.pause,
            lastExamination.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
        else { return }
        var isDamaged = freeImpossibleSlabs()
        let turn = Int(memory[Header.refusals] % UInt64(layout.stripes))
        for offset in 0..<layout.stripes {
            let stripe = (turn + offset) % layout.stripes
            guard offset == 0 || isDamaged || hasImpossibleCounts(stripe), lockWithoutWaiting(stripe) else { continue }
            if !computeAgain(stripe) { isDamaged = true }
            unlock(stripe)
        }
    }

    private func hasImpossibleCounts(_ stripe: Int) -> Bool {
        memory[entryCountWord(stripe)] > UInt64(slotsPerStripe)
            || memory[unitCountWord(stripe)] > UInt64(layout.slabs * StoreLayout.unitsPerSlab)
            || memory[stripeOffset(stripe) + Stripe.expiring] > UInt64(slotsPerStripe)
    }

    /// The caller holds the stripe's lock, and has nothing in the making there.
    ///
    /// - Returns: whether the counts were right.
    private func computeAgain(_ stripe: Int) -> Bool {
        let words = [entryCountWord(stripe), unitCountWord(stripe), stripeOffset(stripe) + Stripe.expiring]
        let before = words.map { memory[$0] }
        rebuild(stripe)
        if words.map({ memory[$0] }) == before { return true }
        memory.count(Header.damages)
        return false
    }

    /// Slabs whose owner is no stripe, or whose use is none.
    ///
    /// - Returns: whether there were any.
    private func freeImpossibleSlabs() -> Bool {
        var found = false
        for slab in 1..<layout.slabs {
            let word = memory[slabRecord(slab)]
            if word == 0 { continue }
            let owner = word & 0xFFFF
            let use = word >> 16
            let isUse = use < UInt64(EntryShape.classCount) || use == UInt64(Self.wholeSlab)
            if owner > 0, owner <= UInt64(layout.stripes), isUse { continue }
            let (exchanged, _) = memory.word(slabRecord(slab)).pointee.compareExchange(
                expected: word, desired: 0, ordering: .acquiringAndReleasing)
            if exchanged {
                found = true
                memory.count(Header.damages)
            }
        }
        return found
    }
}
