// Entries in blocks, and blocks in slabs: taking a block, writing an entry into it, giving it back.

import PreforkSystem
import Synchronization

/// A slab's record, the first 32 of its 64 bytes:
///
/// | word     | meaning                                              | written by                          |
/// |----------|------------------------------------------------------|-------------------------------------|
/// | owner    | 0: free, else stripe + 1 (16 bits), use << 16        | CAS from 0 by the taker             |
/// | used     | which blocks are used, a bit each                    | the owner, under its lock (derived) |
/// | next     | the next slab of the owner with room                 | the same                            |
/// | previous | the one before                                       | the same                            |
///
/// `use` is the class of its blocks, or `wholeSlab`. Taking a slab is one CAS, so that a process killed right after it
/// leaves a slab with an owner and no references, which that stripe's recovery gives back.
enum SlabRecord {
    static let owner = 0
    static let used = 8
    static let next = 16
    static let previous = 24
}

/// Writing an entry into blocks that no reader sees yet. The caller holds the stripe's lock.
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
        words[EntryHeader.hash] = hash.bits
        words[EntryHeader.lengths] = EntryView.lengths(key: key.count, kind: value.kind, value: value.bytes.count)
        words[EntryHeader.expiry] = expiry
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

/// The owners of slabs, and the free blocks in them.
extension StoreTable {
    static let wholeSlab = 0xFF

