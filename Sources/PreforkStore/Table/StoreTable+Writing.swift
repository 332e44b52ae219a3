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
        guard hash.stripe(of: layout.stripes) == stripe else { return }
        if memory[homeBucket(hash) + BucketWord.link] != 0 { trimChain(hash) }
    }
}

/// Putting a value in the place of one of its size, which is what most writes do. Each has two forms, as `quickCopy`.
extension StoreTable {
    /// Stores a value of 8 to 64 bytes in the place of a plain one that takes as many units.
    ///
    /// - Returns: false when nothing was done: the form for all lengths has to.
    @inline(__always)
    func quickPut(_ key: ShortKey, _ hash: KeyHash, _ kind: ValueKind, _ value: UnsafeRawBufferPointer) -> Bool {
        guard let source = value.baseAddress, isShortRun(value.count) else { return false }
        guard let old = plainEntry(hash, key.count, { key.isAt($0) }) else { return false }
        let start = EntryShape.valueOffset(key.count)
        let lengths = EntryView.lengths(key: key.count, kind: kind, value: value.count)
        // Header, the longest short key and the longest short value are 104 bytes.
        let units = start &+ value.count > StoreLayout.unitBytes ? 2 : 1
        guard old.lengths == lengths || Self.units(start &+ old.valueBytes) == units else { return false }
        return quickReplace(old, hash, lengths, units: units) { block in
            key.copy(to: block + EntryShape.headerBytes)
            return copyShortRun(from: source, to: block + start, count: value.count)
        }
    }

    /// Stores a value in the place of a plain one that takes as many units.
    ///
    /// - Returns: false when nothing was done: `put` has to.
    @inline(never)
    func quickPut(_ key: UnsafeRawBufferPointer, _ kind: ValueKind, _ value: UnsafeRawBufferPointer) -> Bool {
        guard isKey(key), let keyStart = key.baseAddress, let source = value.baseAddress,
            value.count <= EntryShape.largestBlock
        else { return false }
        let hash = hash(key)
        guard let old = plainEntry(hash, key.count, { areEqual($0, keyStart, count: key.count) }) else { return false }
        let start = EntryShape.valueOffset(key.count)
        let lengths = EntryView.lengths(key: key.count, kind: kind, value: value.count)
        let units = Self.units(start &+ value.count)
        guard Self.units(start &+ old.valueBytes) == units else { return false }
        return quickReplace(old, hash, lengths, units: units) { block in
            copyBytes(from: keyStart, to: block + EntryShape.headerBytes, count: key.count)
            copyBytes(from: source, to: block + start, count: value.count)
            return true
        }
    }

    /// Adds to a plain integer.
    ///
    /// - Returns: nil if nothing was done, and the form for all lengths must do it.
    @inline(__always)
    func quickIncrement(_ key: ShortKey, by amount: Int64) -> Int64? {
        let hash = key.hash(secrets)
        guard let old = plainEntry(hash, key.count, { key.isAt($0) }) else { return nil }
        return quickIncrement(old, hash, key.count, by: amount)
    }

    /// Adds to a plain integer.
    ///
    /// - Returns: nil if nothing was done, and `increment` must do it.
    @inline(never)
    func quickIncrement(_ key: UnsafeRawBufferPointer, by amount: Int64) -> Int64? {
        guard isKey(key), let keyStart = key.baseAddress else { return nil }
        let hash = hash(key)
        guard let old = plainEntry(hash, key.count, { areEqual($0, keyStart, count: key.count) }) else { return nil }
        return quickIncrement(old, hash, key.count, by: amount)
    }

