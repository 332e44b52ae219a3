// Writing an entry into blocks that no reader sees yet, and giving blocks back.

extension StoreTable {
    /// Writes a whole entry and returns its block, which is unused until a reference to it is stored.
    ///
    /// - Parameter rearranged: becomes true when other entries of the stripe were moved to make room.
    func makeEntry(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ value: RawValue, expiry: UInt64, _ rearranged: inout Bool
    ) throws(StoreError) -> Int {
        let stripe = hash.stripe(of: layout.stripes)
        let shape = EntryShape(keyBytes: key.count, valueBytes: value.bytes.count)
        guard
            let block = allocateBlock(shape.blockClass, stripe: stripe)
                ?? allocateAfterCompaction(shape.blockClass, stripe, &rearranged)
        else { throw noSlab(shape) }
        write(key, hash, value, expiry: expiry, at: block, shape)
        if shape.slabs > 0, !writeSlabs(value.bytes, shape, blockBytes(block), stripe, &rearranged) {
            freeBlock(block, stripe: stripe)
            throw noSlab(shape)
        }
        return block
    }

    /// Writes header and key, and the value if it fits into the block.
    @inline(__always)
    func write(
        _ key: UnsafeRawBufferPointer, _ hash: KeyHash, _ value: RawValue, expiry: UInt64, at block: Int,
        _ shape: EntryShape
    ) {
        let bytes = blockBytes(block)
        let words = SharedWords(base: bytes)
        words[0] = hash.bits
        words[8] = EntryView.lengths(key: key.count, kind: value.kind, value: value.bytes.count)
        words[16] = expiry
        if let start = key.baseAddress {
            copyBytes(from: start, to: bytes + EntryShape.headerBytes, count: key.count)
        }
        if shape.slabs == 0, let start = value.bytes.baseAddress {
            copyBytes(from: start, to: bytes + shape.restOffset, count: value.bytes.count)
        }
    }

    private func noSlab(_ shape: EntryShape) -> StoreError {
        memory.count(Header.refusals)
        return full(needed: shape.units, used: totals().units - shape.units)
    }

    /// Puts the first part of a large value into whole slabs, the rest into the block.
    private func writeSlabs(
        _ value: UnsafeRawBufferPointer, _ shape: EntryShape, _ block: UnsafeMutableRawPointer, _ stripe: Int,
        _ rearranged: inout Bool
    ) -> Bool {
        var rest = value
        for index in 0..<shape.slabs {
            guard
                let slab = claimSlab(Self.wholeSlab, stripe: stripe)
                    ?? claimAfterCompaction(Self.wholeSlab, stripe, &rearranged)
            else {
                for claimed in 0..<index {
                    let slab = block.load(fromByteOffset: shape.listOffset + claimed * 4, as: UInt32.self)
                    if slab < UInt32(layout.slabs) { releaseSlab(Int(slab)) }
                }
                return false
            }
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(StoreLayout.slabBytes))
            UnsafeMutableRawBufferPointer(start: slabBytes(slab), count: part.count).copyMemory(from: part)
            block.storeBytes(of: UInt32(slab), toByteOffset: shape.listOffset + index * 4, as: UInt32.self)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
        }
        UnsafeMutableRawBufferPointer(start: block + shape.restOffset, count: rest.count).copyMemory(from: rest)
        return true
    }

    /// Gives back the blocks of an entry that no reference names any more. The caller holds the stripe's lock.
    @inline(__always)
    func freeEntry(_ reference: EntryReference, _ stripe: Int) {
        if let view = EntryView(self, reference) {
            let shape = view.shape
            if shape.slabs > 0 { freeSlabs(of: view, shape, stripe) }
        }
        if isInRange(reference) { freeBlock(reference.block, stripe: stripe) }
    }

    private func freeSlabs(of view: EntryView, _ shape: EntryShape, _ stripe: Int) {
        for index in 0..<shape.slabs {
            guard let slab = view.slab(index, shape, self), use(ofSlab: slab, by: stripe) == Self.wholeSlab else {
                continue
            }
            releaseSlab(slab)
        }
    }
}
