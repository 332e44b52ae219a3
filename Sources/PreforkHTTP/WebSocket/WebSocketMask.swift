// The masking of frames (RFC 6455, section 5.3).

/// The masking key of one frame. It applies to a byte by the byte's place in the payload.
struct WebSocketMask: Hashable, Sendable {
    /// In the order of the wire.
    var key: SIMD4<UInt8>

    init(_ key: SIMD4<UInt8>) {
        self.key = key
    }

    /// The key as a number, its first byte the lowest.
    var word: UInt32 { (0..<4).reduce(0) { $0 | UInt32(key[$1]) << (8 * UInt32($1)) } }

    init(word: UInt32) {
        key = SIMD4(UInt8(truncatingIfNeeded: word), UInt8(truncatingIfNeeded: word >> 8),
            UInt8(truncatingIfNeeded: word >> 16), UInt8(truncatingIfNeeded: word >> 24))
    }

    /// Masks or unmasks a piece of a payload in place.
    ///
    /// - Parameter offset: where in the payload the piece begins.
    func apply(to bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
        guard let base = bytes.baseAddress else { return }
        let rotated = SIMD4(key[offset & 3], key[(offset &+ 1) & 3], key[(offset &+ 2) & 3], key[(offset &+ 3) & 3])
        // As the key is repeated in memory, whatever the byte order is.
        let word = UInt64(unsafeBitCast(rotated, to: UInt32.self)) &* 0x0000_0001_0000_0001
        let wide = SIMD4(repeating: word)
        var place = 0
        while place &+ 32 <= bytes.count {
            let masked = base.loadUnaligned(fromByteOffset: place, as: SIMD4<UInt64>.self) ^ wide
            base.storeBytes(of: masked, toByteOffset: place, as: SIMD4<UInt64>.self)
            place &+= 32
        }
        while place &+ 8 <= bytes.count {
            let masked = base.loadUnaligned(fromByteOffset: place, as: UInt64.self) ^ word
            base.storeBytes(of: masked, toByteOffset: place, as: UInt64.self)
            place &+= 8
        }
        while place < bytes.count {
            base.storeBytes(of: bytes[place] ^ rotated[place & 3], toByteOffset: place, as: UInt8.self)
            place &+= 1
        }
    }
}