    /// Changes a plain integer in its place: one store of an aligned word, which readers see before or after.
    ///
    /// That store is the commit. Two others around it say to those who look twice that there was a change
    /// (`NumberSighting`). Besides the lock's cache line, only the entry's is written: processes that count different keys
    /// do not take lines from each other, and no block changes its use.
    @inline(__always)
    private func quickIncrement(_ old: PlainEntry, _ hash: KeyHash, _ keyBytes: Int, by amount: Int64) -> Int64? {
        guard old.kindBits == ValueKind.integer.rawValue, old.valueBytes == 8 else { return nil }
        let lock = QuickLock(map.stripeWords(map.stripe(hash)), own: ownWord)
        guard lock.tryLock() else { return nil }
        let words = SharedWords(base: old.bytes)
        let place = EntryShape.valueOffset(keyBytes)
        let (sum, overflow) = Int64(bitPattern: words[place]).addingReportingOverflow(amount)
        guard !mayHaveSleepers(hash), old.slot[0] == old.reference.bits, words[EntryHeader.expiry] == 0, !overflow
        else {
            giveBack(lock)
            return nil
        }
        // Another process may have counted since the entry was found.
        let lengths = words[EntryHeader.lengths]
        words[EntryHeader.lengths] = lengths &+ EntryView.change
        atomicMemoryFence(ordering: .releasing)
        words[place] = UInt64(bitPattern: sum)
        words.release(EntryHeader.lengths, lengths &+ EntryView.change &+ EntryView.change)
        if !lock.unlockWithoutBarrier() { memory.count(Header.damages) }
        if layout.evicts { touch(old, hash) }
        return sum
    }

    /// Puts a value in the place of a plain one, in a block of the same slab.
    ///
    /// All that can be looked up is looked up before the lock is taken, as a reader does: what follows the lock has to
    /// wait for it, what precedes it does not. If the reference is the same under the lock, so is all that was seen but
    /// the expiry, which can be changed in its place, and the slab is the stripe's. As many of its blocks are used
    /// before as afterwards, so that no list changes.
    ///
    /// - Parameters:
    ///   - lengths: the new block's, as `EntryView` has them.
    ///   - units: how many the new block takes, and the old one as well, so that no count changes.
    ///   - write: writes key and value into a block. Returning false leaves everything as it was.
    @inline(__always)
    private func quickReplace(
        _ old: PlainEntry, _ hash: KeyHash, _ lengths: UInt64, units: Int, _ write: (UnsafeMutableRawPointer) -> Bool
    ) -> Bool {
        let stripe = map.stripe(hash)
        let record = map.slabRecord(ofBlock: old.reference.block)
        let lock = QuickLock(map.stripeWords(stripe), own: ownWord)
        // Up to six units, each number of them has a separate class.
        guard units <= 6, record[SlabRecord.owner] == ownerWord(stripe, units &- 1), lock.tryLock()
        else { return false }
        let used = record[SlabRecord.used]
        let free = ~used & Self.allBlocks(units &- 1)
        let first = old.reference.block & ~(StoreLayout.unitsPerSlab &- 1)
        let block = first &+ free.trailingZeroBitCount &* units
        let bytes = map.bytes(block)
        guard !mayHaveSleepers(hash), old.slot[0] == old.reference.bits,
            SharedWords(base: old.bytes)[EntryHeader.expiry] == 0, free != 0, write(bytes)
        else {
            giveBack(lock)
            return false
        }
        let words = SharedWords(base: bytes)
        words[EntryHeader.hash] = hash.bits
        words[EntryHeader.lengths] = lengths
        words[EntryHeader.expiry] = 0
        // As in `commit`.
        old.slot.release(0, old.reference.successor(sameKeyIn: block).bits)
        atomicMemoryFence(ordering: .acquiringAndReleasing)
        let index = Self.blockIndex(old.reference.block &- first, units &- 1)
        record[SlabRecord.used] = (used | (free & (0 &- free))) & ~(1 << UInt64(truncatingIfNeeded: index))
        if !lock.unlockWithoutBarrier() { memory.count(Header.damages) }
        if layout.evicts { touch(old, hash) }
        return true
    }

    @inline(never)
    private func giveBack(_ lock: QuickLock) {
        if !lock.unlock() { memory.count(Header.damages) }
    }

    @inline(__always)
    private static func units(_ bytes: Int) -> Int { (bytes &+ StoreLayout.unitBytes &- 1) >> StoreLayout.unitShift }
}