    @inline(__always)
    func ownerWord(_ stripe: Int, _ use: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: stripe &+ 1) | UInt64(truncatingIfNeeded: use) << 16
    }

    /// What a slab of this stripe is used for, or nil if it does not belong to the stripe.
    @inline(__always)
    func use(ofSlab slab: Int, by stripe: Int) -> Int? {
        let word = memory[slabRecord(slab) + SlabRecord.owner]
        guard word & 0xFFFF == UInt64(stripe + 1) else { return nil }
        return Int(truncatingIfNeeded: word >> 16)
    }

    /// Takes a free slab, or returns nil if there is no free slab.
    @inline(never)
    func claimSlab(_ use: Int, stripe: Int) -> Int? {
        // Any process can write the hint.
        let start = Int(memory[Header.slabHint] % UInt64(layout.slabs))
        for offset in 0..<layout.slabs {
            let slab = (start &+ offset) % layout.slabs
            guard slab > 0, memory[slabRecord(slab) + SlabRecord.owner] == 0 else { continue }
            let (exchanged, _) = memory.word(slabRecord(slab) + SlabRecord.owner).pointee.compareExchange(
                expected: 0, desired: ownerWord(stripe, use), ordering: .acquiringAndReleasing)
            if exchanged {
                memory[Header.slabHint] = UInt64(slab + 1)
                memory[slabRecord(slab) + SlabRecord.used] = 0
                return slab
            }
        }
        return nil
    }

    /// Gives a slab back to all stripes.
    func releaseSlab(_ slab: Int) {
        memory.release(slabRecord(slab) + SlabRecord.owner, 0)
        memory[Header.slabHint] = UInt64(slab)
    }

    /// All blocks of a slab of this class, a bit each.
    @inline(__always)
    static func allBlocks(_ blockClass: Int) -> UInt64 {
        switch blockClass {
        case 0: .max
        case 1: 0xFFFF_FFFF
        case 2: 0x1F_FFFF
        case 3: 0xFFFF
        case 4: 0xFFF
        case 5: 0x3FF
        case 6: 0xFF
        case 7: 0x3F
        case 8: 0x1F
        case 9: 0xF
        case 10: 0x7
        default: 0x3
        }
    }

    /// Which block of its slab begins at a unit. A switch of constants, because dividing by a variable takes as long as
    /// half of a write.
    @inline(__always)
    static func blockIndex(_ unit: Int, _ blockClass: Int) -> Int {
        switch blockClass {
        case 0: unit
        case 1: unit >> 1
        case 2: unit / 3
        case 3: unit >> 2
        case 4: unit / 5
        case 5: unit / 6
        case 6: unit >> 3
        case 7: unit / 10
        case 8: unit / 12
        case 9: unit >> 4
        case 10: unit / 21
        default: unit >> 5
        }
    }

    @inline(__always)
    func openSlabsOffset(_ blockClass: Int, _ stripe: Int) -> Int {
        stripeOffset(stripe) &+ Stripe.openSlabs &+ blockClass &* 8
    }

    /// Takes a free block out of the stripe's slabs, or out of a new slab. Nil if neither is available.
    @inline(__always)
    func allocateBlock(_ blockClass: Int, stripe: Int) -> Int? {
        let head = openSlabsOffset(blockClass, stripe)
        var slab = Int(truncatingIfNeeded: memory[head])
        if slab == 0 {
            guard let new = claimSlab(blockClass, stripe: stripe) else { return nil }
            open(new, blockClass, stripe)
            slab = new
        }
        guard slab > 0, slab < layout.slabs else { return nil }
        return takeBlock(in: slab, blockClass, stripe)
    }

    @inline(__always)
    func takeBlock(in slab: Int, _ blockClass: Int, _ stripe: Int) -> Int? {
        let record = slabRecord(slab)
        let used = memory[record + SlabRecord.used]
        let free = ~used & Self.allBlocks(blockClass)
        if free == 0 { return nil }
        memory[record + SlabRecord.used] = used | (free & (0 &- free))
        if free & (free &- 1) == 0 { close(slab, blockClass, stripe) }
        return slab &* StoreLayout.unitsPerSlab &+ free.trailingZeroBitCount &* EntryShape.units(ofClass: blockClass)
    }

    /// Puts a block back. A slab without blocks goes back to all stripes, but for the last one with room.
    @inline(__always)
    func freeBlock(_ block: Int, stripe: Int) {
        let slab = block / StoreLayout.unitsPerSlab
        guard let blockClass = use(ofSlab: slab, by: stripe), blockClass < EntryShape.classCount else { return }
        let index = Self.blockIndex(block % StoreLayout.unitsPerSlab, blockClass)
        let record = slabRecord(slab)
        let used = memory[record + SlabRecord.used]
        let left = used & ~(1 << UInt64(index))
        memory[record + SlabRecord.used] = left
        if used == Self.allBlocks(blockClass) {
            open(slab, blockClass, stripe)
        } else if left == 0, memory[record + SlabRecord.next] != 0 || memory[record + SlabRecord.previous] != 0 {
            close(slab, blockClass, stripe)
            releaseSlab(slab)
        }
    }

    /// Puts a slab in front of those with room.
    @inline(never)
    func open(_ slab: Int, _ blockClass: Int, _ stripe: Int) {
        let head = openSlabsOffset(blockClass, stripe)
        let next = Int(truncatingIfNeeded: memory[head])
        memory[slabRecord(slab) + SlabRecord.next] = UInt64(truncatingIfNeeded: next)
        memory[slabRecord(slab) + SlabRecord.previous] = 0
        if next > 0, next < layout.slabs { memory[slabRecord(next) + SlabRecord.previous] = UInt64(slab) }
        memory[head] = UInt64(slab)
    }

    /// Takes a slab out of those with room.
    @inline(never)
    func close(_ slab: Int, _ blockClass: Int, _ stripe: Int) {
        let next = Int(truncatingIfNeeded: memory[slabRecord(slab) + SlabRecord.next])
        let previous = Int(truncatingIfNeeded: memory[slabRecord(slab) + SlabRecord.previous])
        if next > 0, next < layout.slabs {
            memory[slabRecord(next) + SlabRecord.previous] = UInt64(truncatingIfNeeded: previous)
        }
        if previous > 0, previous < layout.slabs {
            memory[slabRecord(previous) + SlabRecord.next] = UInt64(truncatingIfNeeded: next)
        } else {
            memory[openSlabsOffset(blockClass, stripe)] = UInt64(truncatingIfNeeded: next)
        }
        memory[slabRecord(slab) + SlabRecord.next] = 0
        memory[slabRecord(slab) + SlabRecord.previous] = 0
    }
}
