// Keys: the hash that says where the search for one starts, and keys that fit into two registers.

/// The hash of a key: wyhash's way for short inputs (Wang Yi, public domain), with secrets of the store's own in the
/// place of its published constants, because a key that cancels a known constant would meet all others of its kind.
struct KeyHash {
    let bits: UInt64

    @inline(__always)
    init(_ key: UnsafeRawBufferPointer, _ secrets: Secrets) {
        let count = key.count
        guard count >= 4, count <= 16 else {
            self = Self.ofOddLength(key, secrets)
            return
        }
        // A 0, a 4 or an 8.
        let step = (count >> 3) << 2
        let low = Self.four(key, 0) << 32 | Self.four(key, step)
        let high = Self.four(key, count &- 4) << 32 | Self.four(key, count &- 4 &- step)
        self.init(low, high, seed: secrets.a, count, secrets)
    }

    /// The hash of a key of 8 to 15 bytes, by its first and its last eight. Equal to the hash of its bytes.
    @inline(__always)
    init(first: UInt64, last: UInt64, count: Int, _ secrets: Secrets) {
        self.init(first << 32 | first >> 32, last, seed: secrets.a, count, secrets)
    }

    @inline(__always)
    private init(_ low: UInt64, _ high: UInt64, seed: UInt64, _ count: Int, _ secrets: Secrets) {
        bits = Self.mix(
            secrets.c ^ UInt64(truncatingIfNeeded: count), Self.mix(low ^ secrets.b, high ^ seed) ^ secrets.d)
    }

    /// Seldom: a call, which keeps the operations that begin with a hash short.
    @inline(never)
    private static func ofOddLength(_ key: UnsafeRawBufferPointer, _ secrets: Secrets) -> KeyHash {
        let count = key.count
        guard count > 16 else {
            let low =
                count == 0 ? 0 : UInt64(key[0]) << 16 | UInt64(key[count >> 1]) << 8 | UInt64(key[count - 1])
            return KeyHash(low, 0, seed: secrets.a, count, secrets)
        }
        var seed = secrets.a
        var position = 0
        while count - position > 16 {
            seed = mix(eight(key, position) ^ secrets.b, eight(key, position + 8) ^ seed)
            position += 16
        }
        return KeyHash(eight(key, count - 16), eight(key, count - 8), seed: seed, count, secrets)
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

    /// Eight bits that distinguish most different keys without reading them.
    @inline(__always)
    var fingerprint: UInt64 { (bits >> 48) & 0xFF }

    /// The offset in its home bucket where an entry goes if that place is free, and where a search starts.
    ///
    /// A search that begins at the first place takes as many turns as the bucket has entries before this one, and the
    /// processor cannot foresee how many those are.
    @inline(__always)
    var preferredPlace: Int {
        Int(truncatingIfNeeded: (fingerprint &* UInt64(StoreLayout.slotsPerBucket)) >> 8) &* 8
    }

    /// One of the 64 bits by which sleepers announce what they wait for.
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
