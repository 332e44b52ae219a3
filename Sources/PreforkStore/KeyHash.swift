// From a key to the place where it is looked for.

/// The hash of a key: wyhash's way for short inputs (Wang Yi, public domain), with secrets of the store's own in the
/// place of its published constants, because a key that cancels a known constant would meet all others of its kind.
struct KeyHash {
    let bits: UInt64

    @inline(__always)
    init(_ key: UnsafeRawBufferPointer, _ secrets: Secrets) {
        let count = key.count
        var seed = secrets.a
        var low: UInt64 = 0
        var high: UInt64 = 0
        if count <= 16 {
            if count >= 4 {
                let step = (count >> 3) << 2
                low = Self.four(key, 0) << 32 | Self.four(key, step)
                high = Self.four(key, count - 4) << 32 | Self.four(key, count - 4 - step)
            } else if count > 0 {
                low = UInt64(key[0]) << 16 | UInt64(key[count >> 1]) << 8 | UInt64(key[count - 1])
            }
        } else {
            var position = 0
            while count - position > 16 {
                seed = Self.mix(Self.eight(key, position) ^ secrets.b, Self.eight(key, position + 8) ^ seed)
                position += 16
            }
            low = Self.eight(key, count - 16)
            high = Self.eight(key, count - 8)
        }
        bits = Self.mix(secrets.c ^ UInt64(truncatingIfNeeded: count), Self.mix(low ^ secrets.b, high ^ seed) ^ secrets.d)
    }

    init(bits: UInt64) {
        self.bits = bits
    }

    struct Secrets {
        var a, b, c, d: UInt64
    }

    @inline(__always)
    func stripe(of count: Int) -> Int { Int(truncatingIfNeeded: bits >> 58) & (count &- 1) }

    @inline(__always)
    func bucket(of count: Int) -> Int { Int(truncatingIfNeeded: bits) & (count &- 1) }

    /// Eight bits that tell most different keys apart without a look at them.
    @inline(__always)
    var fingerprint: UInt64 { (bits >> 48) & 0xFF }

    /// One of the 64 bits by which sleepers say what they wait for.
    @inline(__always)
    var sleeperBit: UInt64 { 1 << ((bits >> 42) & 63) }

    @inline(__always)
    private static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.low ^ product.high
    }

    @inline(__always)
    private static func four(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always)
    private static func eight(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
