// Read buffers that idle connections do not keep.

/// Buffers of one size, lent to readers that have bytes and taken back from those that wait.
///
/// Ten thousand idle connections then hold no buffer at all, and busy ones share the few that are warm in the cache.
package struct ChunkPool: ~Copyable {
    package static let chunkSize = 16 * 1024
    private static let capacity = 64

    private var chunks: [UnsafeMutableRawPointer] = []

    init() {}

    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    /// The caller owns the chunk and gives it back by `give`, or deallocates it.
    mutating func take() -> UnsafeMutableRawPointer {
        chunks.popLast() ?? .allocate(byteCount: Self.chunkSize, alignment: 16)
    }

    mutating func give(_ chunk: UnsafeMutableRawPointer) {
        if chunks.count < Self.capacity {
            chunks.append(chunk)
        } else {
            chunk.deallocate()
        }
    }
}
