// An entry's block as it lies in memory, which may change while it is read.

/// A look at a block. Everything read through it counts only after the reference was found unchanged; until then lengths
/// can be anything, and no read leaves the mapping.
struct EntryView {
    private let firstSlab: UnsafeMutableRawPointer
    private let slabCount: Int
    let bytes: UnsafeMutableRawPointer
    let keyBytes: Int
    let valueBytes: Int
    let kindBits: UInt8

    /// - Returns: nil when the lengths are none that an entry can have.
    @inline(__always)
    init?(_ table: StoreTable, _ reference: EntryReference) {
        guard table.isInRange(reference) else { return nil }
        firstSlab = table.slabBytes(0)
        slabCount = table.layout.slabs
        bytes = table.blockBytes(reference.block)
        let lengths = SharedWords(base: bytes)[8]
        keyBytes = Int(truncatingIfNeeded: lengths & 0xFFFF)
        kindBits = UInt8(truncatingIfNeeded: lengths >> 16)
        valueBytes = Int(truncatingIfNeeded: lengths >> 32)
        if keyBytes > EntryShape.maximumKeyBytes || valueBytes > EntryShape.maximumValueBytes { return nil }
    }

    @inline(__always)
    var hash: UInt64 { SharedWords(base: bytes)[0] }

    /// Monotonic nanoseconds; 0: never.
    @inline(__always)
    var expiry: UInt64 { SharedWords(base: bytes)[16] }

    @inline(__always)
    var isExpired: Bool { expiry != 0 && isPast(expiry) }

    @inline(__always)
    var shape: EntryShape { EntryShape(keyBytes: keyBytes, valueBytes: valueBytes) }

    var kind: ValueKind? { ValueKind(rawValue: kindBits) }

    @inline(__always)
    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes + EntryShape.headerBytes, count: keyBytes)
    }

    @inline(__always)
    func hasKey(_ key: UnsafeRawBufferPointer, _ hash: KeyHash) -> Bool {
        guard self.hash == hash.bits, keyBytes == key.count else { return false }
        return areEqual(self.key, key)
    }

    /// The value, where it is in one piece.
    @inline(__always)
    var contiguousValue: UnsafeRawBufferPointer? {
        let shape = shape
        guard shape.slabs == 0 else { return nil }
        return UnsafeRawBufferPointer(start: bytes + shape.restOffset, count: valueBytes)
    }

    /// Copies the value to `target`, which has room for `valueBytes`.
    ///
    /// - Returns: false when the entry is not whole (any more).
    @inline(__always)
    func copyValue(to target: UnsafeMutableRawPointer) -> Bool {
        let shape = shape
        if shape.slabs == 0 {
            copyBytes(from: bytes + shape.restOffset, to: target, count: valueBytes)
            return true
        }
        return copyLargeValue(shape, to: target)
    }

    private func copyLargeValue(_ shape: EntryShape, to target: UnsafeMutableRawPointer) -> Bool {
        var position = 0
        for index in 0..<shape.slabs {
            guard let slab = slab(index, shape) else { return false }
            let count = min(StoreLayout.slabBytes, valueBytes - position)
            target.advanced(by: position).copyMemory(
                from: firstSlab + slab * StoreLayout.slabBytes, byteCount: count)
            position += count
        }
        target.advanced(by: position).copyMemory(from: bytes + shape.restOffset, byteCount: shape.restBytes)
        return true
    }

    /// The number of one of the value's slabs; nil when it is none.
    func slab(_ index: Int, _ shape: EntryShape) -> Int? {
        let slab = Int(bytes.load(fromByteOffset: shape.listOffset + index * 4, as: UInt32.self))
        return slab > 0 && slab < slabCount ? slab : nil
    }

    /// The value as an array; nil when the entry is not whole (any more).
    func copiedValue() -> StoredValue? {
        guard let kind else { return nil }
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: valueBytes) { buffer, count in
            count = valueBytes
            isWhole = valueBytes == 0 || copyValue(to: buffer.baseAddress!)
            if !isWhole { count = 0 }
        }
        return isWhole ? StoredValue(kind: kind, bytes: bytes) : nil
    }
}

/// Whether two equally long runs of bytes are the same.
@inline(__always)
func areEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    var position = 0
    let count = a.count
    while position &+ 8 <= count {
        if a.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            != b.loadUnaligned(fromByteOffset: position, as: UInt64.self)
        {
            return false
        }
        position &+= 8
    }
    while position < count {
        if a[position] != b[position] { return false }
        position &+= 1
    }
    return true
}

/// Copies short runs by words, without a call; long ones as memcpy(3) does.
@inline(__always)
func copyBytes(from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int) {
    if count > 128 {
        target.copyMemory(from: source, byteCount: count)
        return
    }
    var position = 0
    while position &+ 8 <= count {
        target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: position, as: UInt64.self), toByteOffset: position,
            as: UInt64.self)
        position &+= 8
    }
    while position < count {
        target.storeBytes(of: source.load(fromByteOffset: position, as: UInt8.self), toByteOffset: position, as: UInt8.self)
        position &+= 1
    }
}
