// Read buffers that idle connections do not keep.

/// Buffers of one size, lent to readers that have bytes and taken back from those that wait.
///
/// Ten thousand idle connections then hold no buffer at all, and busy ones share the few that are warm in the cache.
package struct ChunkPool: ~Copyable {
    package static let chunkSize = 16 * 1024
    private static let capacity = 64

    /// A free chunk begins with the address of the next one: an array would check its bounds and its uniqueness each time.
    // Proof: the pool owns every chunk between `give` and `take`, and a chunk has more bytes than an address.
    private var first: UnsafeMutableRawPointer?
    private var count = 0

    init() {}

    deinit {
        var rest = first
        while let chunk = rest {
            rest = Self.successor(of: chunk)
            chunk.deallocate()
        }
    }

    /// The caller owns the chunk and gives it back by `give`, or deallocates it.
    @inline(__always)
    mutating func take() -> UnsafeMutableRawPointer {
        guard let chunk = first else { return .allocate(byteCount: Self.chunkSize, alignment: 16) }
        first = Self.successor(of: chunk)
        count &-= 1
        return chunk
    }

    @inline(__always)
    mutating func give(_ chunk: UnsafeMutableRawPointer) {
        guard count < Self.capacity else { return chunk.deallocate() }
        chunk.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
        first = chunk
        count &+= 1
    }

    @inline(__always)
    private static func successor(of chunk: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
        chunk.load(as: UnsafeMutableRawPointer?.self)
    }
}
