// The division of an entry into blocks.

/// The parts of an entry, from the lengths of its key and value alone.
///
/// An entry's block: 24 bytes of header, the key, and the value from a multiple of 8 on, so that a number is one aligned
/// word, which is changed in its place (`StoreTable.quickIncrement`). If a value would make the block larger than half a
/// slab, the value's first part fills whole slabs. Their numbers (4 bytes each) come before the rest of it:
///
/// | bytes         | what                                                               |
/// |---------------|--------------------------------------------------------------------|
/// | 0 ..< 8       | hash of the key                                                    |
/// | 8 ..< 16      | key length 16, kind 8, value length 21, changes in place 19 (bits) |
/// | 16 ..< 24     | expiry in monotonic nanoseconds, 0: never                          |
/// | 24 ..< 24 + k | key                                                                |
/// | then          | slab numbers, from a multiple of 8                                 |
/// | then          | the last bytes of the value                                        |
struct EntryShape: Equatable {
    static let headerBytes = 24
    static let maximumKeyBytes = 512
    static let maximumValueBytes = 1 << 20
    static let largestBlock = 32 * StoreLayout.unitBytes

    /// Whole slabs of value.
    let slabs: Int
    /// Where their numbers begin in the block.
    let listOffset: Int
    /// Where the rest of the value begins in the block.
    let restOffset: Int
    let restBytes: Int

    @inline(__always)
    init(keyBytes: Int, valueBytes: Int) {
        let start = Self.valueOffset(keyBytes)
        if start + valueBytes <= Self.largestBlock {
            self.init(slabs: 0, listOffset: start, restBytes: valueBytes)
        } else {
            self.init(large: valueBytes, from: start)
        }
    }

    private init(large valueBytes: Int, from start: Int) {
        let whole = valueBytes / StoreLayout.slabBytes
        let rest = valueBytes % StoreLayout.slabBytes
        let restFits = start + whole * 4 + rest <= Self.largestBlock
        // Otherwise the last slab is not full, and nothing is left for the block.
        self.init(slabs: restFits ? whole : whole + 1, listOffset: start, restBytes: restFits ? rest : 0)
    }

    @inline(__always)
    private init(slabs: Int, listOffset: Int, restBytes: Int) {
        self.slabs = slabs
        self.listOffset = listOffset
        self.restBytes = restBytes
        restOffset = listOffset + slabs * 4
    }

    /// Where what follows the key begins.
    @inline(__always)
    static func valueOffset(_ keyBytes: Int) -> Int { (headerBytes &+ keyBytes &+ 7) & ~7 }

    @inline(__always)
    var blockBytes: Int { restOffset + restBytes }

    /// The smallest class of blocks that holds it. See `units(ofClass:)`.
    @inline(__always)
    var blockClass: Int {
        let units = (blockBytes + StoreLayout.unitBytes - 1) / StoreLayout.unitBytes
        if units <= 6 { return units - 1 }
        var index = 6
        while Self.units(ofClass: index) < units { index += 1 }
        return index
    }

    /// What it takes of the store's capacity.
    @inline(__always)
    var units: Int { Self.units(ofClass: blockClass) + slabs * StoreLayout.unitsPerSlab }

    static let classCount = 12

    /// Sizes of blocks, in units: at most a third of a block is unused, and no block crosses a slab's end.
    ///
    /// As a function, because a global array costs a check and two loads on the fast path.
    @inline(__always)
    static func units(ofClass index: Int) -> Int {
        switch index {
        case 0...5: index + 1
        case 6: 8
        case 7: 10
        case 8: 12
        case 9: 16
        case 10: 21
        default: 32
        }
    }
}

/// Words of an entry's header, by byte offset. See `EntryShape`.
enum EntryHeader {
    static let hash = 0
    static let lengths = 8
    static let expiry = 16
}
