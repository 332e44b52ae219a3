// A stream as lines.

import PreforkSystem

extension ByteReader {
    /// The stream's lines without their ends (LF or CRLF), as Strings with invalid UTF-8 repaired. A last line
    /// without an end counts. Lines may have up to 1 MiB: see `lines(limit:)`.
    public var lines: LineSequence { lines(limit: 1 << 20) }

    /// As `lines`, with a limit for the bytes of one line, its end included. No line fits into zero and less.
    ///
    /// A longer line throws `.limitExceeded` and stays readable. Lines are split ahead in blocks of what has arrived.
    /// Unread lines are readable again as soon as the iteration ends, by `break` for example. An iterator that is kept
    /// holds them: release it before reading in another way.
    public func lines(limit: Int) -> LineSequence {
        LineSequence(reader: self, limit: limit)
    }

    /// The lines as bytes, half as fast again as Strings: each is a view of the block that it arrived in, and keeps
    /// that block (16 to 128 KiB) as long as it is kept itself.
    public var byteLines: ByteLineSequence { byteLines(limit: 1 << 20) }

    /// As `byteLines`, with a limit for the bytes of one line, its end included.
    public func byteLines(limit: Int) -> ByteLineSequence {
        ByteLineSequence(reader: self, limit: limit)
    }
}

extension ByteReader {
    /// Reads one line, without its end (LF or CRLF), as a String with invalid UTF-8 repaired. A last line without an
    /// end counts. For an occasional line. `lines` is faster for many.
    ///
    /// - Parameter limit: how many bytes it may have, its end included, 1 MiB by default. With zero or less, no line
    ///   fits.
    /// - Returns: nil at the end of the stream.
    /// - Throws: `.limitExceeded` for a longer line, which stays readable.
    public func readLine(limit: Int = 1 << 20) async throws -> String? {
        let line = try await exclusively { reader -> [UInt8]? in
            var searched = 0
            while true {
                if let end = reader.buffer.bytes.firstOffset(of: UInt8(ascii: "\n"), from: searched) {
                    guard end < limit else { throw StreamError(.limitExceeded(limit: limit)) }
                    return reader.take(end + 1)
                }
                searched = reader.buffer.count
                guard searched < limit else { throw StreamError(.limitExceeded(limit: limit)) }
                if try await !reader.receive(atLeast: 1) { return searched > 0 ? reader.take(searched) : nil }
            }
        }
        guard var text = line?[...] else { return nil }
        if text.last == UInt8(ascii: "\n") {
            text.removeLast()
            if text.last == UInt8(ascii: "\r") { text.removeLast() }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Lines of a `ByteReader`, in whole blocks behind the scenes: one visit to the event loop for each block, however many
/// lines it has.
public struct LineSequence: AsyncSequence, Sendable {
    let reader: ByteReader
    let limit: Int

    /// Gives the lines in order, and nil at the end of the stream. `next()` throws `StreamError` `.limitExceeded` for a
    /// line above the limit, and `CancellationError` if its task is cancelled.
    public struct Iterator: AsyncIteratorProtocol {
        @usableFromInline
        let block: LineBlock

        @inlinable
        public mutating func next() async throws -> String? {
            try await next(isolation: nil)
        }

        /// What `for await` calls: stays on the caller's executor.
        @inlinable
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> String? {
            if let line = block.nextText() { return line }
            return try await block.refill() ? block.nextText() : nil
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(block: LineBlock(of: reader, limit: limit))
    }
}

/// Lines of a `ByteReader` as bytes. See `LineSequence`.
public struct ByteLineSequence: AsyncSequence, Sendable {
    let reader: ByteReader
    let limit: Int

    /// Gives the lines in order, each a slice without its end, and nil at the end of the stream. `next()` throws like
    /// the iterator of `LineSequence`.
    public struct Iterator: AsyncIteratorProtocol {
        @usableFromInline
        let block: LineBlock

        @inlinable
        public mutating func next() async throws -> ArraySlice<UInt8>? {
            try await next(isolation: nil)
        }

        /// What `for await` calls: stays on the caller's executor.
        @inlinable
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> ArraySlice<UInt8>? {
            if let line = block.nextSlice() { return line }
            return try await block.refill() ? block.nextSlice() : nil
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(block: LineBlock(of: reader, limit: limit))
    }
}
