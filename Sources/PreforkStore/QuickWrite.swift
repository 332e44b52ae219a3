// Putting a value in the place of one of its size, which is what most writes do.

extension StoreTable {
    /// Stores a value in the place of a plain one that takes as many units.
    ///
    /// - Returns: false when nothing was done: `put` has to.
    @inline(__always)
    func quickPut(_ key: UnsafeRawBufferPointer, _ kind: ValueKind, _ value: UnsafeRawBufferPointer) -> Bool {
        guard let source = value.baseAddress, value.count <= EntryShape.largestBlock else { return false }
        return quickReplace(key, kind, value.count) { _, target in
            copyBytes(from: source, to: target, count: value.count)
            return true
        }
    }

    /// Adds to a plain integer.
    ///
    /// - Returns: nil when nothing was done: `increment` has to.
    @inline(__always)
    func quickIncrement(_ key: UnsafeRawBufferPointer, by amount: Int64) -> Int64? {
        var result: Int64 = 0
        let isDone = quickReplace(key, .integer, 8) { old, target in
            guard old.kindBits == ValueKind.integer.rawValue, old.valueBytes == 8 else { return false }
            let number = old.bytes.loadUnaligned(fromByteOffset: old.start, as: Int64.self)
            let (sum, overflow) = number.addingReportingOverflow(amount)
            target.storeBytes(of: sum, as: Int64.self)
            result = sum
            return !overflow
        }
        return isDone ? result : nil
    }

    /// Puts a value in the place of a plain one, in a block of the same slab.
    ///
    /// All that can be looked up is looked up before the lock is taken, as a reader does: what follows the lock has to
    /// wait for it, what precedes it does not. If the reference is the same under the lock, so is all that was seen,
    /// and the slab is the stripe's. As many of its blocks are used before as afterwards, so that no list changes.
    ///
    /// - Parameter write: writes the value, knowing the entry that it replaces; false leaves everything as it was.
    @inline(__always)
    private func quickReplace(
        _ key: UnsafeRawBufferPointer, _ kind: ValueKind, _ valueBytes: Int,
        _ write: (PlainEntry, UnsafeMutableRawPointer) -> Bool
    ) -> Bool {
        guard isKey(key) else { return false }
        let hash = hash(key)
        guard let old = plainEntry(key, hash) else { return false }
        let units = Self.units(old.start &+ valueBytes)
        let record = slabRecord(old.reference.block / StoreLayout.unitsPerSlab)
        let stripe = hash.stripe(of: layout.stripes)
        // Up to six units each number of them has a class of its own.
        guard units <= 6, units == Self.units(old.start &+ old.valueBytes),
            memory[record] == ownerWord(stripe, units &- 1), quickLock(stripe).tryLock()
        else { return false }
        let isDone = quickReplace(old, key, hash, kind, valueBytes, units, record, write)
        unlock(stripe)
        if isDone { wakeWatchers(hash) }
        return isDone
    }

    /// The caller holds the stripe's lock.
    @inline(__always)
    private func quickReplace(
        _ old: PlainEntry, _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ kind: ValueKind, _ valueBytes: Int,
        _ units: Int, _ record: Int, _ write: (PlainEntry, UnsafeMutableRawPointer) -> Bool
    ) -> Bool {
        let used = memory[record &+ 8]
        let free = ~used & Self.allBlocks(units &- 1)
        guard memory[old.slot] == old.reference.bits, free != 0 else { return false }
        let first = old.reference.block & ~(StoreLayout.unitsPerSlab &- 1)
        let block = first &+ free.trailingZeroBitCount &* units
        let bytes = blockBytes(block)
        guard write(old, bytes + old.start) else { return false }
        let words = SharedWords(base: bytes)
        words[0] = hash.bits
        words[8] = EntryView.lengths(key: key.count, kind: kind, value: valueBytes)
        words[16] = 0
        copyBytes(
            from: old.bytes + EntryShape.headerBytes, to: bytes + EntryShape.headerBytes,
            count: old.start &- EntryShape.headerBytes)
        commit(block, at: old.slot, after: old.reference, isNew: false, hash)
        let index = Self.blockIndex(old.reference.block &- first, units &- 1)
        memory[record &+ 8] = (used | (free & (0 &- free))) & ~(1 << UInt64(truncatingIfNeeded: index))
        return true
    }

    @inline(__always)
    private static func units(_ bytes: Int) -> Int { (bytes &+ StoreLayout.unitBytes &- 1) >> StoreLayout.unitShift }
}
