// The owners of slabs, and the free blocks in them.

import PreforkSystem
import Synchronization

/// A slab's record, 32 bytes:
///
/// | word | meaning                                              | written by                            |
/// |------|------------------------------------------------------|---------------------------------------|
/// | 0    | owner: 0 free, else stripe + 1 (16 bits), use << 16  | CAS from 0 by the taker               |
/// | 1    | which blocks are used, a bit each                    | the owner, under its lock (derived)   |
/// | 2, 3 | next and previous slab of the owner with room        | the same                              |
///
/// `use` is the class of its blocks, or `wholeSlab`. Taking a slab is one CAS, so that a process killed right after it
/// leaves a slab with an owner and no references, which that stripe's recovery gives back.
extension StoreTable {
    static let wholeSlab = 0xFF

    @inline(__always)
    func ownerWord(_ stripe: Int, _ use: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: stripe &+ 1) | UInt64(truncatingIfNeeded: use) << 16
    }

    /// What a slab of this stripe is used for, or nil if it does not belong to the stripe.
    @inline(__always)
    func use(ofSlab slab: Int, by stripe: Int) -> Int? {
        let word = memory[slabRecord(slab)]
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
            guard slab > 0, memory[slabRecord(slab)] == 0 else { continue }
            let (exchanged, _) = memory.word(slabRecord(slab)).pointee.compareExchange(
                expected: 0, desired: ownerWord(stripe, use), ordering: .acquiringAndReleasing)
            if exchanged {
                memory[Header.slabHint] = UInt64(slab + 1)
                memory[slabRecord(slab) + 8] = 0
                return slab
            }
        }
        return nil
    }

    /// Gives a slab back to all stripes.
    func releaseSlab(_ slab: Int) {
        memory.release(slabRecord(slab), 0)
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
        let used = memory[record + 8]
        let free = ~used & Self.allBlocks(blockClass)
        if free == 0 { return nil }
        memory[record + 8] = used | (free & (0 &- free))
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
        let used = memory[record + 8]
        let left = used & ~(1 << UInt64(index))
        memory[record + 8] = left
        if used == Self.allBlocks(blockClass) {
            open(slab, blockClass, stripe)
        } else if left == 0, memory[record + 16] != 0 || memory[record + 24] != 0 {
            close(slab, blockClass, stripe)
            releaseSlab(slab)
        }
    }

    /// Puts a slab in front of those with room.
    @inline(never)
    func open(_ slab: Int, _ blockClass: Int, _ stripe: Int) {
        let head = openSlabsOffset(blockClass, stripe)
        let next = Int(truncatingIfNeeded: memory[head])
        memory[slabRecord(slab) + 16] = UInt64(truncatingIfNeeded: next)
        memory[slabRecord(slab) + 24] = 0
        if next > 0, next < layout.slabs { memory[slabRecord(next) + 24] = UInt64(slab) }
        memory[head] = UInt64(slab)
    }

    /// Takes a slab out of those with room.
    @inline(never)
    func close(_ slab: Int, _ blockClass: Int, _ stripe: Int) {
        let next = Int(truncatingIfNeeded: memory[slabRecord(slab) + 16])
        let previous = Int(truncatingIfNeeded: memory[slabRecord(slab) + 24])
        if next > 0, next < layout.slabs { memory[slabRecord(next) + 24] = UInt64(truncatingIfNeeded: previous) }
        if previous > 0, previous < layout.slabs {
            memory[slabRecord(previous) + 16] = UInt64(truncatingIfNeeded: next)
        } else {
            memory[openSlabsOffset(blockClass, stripe)] = UInt64(truncatingIfNeeded: next)
        }
        memory[slabRecord(slab) + 16] = 0
        memory[slabRecord(slab) + 24] = 0
    }
}
