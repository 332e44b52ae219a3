// An entry's block in memory, which may change while it is read.

/// A view of a block. What is read through it counts only after the reference was found unchanged. Until then lengths
/// can have any value, and no read leaves the mapping. Two words, because one is made for every entry that is examined.
struct EntryView {
    let bytes: UnsafeMutableRawPointer
    private let lengths: UInt64

    /// - Returns: nil if no entry can have these lengths.
    @inline(__always)
    init?(_ table: StoreTable, _ reference: EntryReference) {
        guard table.isInRange(reference) else { return nil }
        bytes = table.blockBytes(reference.block)
        // Read before the value: see `Sighting`.
        lengths = SharedWords(base: bytes).acquire(EntryHeader.lengths)
        if keyBytes > EntryShape.maximumKeyBytes || valueBytes > EntryShape.maximumValueBytes { return nil }
    }

    /// What the second word of a block says, before any change in place.
    @inline(__always)
    static func lengths(key: Int, kind: ValueKind, value: Int) -> UInt64 {
        UInt64(truncatingIfNeeded: key) | UInt64(kind.rawValue) << 16 | UInt64(truncatingIfNeeded: value) << 24
    }

    /// Added to the second word before a number changes in its place, and once more afterwards. It overflows into no other
    /// part of the word.
    static let change: UInt64 = 1 << 45

    /// The same two words now. Whether they are still this entry's, its reference says.
    func numberNow() -> NumberSighting {
        let words = SharedWords(base: bytes)
        let lengths = words.acquire(EntryHeader.lengths)
        return NumberSighting(lengths: lengths, value: words[EntryShape.valueOffset(keyBytes)])
    }

    /// After the death of a writer that has changed its number, or was about to. The caller holds the stripe's lock.
    func finishChange() {
        if Self.isChanging(lengths) {
            SharedWords(base: bytes).release(EntryHeader.lengths, lengths &+ Self.change)
        }
    }

    var isChanging: Bool { Self.isChanging(lengths) }

    @inline(__always)
    static func valueBytes(_ lengths: UInt64) -> Int { Int(truncatingIfNeeded: lengths >> 24) & 0x1F_FFFF }

    /// Whether a writer was killed, or is at work, between the two.
    @inline(__always)
    static func isChanging(_ lengths: UInt64) -> Bool { lengths & change != 0 }

    /// Of a number the two words by which a second look sees that it has changed in its place.
    @inline(__always)
    var number: NumberSighting? {
        guard kindBits == ValueKind.integer.rawValue, valueBytes == 8 else { return nil }
        let value = SharedWords(base: bytes)[EntryShape.valueOffset(keyBytes)]
        return NumberSighting(lengths: lengths, value: value)
    }

    @inline(__always)
    var keyBytes: Int { Int(truncatingIfNeeded: lengths & 0xFFFF) }

    @inline(__always)
    var valueBytes: Int { Self.valueBytes(lengths) }

    @inline(__always)
    var kindBits: UInt8 { UInt8(truncatingIfNeeded: lengths >> 16) }

    @inline(__always)
    var kind: ValueKind? { ValueKind(rawValue: kindBits) }

    @inline(__always)
    var hash: UInt64 { SharedWords(base: bytes)[EntryHeader.hash] }

    /// Monotonic nanoseconds, or 0 for no expiry.
    @inline(__always)
    var expiry: UInt64 { SharedWords(base: bytes)[EntryHeader.expiry] }

    @inline(__always)
    var isExpired: Bool {
        let expiry = expiry
        return expiry != 0 && isPast(expiry)
    }

    @inline(__always)
    var shape: EntryShape { EntryShape(keyBytes: keyBytes, valueBytes: valueBytes) }

    @inline(__always)
    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes + EntryShape.headerBytes, count: keyBytes)
    }

    @inline(__always)
    func hasKey(_ key: UnsafeRawBufferPointer, _ hash: KeyHash) -> Bool {
        self.hash == hash.bits && hasKey(key)
    }

    @inline(__always)
    func hasKey(_ key: UnsafeRawBufferPointer) -> Bool {
        guard keyBytes == key.count, let start = key.baseAddress else { return false }
        return areEqual(bytes + EntryShape.headerBytes, start, count: key.count)
    }

    /// The value, if it is in one piece.
    @inline(__always)
    var contiguousValue: UnsafeRawBufferPointer? {
        let start = EntryShape.valueOffset(keyBytes)
        guard start &+ valueBytes <= EntryShape.largestBlock else { return nil }
        return UnsafeRawBufferPointer(start: bytes + start, count: valueBytes)
    }

    /// Copies the value to `target`, which has room for `valueBytes`.
    ///
    /// - Returns: false when the entry is not whole (any more).
    @inline(__always)
    func copyValue(to target: UnsafeMutableRawPointer, _ table: StoreTable) -> Bool {
        guard let value = contiguousValue, let start = value.baseAddress else {
            return copyLargeValue(to: target, table)
        }
        copyBytes(from: start, to: target, count: value.count)
        return true
    }

    private func copyLargeValue(to target: UnsafeMutableRawPointer, _ table: StoreTable) -> Bool {
        let shape = shape
        var position = 0
        for index in 0..<shape.slabs {
            guard let slab = slab(index, shape, table) else { return false }
            let count = min(StoreLayout.slabBytes, valueBytes - position)
            target.advanced(by: position).copyMemory(from: table.slabBytes(slab), byteCount: count)
            position += count
        }
        target.advanced(by: position).copyMemory(from: bytes + shape.restOffset, byteCount: shape.restBytes)
        return true
    }

    /// The number of one of the value's slabs, or nil if it is not a slab's.
    func slab(_ index: Int, _ shape: EntryShape, _ table: StoreTable) -> Int? {
        let slab = Int(bytes.load(fromByteOffset: shape.listOffset + index * 4, as: UInt32.self))
        return slab > 0 && slab < table.layout.slabs ? slab : nil
    }

    /// The value as an array, or nil if the entry is not whole (any more).
    func copiedValue(_ table: StoreTable) -> StoredValue? {
        guard let kind else { return nil }
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: valueBytes) { buffer, count in
            count = valueBytes
            // Room for one byte or more has an address.
            isWhole = valueBytes == 0 || copyValue(to: buffer.baseAddress!, table)
            if !isWhole { count = 0 }
        }
        return isWhole ? StoredValue(kind: kind, bytes: bytes) : nil
    }
}

/// What two looks at a number must both have seen, to have seen the same number all the time in between.
///
/// A change in place goes through three stores: the count of changes becomes odd, the value changes, the count becomes
/// even. The count alone does not suffice where a writer is stopped between the first two. The value alone does not
/// suffice either, because it may have come back. To be wrong, a reader would have to sleep through exactly 2^18 changes
/// that add up to zero.
struct NumberSighting: Equatable {
    var lengths: UInt64
    var value: UInt64
}
