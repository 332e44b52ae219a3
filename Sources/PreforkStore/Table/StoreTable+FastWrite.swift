// Putting a value in the place of one of its size, which is what most writes do.

import PreforkSystem
import Synchronization

/// Each write has two forms, as in `QuickRead`.
extension StoreTable {
    /// Stores a value of 8 to 64 bytes in the place of a plain one that takes as many units.
    ///
    /// - Returns: false when nothing was done: the form for all lengths has to.
    @inline(__always)
    func quickPut(_ key: ShortKey, _ kind: ValueKind, _ value: UnsafeRawBufferPointer) -> Bool {
        guard let source = value.baseAddress, isShortRun(value.count) else { return false }
        let hash = key.hash(secrets)
        guard let old = plainEntry(hash, key.count, { key.isAt($0) }) else { return false }
        let start = EntryShape.headerBytes &+ key.count
        let lengths = EntryView.lengths(key: key.count, kind: kind, value: value.count)
        // Header, the longest short key and the longest short value are 103 bytes.
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
        let start = EntryShape.headerBytes &+ key.count
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
        // Header, the longest short key and a number are 47 bytes.
        return quickIncrement(old, hash, key.count, units: 1, by: amount) { key.copy(to: $0) }
    }

    /// Adds to a plain integer.
    ///
    /// - Returns: nil if nothing was done, and `increment` must do it.
    @inline(never)
    func quickIncrement(_ key: UnsafeRawBufferPointer, by amount: Int64) -> Int64? {
        guard isKey(key), let keyStart = key.baseAddress else { return nil }
        let hash = hash(key)
        guard let old = plainEntry(hash, key.count, { areEqual($0, keyStart, count: key.count) }) else { return nil }
        let units = Self.units(EntryShape.headerBytes &+ key.count &+ 8)
        return quickIncrement(old, hash, key.count, units: units, by: amount) { target in
            copyBytes(from: keyStart, to: target, count: key.count)
        }
    }

    @inline(__always)
    private func quickIncrement(
        _ old: PlainEntry, _ hash: KeyHash, _ keyBytes: Int, units: Int, by amount: Int64,
        _ copyKey: (UnsafeMutableRawPointer) -> Void
    ) -> Int64? {
        guard old.kindBits == ValueKind.integer.rawValue, old.valueBytes == 8 else { return nil }
        let start = EntryShape.headerBytes &+ keyBytes
        let lengths = EntryView.lengths(key: keyBytes, kind: .integer, value: 8)
        var result: Int64 = 0
        let isDone = quickReplace(old, hash, lengths, units: units) { block in
            let number = old.bytes.loadUnaligned(fromByteOffset: start, as: Int64.self)
            let (sum, overflow) = number.addingReportingOverflow(amount)
            if overflow { return false }
            copyKey(block + EntryShape.headerBytes)
            block.storeBytes(of: sum, toByteOffset: start, as: Int64.self)
            result = sum
            return true
        }
        return isDone ? result : nil
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
        guard units <= 6, record[0] == ownerWord(stripe, units &- 1), lock.tryLock() else { return false }
        let used = record[8]
        let free = ~used & Self.allBlocks(units &- 1)
        let first = old.reference.block & ~(StoreLayout.unitsPerSlab &- 1)
        let block = first &+ free.trailingZeroBitCount &* units
        let bytes = map.bytes(block)
        guard !mayHaveSleepers(hash), old.slot[0] == old.reference.bits, SharedWords(base: old.bytes)[16] == 0,
            free != 0, write(bytes)
        else {
            giveBack(lock)
            return false
        }
        let words = SharedWords(base: bytes)
        words[0] = hash.bits
        words[8] = lengths
        words[16] = 0
        // As in `commit`.
        old.slot.release(0, old.reference.successor(sameKeyIn: block).bits)
        atomicMemoryFence(ordering: .acquiringAndReleasing)
        let index = Self.blockIndex(old.reference.block &- first, units &- 1)
        record[8] = (used | (free & (0 &- free))) & ~(1 << UInt64(truncatingIfNeeded: index))
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
