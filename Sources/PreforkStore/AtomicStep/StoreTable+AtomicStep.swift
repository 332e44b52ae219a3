// Several keys in one step, for every reader and through every crash.

import Synchronization

/// How a step is carried out:
///
/// 1. All stripes of its keys are locked, in ascending order. Room is made and all blocks are written.
/// 2. Requirements are checked. From here on nothing can fail.
/// 3. Each stripe notes which references change to what, and which stripe, the lowest, decides under which sequence
///    number. Each of those references is marked pending: readers now ask the deciding stripe.
/// 4. The deciding stripe stores the number. This one store is the commit.
/// 5. The references are replaced, the notes cleared, the old blocks freed.
///
/// Killed before 4: recovery clears the marks. After it: recovery does 5 again. (Redo logging. The marks are those used
/// by Harris, Fraser and Pratt's multi-word compare-and-swap, 2002.)
extension StoreTable {
    /// - Returns: false when a requirement did not hold.
    package func perform(_ step: AtomicStep) throws(StoreError) -> Bool {
        let plan = try StepPlan(step, self)
        do throws(StoreError) {
            return try carryOut(plan)
        } catch {
            examine(after: error, of: plan.stripes)
            throw error
        }
    }

    private func carryOut(_ plan: StepPlan) throws(StoreError) -> Bool {
        var locked: [Int] = []
        defer { for stripe in locked.reversed() { unlock(stripe) } }
        var patience = patience
        for stripe in plan.stripes {
            try lock(stripe, &patience)
            locked.append(stripe)
        }
        guard plan.requirements.allSatisfy({ holds($0) }) else { return false }
        var prepared = PreparedStep()
        do throws(StoreError) {
            try prepare(plan, &prepared)
        } catch {
            discard(prepared)
            throw error
        }
        place(plan, &prepared)
        guard !prepared.isShortOfBuckets else {
            discard(prepared)
            throw StoreError(.fullOfEntries(limit: layout.capacity.entries))
        }
        commit(prepared, in: plan.stripes)
        for stripe in locked.reversed() { unlock(stripe) }
        locked = []
        for change in plan.changes { wakeWatchers(change.hash) }
        return true
    }

    private func holds(_ requirement: StepPlan.Requirement) -> Bool {
        withBytes(requirement.key) { key in
            let view = locate(key, requirement.hash).view.flatMap { $0.isExpired ? nil : $0 }
            guard let expected = requirement.value else { return view == nil }
            return view.map { isValue(of: $0, expected) } ?? false
        }
    }

    func isValue(of view: EntryView, _ expected: StoredValue) -> Bool {
        guard view.valueBytes == expected.bytes.count, view.kindBits == expected.kind.rawValue else { return false }
        return view.copiedValue(self) == expected
    }

    /// Makes room and writes all blocks. Other entries may be evicted or moved meanwhile, but never the step's entries.
    private func prepare(_ plan: StepPlan, _ prepared: inout PreparedStep) throws(StoreError) {
        let hashes = plan.hashes
        var rearranged = false
        for change in plan.changes {
            var item = PreparedStep.Item(stripe: change.stripe, hash: change.hash)
            let view = withBytes(change.key) { locate($0, change.hash).view }
            if let value = try newValue(change, view) {
                let units = EntryShape(keyBytes: change.key.count, valueBytes: value.stored.bytes.count).units
                item.growth = StoreGrowth(
                    entries: view == nil ? 1 : 0, units: max(0, units - (view?.shape.units ?? 0)))
                item.units = units
                item.expiry = value.expiry
                try reserve(item.growth, stripe: change.stripe, keeping: hashes, &rearranged)
                prepared.items.append(item)
                prepared.items[prepared.items.count - 1].block = try makeEntry(change, value, &rearranged)
            } else {
                prepared.items.append(item)
            }
        }
    }

    private func makeEntry(
        _ change: StepPlan.Change, _ value: (stored: StoredValue, expiry: UInt64), _ rearranged: inout Bool
    ) throws(StoreError) -> Int {
        let result: Result<Int, StoreError> = withBytes(change.key) { key in
            value.stored.bytes.withUnsafeBytes { bytes in
                Result { () throws(StoreError) in
                    try makeEntry(
                        key, change.hash, RawValue(kind: value.stored.kind, bytes: bytes), expiry: value.expiry,
                        &rearranged)
                }
            }
        }
        return try result.get()
    }

    /// What a change stores, or nil when it deletes.
    private func newValue(
        _ change: StepPlan.Change, _ view: EntryView?
    ) throws(StoreError) -> (stored: StoredValue, expiry: UInt64)? {
        switch change.what {
        case .delete: return nil
        case .set(let value, let expires): return (value, try expiryWord(after: expires))
        case .increment(let amount):
            let live = view.flatMap { $0.isExpired ? nil : $0 }
            let sum = try self.sum(live, amount, key: change.key)
            return (StoredValue(sum), live?.expiry ?? 0)
        }
    }

