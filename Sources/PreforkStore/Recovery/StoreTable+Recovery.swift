// Repair of a stripe whose lock's owner died.

import PreforkSystem

/// Only references, slab owners and a step's notes are facts. Everything else is computed from them again. Recovery can
/// be killed at any point and restarted, and takes time that is bounded by the sizes of the stripe and the slab table.
extension StoreTable {
    /// The caller holds the stripe's lock, and knows that its last owner died or that its word was damaged. A caller
    /// that dies in here, or gives the lock back by `unlockForRepair`, leaves the repair to the next owner.
    ///
    /// - Throws: `.busy` if the stripe had decided a step that involves another stripe whose lock is not available. The
    ///   decision must stand until that stripe has read it.
    func recover(_ stripe: Int, _ patience: inout LockPatience) throws(StoreError) {
        try recoverParticipants(of: stripe, &patience)
        recoverStep(stripe)
        rebuild(stripe)
        memory.count(Header.recoveries)
        // Watchers of this stripe's keys may have missed the dead owner's last change.
        wakeAllSleepers()
    }

    /// Lets every other stripe of a step that this one decides see the decision. They are above this one, so that locks
    /// are still taken in ascending order.
    private func recoverParticipants(of stripe: Int, _ patience: inout LockPatience) throws(StoreError) {
        let word = stripeOffset(stripe) + Stripe.participants
        let participants = memory[word]
        if participants == 0 { return }
        for other in 0..<layout.stripes where other > stripe && participants & 1 << UInt64(other) != 0 {
            try lock(other, &patience)
            unlock(other)
        }
        recoverStep(stripe)
        memory.release(word, 0)
    }

    /// Finishes the step that this stripe was in, or takes its marks away.
    private func recoverStep(_ stripe: Int) {
        let word = stripeOffset(stripe) + Stripe.itemCount
        let count = min(Int(clamping: memory[word]), AtomicStep.maximumKeys)
        if count == 0 { return }
        if isCommitted(stripe) { return redoItems(stripe) }
        for index in 0..<count {
            let slot = Int(clamping: memory[items(stripe) + index * StepItem.byteCount + StepItem.slot])
            guard isSlot(slot, stripe) else { continue }
            let reference = EntryReference(bits: memory[slot])
            if reference.isPending { memory.release(slot, reference.settled.bits) }
        }
        memory.release(word, 0)
    }

    /// Computes all that follows from the references: used blocks, counts, buckets in use.
    func rebuild(_ stripe: Int) {
        forgetDerived(stripe)
        var growth = StoreGrowth(entries: 0, units: 0)
        var expiring = 0
        for home in 0..<layout.homeBuckets {
            var next: Int? = bucket(stripe, home)
            for _ in 0...layout.overflowBuckets {
                guard let current = next else { break }
                rebuild(current, of: home, stripe, &growth, &expiring)
                next = reachOverflow(current, stripe)
            }
        }
        memory[entryCountWord(stripe)] = UInt64(growth.entries)
        memory[unitCountWord(stripe)] = UInt64(growth.units)
        memory[stripeOffset(stripe) + Stripe.expiring] = UInt64(expiring)
        emptyUnreachableBuckets(stripe)
        reopenSlabs(stripe)
    }

    private func forgetDerived(_ stripe: Int) {
        for blockClass in 0..<EntryShape.classCount { memory[openSlabsOffset(blockClass, stripe)] = 0 }
        for index in 0..<(layout.overflowBuckets + 63) / 64 { memory[overflowMapWord(index, stripe)] = 0 }
        for slab in 1..<layout.slabs where use(ofSlab: slab, by: stripe) != nil {
            memory[slabRecord(slab) + SlabRecord.used] = 0
        }
    }

