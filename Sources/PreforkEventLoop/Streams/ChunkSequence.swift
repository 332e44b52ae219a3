// A stream as chunks.

extension ByteReader {
    /// The stream in pieces of at least one byte, as they arrive.
    public var chunks: ChunkSequence { ChunkSequence(reader: self) }
}

/// Pieces of a `ByteReader`.
public struct ChunkSequence: AsyncSequence, Sendable {
    let reader: ByteReader

    /// Gives each chunk as it arrives, and nil at the end of the stream. `next()` throws what
    /// `ByteReader.read(atMost:)` throws.
    public struct Iterator: AsyncIteratorProtocol {
        let reader: ByteReader

        public mutating func next() async throws -> [UInt8]? {
            try await reader.read(atMost: ReadBuffer.largeCapacity)
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(reader: reader)
    }
}
