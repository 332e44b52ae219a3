// Counts, slabs and buckets that damage has changed while no lock shows it: found by the writers that are refused.

import PreforkSystem
import Synchronization

/// An overwritten word prevents no process from taking the lock, so no owner would repair its consequences. Counts that
/// are too high, slabs that belong to no stripe and buckets that seem used would refuse writers as long as the store
/// lives.
extension StoreTable {
    /// The shortest time between two examinations by a process, in nanoseconds: a store that is rightly full refuses
    /// many writers.
    private static let pause: Int64 = 100_000_000

    /// So many places of other stripes are examined for a count that is possible but wrong: all places of a small
    /// store.
    private static let placesAtOnce = 4096

    /// How long an examination waits for locks, all of them together, in nanoseconds: as long as a lock's word must be
    /// invalid to be given up (`LockPatience`), so a living owner costs a refused writer no more.
    private static let patience: Int64 = 10_000_000

    /// After a refusal for lack of room, and without any lock: recomputes the stripes that have refused, some more in
    /// turn, and those with impossible counts. If one was wrong, all of them.
    ///
    /// A stripe whose lock's word is written over is repaired here as well. Its own writers would do that, but a store
    /// that refuses all keys of other stripes may have no writers.
    @inline(never)
    func examine(after error: StoreError, of refusing: [Int]) {
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
        let count = min(layout.stripes, max(1, Self.placesAtOnce / max(1, slotsPerStripe)))
        let turn = UInt(bitPattern: examinationTurn.wrappingAdd(count, ordering: .relaxed).oldValue)
        let sure = Set(refusing + (0..<count).map { Int((turn &+ UInt($0)) % UInt(layout.stripes)) })
        var patience = LockPatience(limit: Self.patience)
        for stripe in refusing + (0..<layout.stripes).filter({ !refusing.contains($0) }) {
            let isDue = isDamaged || sure.contains(stripe) || hasImpossibleCounts(stripe)
            guard isDue, lockOrRepair(stripe, &patience) else { continue }
            if !computeAgain(stripe) { isDamaged = true }
            unlock(stripe)
        }
    }

    /// A lock that is given up is repaired, with its stripe, by the next process that takes it.
    private func lockOrRepair(_ stripe: Int, _ patience: inout LockPatience) -> Bool {
        if lockWithoutWaiting(stripe) { return true }
        if (try? lock(stripe, &patience)) != nil { return true }
        return lockWithoutWaiting(stripe)
    }

    private func hasImpossibleCounts(_ stripe: Int) -> Bool {
        memory[entryCountWord(stripe)] > UInt64(slotsPerStripe)
            || memory[unitCountWord(stripe)] > UInt64(layout.slabs * StoreLayout.unitsPerSlab)
            || memory[stripeOffset(stripe) + Stripe.expiring] > UInt64(slotsPerStripe)
    }

    /// The caller holds the stripe's lock, and has nothing in the making there.
    ///
    /// - Returns: whether the counts, and which buckets are in use, were right.
    private func computeAgain(_ stripe: Int) -> Bool {
        var words = [entryCountWord(stripe), unitCountWord(stripe), stripeOffset(stripe) + Stripe.expiring]
        words += (0..<(layout.overflowBuckets + 63) / 64).map { overflowMapWord($0, stripe) }
        let before = words.map { memory[$0] }
        rebuild(stripe)
        if words.map({ memory[$0] }) == before { return true }
        memory.count(Header.damages)
        return false
    }

    /// Slabs whose owner is not a stripe, or whose use is invalid.
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