    private func rebuild(
        _ bucket: Int, of home: Int, _ stripe: Int, _ growth: inout StoreGrowth, _ expiring: inout Int
    ) {
        for index in 0..<StoreLayout.slotsPerBucket {
            let slot = bucket + index * 8
            let reference = EntryReference(bits: memory[slot]).settled
            if reference.isEmpty { continue }
            guard let view = EntryView(self, reference),
                KeyHash(bits: view.hash).bucket(of: layout.homeBuckets) == home, markUsed(reference, view, stripe)
            else {
                // A process wrote where it must not: the entry is lost, but the store is not.
                memory.release(slot, reference.emptied.bits)
                memory.count(Header.damages)
                continue
            }
            view.finishChange()
            growth.entries += 1
            growth.units += view.shape.units
            if view.expiry != 0 { expiring += 1 }
        }
    }

    /// Marks the blocks of an entry. Returns false if they cannot belong to it.
    private func markUsed(_ reference: EntryReference, _ view: EntryView, _ stripe: Int) -> Bool {
        let shape = view.shape
        let slab = reference.block / StoreLayout.unitsPerSlab
        let units = EntryShape.units(ofClass: shape.blockClass)
        let offset = reference.block % StoreLayout.unitsPerSlab
        let hash = KeyHash(bits: view.hash)
        guard use(ofSlab: slab, by: stripe) == shape.blockClass, offset % units == 0,
            hash.stripe(of: layout.stripes) == stripe, hash.fingerprint == reference.fingerprint
        else { return false }
        let record = slabRecord(slab) + SlabRecord.used
        let bit: UInt64 = 1 << UInt64(offset / units)
        guard Self.allBlocks(shape.blockClass) & bit != 0, memory[record] & bit == 0 else { return false }
        for index in 0..<shape.slabs {
            guard let part = view.slab(index, shape, self), use(ofSlab: part, by: stripe) == Self.wholeSlab else {
                return false
            }
        }
        memory[record] = memory[record] | bit
        for index in 0..<shape.slabs {
            if let slab = view.slab(index, shape, self) { memory[slabRecord(slab) + SlabRecord.used] = 1 }
        }
        return true
    }

    /// The bucket behind this one, marked as in use. Nil at the chain's end or where two chains would meet.
    private func reachOverflow(_ bucket: Int, _ stripe: Int) -> Int? {
        let link = memory[bucket + BucketWord.link]
        guard link > 0, link <= UInt64(layout.overflowBuckets) else {
            if link != 0 { memory[bucket + BucketWord.link] = 0 }
            return nil
        }
        let index = Int(link) - 1
        let word = overflowMapWord(index / 64, stripe)
        guard memory[word] & 1 << UInt64(index % 64) == 0 else {
            memory[bucket + BucketWord.link] = 0
            memory.count(Header.damages)
            return nil
        }
        memory[word] = memory[word] | 1 << UInt64(index % 64)
        return self.bucket(stripe, layout.homeBuckets + index)
    }

    /// A bucket that was being linked or unlinked must not bring references along when it is used again.
    private func emptyUnreachableBuckets(_ stripe: Int) {
        for index in 0..<layout.overflowBuckets
        where memory[overflowMapWord(index / 64, stripe)] & 1 << UInt64(index % 64) == 0 {
            let bucket = bucket(stripe, layout.homeBuckets + index)
            for place in 0..<StoreLayout.slotsPerBucket {
                let reference = EntryReference(bits: memory[bucket + place * 8])
                if !reference.isEmpty { memory.release(bucket + place * 8, reference.emptied.bits) }
            }
        }
    }

    /// Gives back slabs that nothing refers to, and lists those that have room.
    private func reopenSlabs(_ stripe: Int) {
        for slab in 1..<layout.slabs {
            guard let use = use(ofSlab: slab, by: stripe) else { continue }
            let used = memory[slabRecord(slab) + SlabRecord.used]
            memory[slabRecord(slab) + SlabRecord.next] = 0
            memory[slabRecord(slab) + SlabRecord.previous] = 0
            if used == 0 {
                releaseSlab(slab)
            } else if use < EntryShape.classCount, used != Self.allBlocks(use) {
                open(slab, use, stripe)
            }
        }
    }
}
