// The record that a message beside the ring leaves in the ring.

/// What a message beside the ring says in the ring: two words in front of its payload.
struct OutOfBandReference: Hashable, Sendable {
    /// Rises with every packet of this lane, across all generations.
    var packet: UInt64
    /// Bytes of the message in the memory file. 0 if there is no file.
    var fileByteCount: Int
    /// The file's place in the sender's pool.
    var slot: Int?
    /// How many of its descriptors, the last ones, belong to handles inside of the message.
    var luggageCount = 0

    static let byteCount = 16
}

extension OutOfBandReference {
    var bytes: [UInt8] {
        let second =
            UInt64(fileByteCount) | UInt64(UInt8(truncatingIfNeeded: luggageCount)) << 32 | UInt64(slot.map { $0 + 1 } ?? 0) << 56
        return withUnsafeBytes(of: (packet, second)) { Array($0) }
    }

    init?(_ payload: UnsafeRawBufferPointer) {
        guard payload.count >= Self.byteCount else { return nil }
        packet = payload.loadUnaligned(as: UInt64.self)
        let second = payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        fileByteCount = Int(second & 0xFFFF_FFFF)
        // With the bits that no sender sets: more than 255 are never there.
        luggageCount = Int(second >> 32 & 0xFF_FFFF)
        let number = Int(second >> 56)
        slot = (1...PayloadPool.slotCount).contains(number) ? number - 1 : nil
    }
}
