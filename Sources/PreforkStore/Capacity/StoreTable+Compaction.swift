// Moving entries together, so that half-empty slabs do not use up a store that has room.

extension StoreTable {
    /// A block out of a slab that compaction has freed.
    func allocateAfterCompaction(_ blockClass: Int, _ stripe: Int, _ rearranged: inout Bool) -> Int? {
        guard let slab = claimAfterCompaction(blockClass, stripe, &rearranged) else { return nil }
        open(slab, blockClass, stripe)
        return takeBlock(in: slab, blockClass, stripe)
    }

    /// A slab that was free only in pieces: some stripe's entries of one size are moved out of the emptiest of their
    /// slabs into the others.
    ///
    /// There is one whenever the store's capacity is not reached, unless all other stripes are being written to: a
    /// stripe that cannot free a slab wastes less than one for each size, and so many more exist.
    func claimAfterCompaction(_ use: Int, _ stripe: Int, _ rearranged: inout Bool) -> Int? {
        if compact(stripe) {
            rearranged = true
            if let slab = claimSlab(use, stripe: stripe) { return slab }
        }
        for other in 0..<layout.stripes where other != stripe {
            guard lockWithoutWaiting(other) else { continue }
            let isFreed = compact(other)
            unlock(other)
            if isFreed, let slab = claimSlab(use, stripe: stripe) { return slab }
        }
        return nil
    }

    /// Frees one slab of a stripe, if its entries fit into the stripe's others. The caller holds its lock.
    private func compact(_ stripe: Int) -> Bool {
        for blockClass in 0..<EntryShape.classCount {
            let all = Self.allBlocks(blockClass)
            var emptiest: (slab: Int, used: Int)?
            var free = 0
            forEachOpenSlab(blockClass, stripe) { slab in
                let used = (memory[slabRecord(slab) + SlabRecord.used] & all).nonzeroBitCount
                free += all.nonzeroBitCount - used
                if emptiest.map({ used < $0.used }) ?? true { emptiest = (slab, used) }
            }
            guard let emptiest, free - (all.nonzeroBitCount - emptiest.used) >= emptiest.used else { continue }
            if empty(emptiest.slab, blockClass, stripe) {
                memory.count(Header.compactions)
                return true
            }
        }
        return false
    }

    private func forEachOpenSlab(_ blockClass: Int, _ stripe: Int, _ body: (Int) -> Void) {
        var slab = Int(truncatingIfNeeded: memory[openSlabsOffset(blockClass, stripe)])
        // A list cannot be longer than the number of slabs. A longer one is damaged.
        for _ in 0..<layout.slabs where slab > 0 && slab < layout.slabs {
            body(slab)
            slab = Int(truncatingIfNeeded: memory[slabRecord(slab) + SlabRecord.next])
        }
    }

    /// Moves every entry of a slab to other slabs and gives it back.
    private func empty(_ slab: Int, _ blockClass: Int, _ stripe: Int) -> Bool {
        close(slab, blockClass, stripe)
        let units = EntryShape.units(ofClass: blockClass)
        let used = memory[slabRecord(slab) + SlabRecord.used]
        for index in 0..<64 where used & 1 << UInt64(index) != 0 {
            let block = slab * StoreLayout.unitsPerSlab + index * units
            guard move(block, blockClass, stripe) else {
                open(slab, blockClass, stripe)
                return false
            }
        }
        releaseSlab(slab)
        return true
    }

    private func move(_ block: Int, _ blockClass: Int, _ stripe: Int) -> Bool {
        // Blocks that no reference names yet belong to an operation in progress: they stay where they are.
        let hash = KeyHash(bits: SharedWords(base: blockBytes(block))[0])
        guard hash.stripe(of: layout.stripes) == stripe, let slot = slot(of: block, hash),
            memory[openSlabsOffset(blockClass, stripe)] != 0,
            let target = allocateBlock(blockClass, stripe: stripe)
        else { return false }
        blockBytes(target).copyMemory(
            from: blockBytes(block), byteCount: EntryShape.units(ofClass: blockClass) * StoreLayout.unitBytes)
        let reference = EntryReference(bits: memory[slot])
        commit(target, at: slot, after: reference, isNew: false, hash)
        let record = slabRecord(block / StoreLayout.unitsPerSlab)
        let index = block % StoreLayout.unitsPerSlab / EntryShape.units(ofClass: blockClass)
        memory[record + SlabRecord.used] = memory[record + SlabRecord.used] & ~(1 << UInt64(index))
        return true
    }

    /// Where the reference to a block is.
    private func slot(of block: Int, _ hash: KeyHash) -> Int? {
        var bucket = homeBucket(hash)
        for _ in 0...layout.overflowBuckets {
            for index in 0..<StoreLayout.slotsPerBucket {
                let slot = bucket + index * 8
                let reference = EntryReference(bits: memory[slot])
                if reference.block == block, !reference.isPending { return slot }
            }
            guard let next = linkedBucket(bucket, stripe: hash.stripe(of: layout.stripes)) else { return nil }
            bucket = next
        }
        return nil
    }
}
