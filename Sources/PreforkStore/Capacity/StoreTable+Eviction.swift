// Entries that go so that others can come: expired ones, and the least recently used.

import Synchronization

extension StoreTable {
    /// Notes that the entry at `slot` was used. The only write of a reader, and only when the clock has moved since.
    ///
    /// Copies into a separate array, never into the entry, whose block may belong to another entry by now.
    @inline(__always)
    func touch(_ slot: Int, _ stripe: Int) {
        let clock = UInt32(truncatingIfNeeded: memory[stripeOffset(stripe) &+ Stripe.ageClock])
        let age = ageWord(slot, stripe)
        if age.pointee.load(ordering: .relaxed) != clock { age.pointee.store(clock, ordering: .relaxed) }
    }

    /// As `touch`, for the short paths: seldom a store that evicts.
    @inline(never)
    func touch(_ entry: PlainEntry, _ hash: KeyHash) {
        touch(entry.slot.base - memory.base, map.stripe(hash))
    }

    private func ageWord(_ slot: Int, _ stripe: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        let number = stripe &* slotsPerStripe &+ number(ofSlot: slot, stripe)
        return (memory.base + (layout.agesOffset &+ number &* 4)).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Time advances with new entries: one tick is a sixteenth of the stripe's entries, at most of its share of the
    /// capacity. (A store can be full of bytes long before it is full of entries.)
    func tickAge(_ stripe: Int) {
        let stripeOffset = stripeOffset(stripe)
        let insertions = memory[stripeOffset + Stripe.insertions] &+ 1
        let share = UInt64(layout.capacity.entries / layout.stripes)
        let tick = max(1, min(share, memory[entryCountWord(stripe)]) / 16)
        memory[stripeOffset + Stripe.insertions] = insertions >= tick ? 0 : insertions
        if insertions >= tick { memory[stripeOffset + Stripe.ageClock] = memory[stripeOffset + Stripe.ageClock] &+ 1 }
    }

    /// Removes the oldest of up to 32 entries of a stripe. The next call examines the next ones.
    func evictOne(_ stripe: Int, keeping keep: [UInt64]) -> Bool {
        let clock = UInt32(truncatingIfNeeded: memory[stripeOffset(stripe) + Stripe.ageClock])
        let hand = stripeOffset(stripe) + Stripe.evictionHand
        var number = Int(truncatingIfNeeded: memory[hand] % UInt64(slotsPerStripe))
        var oldest: (slot: Int, reference: EntryReference, age: UInt32)?
        var seen = 0
        for _ in 0..<slotsPerStripe where seen < 32 {
            number = (number + 1) % slotsPerStripe
            let slot = slot(number, stripe)
            let reference = EntryReference(bits: memory[slot])
            guard !reference.isEmpty, let view = EntryView(self, reference), !keep.contains(view.hash) else { continue }
            seen += 1
            let age = clock &- ageWord(slot, stripe).pointee.load(ordering: .relaxed)
            if oldest.map({ age > $0.age }) ?? true { oldest = (slot, reference, age) }
        }
        memory[hand] = UInt64(number)
        guard let oldest else { return false }
        remove(oldest.slot, oldest.reference, stripe)
        memory.count(Header.evictions)
        return true
    }

    /// Removes expired entries among the next `slots` places of a stripe.
    ///
    /// - Returns: how many.
    @discardableResult
    func sweep(_ stripe: Int, slots: Int) -> Int {
        guard memory[stripeOffset(stripe) + Stripe.expiring] > 0 else { return 0 }
        let hand = stripeOffset(stripe) + Stripe.sweepHand
        var number = Int(truncatingIfNeeded: memory[hand] % UInt64(slotsPerStripe))
        var removed = 0
        for _ in 0..<min(slots, slotsPerStripe) {
            number = (number + 1) % slotsPerStripe
            let slot = slot(number, stripe)
            let reference = EntryReference(bits: memory[slot])
            guard !reference.isEmpty, let view = EntryView(self, reference), view.isExpired else { continue }
            remove(slot, reference, stripe)
            removed += 1
        }
        memory[hand] = UInt64(number)
        if removed > 0 { memory.count(Header.expirations, by: UInt64(removed)) }
        return removed
    }

    /// Removes every expired entry.
    ///
    /// - Returns: how many.
    package func sweep() throws(StoreError) -> Int {
        var removed = 0
        var patience = patience
        for stripe in 0..<layout.stripes where memory[stripeOffset(stripe) + Stripe.expiring] > 0 {
            try lock(stripe, &patience)
            removed += sweep(stripe, slots: slotsPerStripe)
            unlock(stripe)
        }
        return removed
    }
}