    /// Finds the place of each change. No entry moves from here on.
    private func place(_ plan: StepPlan, _ prepared: inout PreparedStep) {
        var taken: [Int] = []
        for (index, change) in plan.changes.enumerated() {
            var place = withBytes(change.key) { locate($0, change.hash, taken.contains) }
            let isDeletion = prepared.items[index].block == nil
            if place.view == nil && isDeletion { continue }
            if place.slot == nil, let slot = extendChain(change.hash) {
                place.slot = slot
                place.reference = EntryReference(bits: memory[slot])
            }
            guard let slot = place.slot else {
                prepared.isShortOfBuckets = true
                return
            }
            taken.append(slot)
            prepared.items[index].place = place
        }
    }

    private func commit(_ prepared: PreparedStep, in stripes: [Int]) {
        let changes = prepared.items.filter { $0.place != nil }
        guard !changes.isEmpty else { return }
        let coordinator = stripes[0]
        let decider = stripeOffset(coordinator)
        let sequence = memory[decider + Stripe.nextSequence] &+ 1
        memory[decider + Stripe.nextSequence] = sequence
        var participants: UInt64 = 0
        for stripe in stripes {
            let own = changes.filter { $0.stripe == stripe }
            if own.isEmpty { continue }
            participants |= 1 << UInt64(stripe)
            for (index, item) in own.enumerated() {
                // `changes` are the items with a place, and `place` is nil without a slot. The same holds below.
                memory[items(stripe) + index * StepItem.byteCount + StepItem.slot] = UInt64(item.place!.slot!)
                memory[items(stripe) + index * StepItem.byteCount + StepItem.reference] = item.newReference.bits
            }
            memory[stripeOffset(stripe) + Stripe.coordinator] = UInt64(coordinator)
            memory.release(stripeOffset(stripe) + Stripe.sequence, sequence)
            memory.release(stripeOffset(stripe) + Stripe.itemCount, UInt64(own.count))
        }
        memory.release(decider + Stripe.participants, participants)
        for item in changes {
            memory.release(item.place!.slot!, item.place!.reference.bits | EntryReference.pendingBit)
        }
        memory.release(decider + Stripe.committed, sequence)
        for stripe in stripes { redoItems(stripe) }
        memory.release(decider + Stripe.participants, 0)
        settle(prepared)
    }

    /// Stores the new references of a committed step and clears its notes. Done twice it changes nothing more.
    func redoItems(_ stripe: Int) {
        let word = stripeOffset(stripe) + Stripe.itemCount
        let count = min(Int(clamping: memory[word]), AtomicStep.maximumKeys)
        for index in 0..<count {
            let slot = Int(clamping: memory[items(stripe) + index * StepItem.byteCount + StepItem.slot])
            guard isSlot(slot, stripe) else { continue }
            memory.release(slot, memory[items(stripe) + index * StepItem.byteCount + StepItem.reference])
        }
        memory.release(word, 0)
        atomicMemoryFence(ordering: .acquiringAndReleasing)
    }

    func isSlot(_ offset: Int, _ stripe: Int) -> Bool {
        let start = bucket(stripe, 0)
        let end = bucket(stripe, layout.homeBuckets + layout.overflowBuckets)
        return offset >= start && offset < end && (offset - start) % 8 == 0 && (offset - start) % 64 < 56
    }

    /// Counts what has changed and frees what was replaced.
    private func settle(_ prepared: PreparedStep) {
        for item in prepared.items {
            let view = item.place?.view
            let entries = (item.block == nil ? 0 : 1) - (view == nil ? 0 : 1)
            let units = item.units - (view?.shape.units ?? 0)
            add(
                StoreGrowth(entries: entries - item.growth.entries, units: units - item.growth.units),
                stripe: item.stripe)
            countExpiring((item.expiry != 0 ? 1 : 0) - (view?.expiry ?? 0 != 0 ? 1 : 0), item.stripe)
            if let place = item.place, !place.reference.isEmpty { freeEntry(place.reference, item.stripe) }
            if layout.evicts, let slot = item.place?.slot {
                touch(slot, item.stripe)
                if view == nil { tickAge(item.stripe) }
            }
        }
    }

    /// Takes back what was prepared.
    private func discard(_ prepared: PreparedStep) {
        for item in prepared.items {
            add(StoreGrowth(entries: -item.growth.entries, units: -item.growth.units), stripe: item.stripe)
            if let block = item.block { freeEntry(EntryReference(bits: UInt64(block)), item.stripe) }
        }
    }
}

/// Calls `body` with the bytes of an array.
func withBytes<Result>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    bytes.withUnsafeBytes(body)
}
