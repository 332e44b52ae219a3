// Changing one key: a new block, one store, the old block is free.

import PreforkSystem
import Synchronization

/// The condition under which a value is stored.
@usableFromInline
package enum PutCondition: Sendable {
    case always, ifAbsent, ifPresent
}

/// A value as it is written: kind and bytes that are the caller's.
struct RawValue {
    var kind: ValueKind
    var bytes: UnsafeRawBufferPointer
}

extension StoreTable {
    /// Stores a value.
    ///
    /// - Returns: whether `condition` held.
    package func put(
        _ key: UnsafeRawBufferPointer, _ kind: ValueKind, _ value: UnsafeRawBufferPointer, expiry: UInt64,
        if condition: PutCondition = .always
    ) throws(StoreError) -> Bool {
        try check(key, value.count)
        let hash = hash(key)
        let stripe = hash.stripe(of: layout.stripes)
        try lock(stripe)
        let place = locate(key, hash)
        let isPresent = place.view.map { !$0.isExpired } ?? false
        if (condition == .ifAbsent && isPresent) || (condition == .ifPresent && !isPresent) {
            unlock(stripe)
            return false
        }
        do throws(StoreError) {
            try replace(place, key, hash, RawValue(kind: kind, bytes: value), expiry: expiry)
        } catch {
            unlock(stripe)
            examine(after: error, of: [stripe])
            throw error
        }
        unlock(stripe)
        wakeWatchers(hash)
        return true
    }

    /// Removes a key.
    ///
    /// - Returns: whether it was there.
    package func delete(_ key: UnsafeRawBufferPointer) throws(StoreError) -> Bool {
        var patience = patience
        return try delete(key, &patience)
    }

    /// As `delete`, for a call that deletes several keys in one time limit.
    func delete(_ key: UnsafeRawBufferPointer, _ patience: inout LockPatience) throws(StoreError) -> Bool {
        try check(key, 0)
        let hash = hash(key)
        let stripe = hash.stripe(of: layout.stripes)
        try lock(stripe, &patience)
        let place = locate(key, hash)
        guard let slot = place.slot, let view = place.view else {
            unlock(stripe)
            return false
        }
        let wasPresent = !view.isExpired
        remove(slot, place.reference, stripe)
        unlock(stripe)
        wakeWatchers(hash)
        return wasPresent
    }

    @inline(__always)
    func check(_ key: UnsafeRawBufferPointer, _ valueBytes: Int) throws(StoreError) {
        if key.count > 0, key.count <= EntryShape.maximumKeyBytes, valueBytes <= EntryShape.maximumValueBytes { return }
        try refuse(key, valueBytes)
    }

    @inline(never)
    private func refuse(_ key: UnsafeRawBufferPointer, _ valueBytes: Int) throws(StoreError) {
        guard key.count > 0, key.count <= EntryShape.maximumKeyBytes else {
            throw StoreError(.badKey(bytes: key.count, limit: EntryShape.maximumKeyBytes))
        }
        guard valueBytes <= EntryShape.maximumValueBytes else {
            throw StoreError(.valueTooLarge(bytes: valueBytes, limit: EntryShape.maximumValueBytes))
        }
    }

    /// Puts a value in the place of another one, or in a free place. The caller holds the stripe's lock.
    ///
    /// Nothing in here suspends, runs foreign code or traps on input. All of it is done when it returns.
    func replace(
        _ found: EntryPlace, _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ value: RawValue, expiry: UInt64
    ) throws(StoreError) {
        let stripe = hash.stripe(of: layout.stripes)
        var place = found
        var rearranged = false
        let units = EntryShape(keyBytes: key.count, valueBytes: value.bytes.count).units
        let growth = StoreGrowth(entries: place.view == nil ? 1 : 0, units: max(0, units - unitsHeld(by: place)))
        if growth.entries > 0 || growth.units > 0 {
            try reserve(growth, stripe: stripe, keeping: [hash.bits], &rearranged)
        }
        let block: Int
        do throws(StoreError) {
            block = try makeEntry(key, hash, value, expiry: expiry, &rearranged)
            if rearranged { place = locate(key, hash) }
            if place.slot == nil { try extend(&place, hash, instead: block) }
        } catch {
            add(StoreGrowth(entries: -growth.entries, units: -growth.units), stripe: stripe)
            throw error
        }
        // `extend` has given it a place.
        commit(block, at: place.slot!, after: place.reference, isNew: place.view == nil, hash)
        let final = StoreGrowth(
            entries: (place.view == nil ? 1 : 0) - growth.entries,
            units: units - unitsHeld(by: place) - growth.units)
        if final.entries != 0 || final.units != 0 { add(final, stripe: stripe) }
        countExpiring((expiry != 0 ? 1 : 0) - (place.view?.expiry ?? 0 != 0 ? 1 : 0), stripe)
        if !place.reference.isEmpty { freeEntry(place.reference, stripe) }
        if expiry != 0 { sweep(stripe, slots: 2) }
    }

    @inline(__always)
    func unitsHeld(by place: EntryPlace) -> Int { place.view?.shape.units ?? 0 }

    @inline(__always)
    func countExpiring(_ change: Int, _ stripe: Int) {
        if change == 0 { return }
        let word = stripeOffset(stripe) + Stripe.expiring
        memory[word] = memory[word] &+ UInt64(bitPattern: Int64(change))
    }

    /// Extends the chain by a bucket for an entry whose block is ready.
    private func extend(_ place: inout EntryPlace, _ hash: KeyHash, instead block: Int) throws(StoreError) {
        guard let slot = extendChain(hash) else {
            freeEntry(EntryReference(bits: UInt64(block)), hash.stripe(of: layout.stripes))
            throw StoreError(.fullOfEntries(limit: layout.capacity.entries))
        }
        place.slot = slot
        place.reference = EntryReference(bits: memory[slot])
    }

    /// The commit: one store. Later writes may go where readers of the old block still read. These readers see that the
    /// reference has changed if that store comes before those writes.
    @inline(__always)
    func commit(_ block: Int, at slot: Int, after reference: EntryReference, isNew: Bool, _ hash: KeyHash) {
        memory.release(slot, reference.successor(block: block, fingerprint: hash.fingerprint).bits)
        atomicMemoryFence(ordering: .acquiringAndReleasing)
        if layout.evicts {
            let stripe = hash.stripe(of: layout.stripes)
            touch(slot, stripe)
            if isNew { tickAge(stripe) }
        }
    }

    /// Takes an entry out. The caller holds the stripe's lock.
    func remove(_ slot: Int, _ reference: EntryReference, _ stripe: Int) {
        memory.release(slot, reference.emptied.bits)
        atomicMemoryFence(ordering: .acquiringAndReleasing)
        guard let view = EntryView(self, reference) else { return }
        let hash = KeyHash(bits: view.hash)
        add(StoreGrowth(entries: -1, units: -view.shape.units), stripe: stripe)
        countExpiring(view.expiry != 0 ? -1 : 0, stripe)
        freeEntry(reference, stripe)
        // A damaged hash may lead into a stripe whose lock this process does not hold.
        if hash.stripe(of: layout.stripes) == stripe, memory[homeBucket(hash) + 56] != 0 { trimChain(hash) }
    }
}
