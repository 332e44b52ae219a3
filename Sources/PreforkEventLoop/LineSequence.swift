// A stream as lines and as chunks.

import PreforkSystem

extension ByteReader {
    /// The stream's lines without their ends (LF or CRLF), as Strings with invalid UTF-8 repaired. A last line
    /// without an end counts. Lines may have up to 1 MiB; see `lines(limit:)`.
    public var lines: LineSequence { lines(limit: 1 << 20) }

    /// As `lines`, with a limit for the bytes of one line, its end included.
    ///
    /// A longer line throws `.limitExceeded` and stays readable.
    public func lines(limit: Int) -> LineSequence {
        LineSequence(reader: self, limit: limit)
    }

    /// The stream in pieces of at least one byte, as they arrive.
    public var chunks: ChunkSequence { ChunkSequence(reader: self) }
}

/// Lines of a `ByteReader`. Ending the iteration early leaves the rest of the stream to be read.
public struct LineSequence: AsyncSequence, Sendable {
    let reader: ByteReader
    let limit: Int

    public struct Iterator: AsyncIteratorProtocol {
        let reader: ByteReader
        let limit: Int

        public mutating func next() async throws -> String? {
            if let line = reader.takeBufferedLine(limit: limit) { return line }
            return try await reader.readLine(limit: limit)
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(reader: reader, limit: limit)
    }
}

/// Pieces of a `ByteReader`.
public struct ChunkSequence: AsyncSequence, Sendable {
    let reader: ByteReader

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

extension ByteReader {
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// The common case without a suspension: a whole line has arrived, and the caller is on the loop.
    fileprivate func takeBufferedLine(limit: Int) -> String? {
        guard channel.loop.isCurrent, !isReading, !Task.isCancelled else { return nil }
        guard let end = buffer.bytes.firstOffset(of: Self.lineFeed), end < limit else { return nil }
        return takeLine(end: end, endLength: 1)
    }

    fileprivate func readLine(limit: Int) async throws -> String? {
        try await exclusively { reader in
            var searched = 0
            while true {
                if let end = reader.buffer.bytes.firstOffset(of: Self.lineFeed, from: searched) {
                    guard end < limit else { throw StreamError(.limitExceeded(limit: limit)) }
                    return reader.takeLine(end: end, endLength: 1)
                }
                searched = reader.buffer.count
                guard searched < limit else { throw StreamError(.limitExceeded(limit: limit)) }
                if try await !reader.receive(atLeast: 1) {
                    return searched == 0 ? nil : reader.takeLine(end: searched, endLength: 0)
                }
            }
        }
    }

    private func takeLine(end: Int, endLength: Int) -> String {
        let bytes = buffer.bytes
        // In bounds: `end` is an offset that the search found in these very bytes, or their count.
        let isCRLF = endLength == 1 && end > 0 && bytes[end - 1] == Self.carriageReturn
        let text = String(decoding: UnsafeRawBufferPointer(rebasing: bytes[..<(isCRLF ? end - 1 : end)]), as: UTF8.self)
        buffer.consume(end + endLength)
        return text
    }
}
