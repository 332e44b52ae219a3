// Keys that fit into two registers.

/// A key of 8 to 15 bytes as two words. A Swift string of up to 15 bytes has them in itself, so that most keys are
/// hashed, compared and copied without being read from memory again.
struct ShortKey {
    /// The key's first eight bytes.
    private let first: UInt64
    /// Its last eight bytes, with the halves exchanged: in their order the compiler makes one load of the two. Such a
    /// load spans both words of a string that was stored just before, and waits until they are in the cache.
    private let exchangedLast: UInt64
    let count: Int

    /// - Returns: nil for a key that is shorter or longer, or has no bytes to lend.
    @inline(__always)
    init?(_ key: String) {
        let made = key.utf8.withContiguousStorageIfAvailable { ShortKey(lentBytes: UnsafeRawBufferPointer($0)) }
        guard let made, made.count != 0 else { return nil }
        self = made
    }

    /// Of another length: a key without bytes.
    @inline(__always)
    init(lentBytes bytes: UnsafeRawBufferPointer) {
        guard UInt(bitPattern: bytes.count &- 8) <= 7, let start = bytes.baseAddress else {
            (first, exchangedLast, count) = (0, 0, 0)
            return
        }
        count = bytes.count
        first = start.loadUnaligned(as: UInt64.self)
        let low = start.loadUnaligned(fromByteOffset: count &- 8, as: UInt32.self)
        let high = start.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
        exchangedLast = UInt64(low) << 32 | UInt64(high)
    }

    @inline(__always)
    private var last: UInt64 { exchangedLast << 32 | exchangedLast >> 32 }

    @inline(__always)
    func hash(_ secrets: KeyHash.Secrets) -> KeyHash {
        KeyHash(first: first, last: last, count: count, secrets)
    }

    /// Whether this key is at an address, which begins at least `count` readable bytes.
    @inline(__always)
    func isAt(_ bytes: UnsafeMutableRawPointer) -> Bool {
        bytes.loadUnaligned(as: UInt64.self) == first
            && bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self) == last
    }

    /// Writes the key to an address, which begins at least `count` writable bytes.
    @inline(__always)
    func copy(to bytes: UnsafeMutableRawPointer) {
        bytes.storeBytes(of: first, as: UInt64.self)
        bytes.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
    }
}
