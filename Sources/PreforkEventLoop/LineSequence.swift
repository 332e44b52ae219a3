// A stream as lines.

import PreforkSystem

extension ByteReader {
    /// The stream's lines without their ends (LF or CRLF), as Strings with invalid UTF-8 repaired. A last line
    /// without an end counts. Lines may have up to 1 MiB; see `lines(limit:)`.
    public var lines: LineSequence<String> { lines(limit: 1 << 20) }

    /// As `lines`, with a limit for the bytes of one line, its end included.
    ///
    /// A longer line throws `.limitExceeded` and stays readable. Lines are split ahead in blocks of what has arrived;
    /// those that were not asked for are readable again as soon as the iteration ends, by `break` for example. An
    /// iterator that is kept keeps them: let go of it before reading on in another way.
    public func lines(limit: Int) -> LineSequence<String> {
        LineSequence(reader: self, limit: limit)
    }

    /// The lines as bytes, several times as fast as Strings: each is a view of the block that it arrived in, and keeps
    /// that block (16 to 128 KiB) as long as it is kept itself.
    public var byteLines: LineSequence<ArraySlice<UInt8>> { byteLines(limit: 1 << 20) }

    /// As `byteLines`, with a limit for the bytes of one line, its end included.
    public func byteLines(limit: Int) -> LineSequence<ArraySlice<UInt8>> {
        LineSequence(reader: self, limit: limit)
    }
}

/// What a line can be given out as: `String` or `ArraySlice<UInt8>`.
public protocol StreamLine: Sendable {
    init?(nextOf block: LineBlock)
}

extension ArraySlice<UInt8>: StreamLine {
    public init?(nextOf block: LineBlock) {
        guard let range = block.nextLine() else { return nil }
        self = block.bytes[range]
    }
}

extension String: StreamLine {
    public init?(nextOf block: LineBlock) {
        guard let range = block.nextLine() else { return nil }
        self = block.bytes.withUnsafeBytes {
            String(decoding: UnsafeRawBufferPointer(rebasing: $0[range]), as: UTF8.self)
        }
    }
}

/// Lines of a `ByteReader`, in whole blocks behind the scenes: one visit to the event loop for each block, however many
/// lines it has.
public struct LineSequence<Line: StreamLine>: AsyncSequence, Sendable {
    let reader: ByteReader
    let limit: Int

    public struct Iterator: AsyncIteratorProtocol {
        @usableFromInline
        let block: LineBlock

        @inlinable
        public mutating func next() async throws -> Line? {
            try await next(isolation: nil)
        }

        /// What `for await` calls: stays on the caller's executor.
        @inlinable
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Line? {
            if let line = Line(nextOf: block) { return line }
            return try await block.refill() ? Line(nextOf: block) : nil
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(block: LineBlock(of: reader, limit: limit))
    }
}

/// Whole lines that have been taken from a reader and not been given out yet: the inside of `LineSequence`.
public final class LineBlock {
    private let reader: ByteReader
    private let limit: Int
    fileprivate var bytes: [UInt8] = []
    private var position = 0
    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    init(of reader: ByteReader, limit: Int) {
        self.reader = reader
        self.limit = limit
    }

    deinit {
        giveBack()
    }

    /// The next line without its end; nil when the block is used up, or its next line is too long, or the task is
    /// cancelled: `refill` tells which.
    fileprivate func nextLine() -> Range<Int>? {
        guard position < bytes.count, !Task.isCancelled else { return nil }
        let end = bytes.withUnsafeBytes { $0.firstOffset(of: Self.lineFeed, from: position) }
        let next = end.map { $0 + 1 } ?? bytes.count
        guard next - position <= limit else { return nil }
        var last = end ?? bytes.count
        if end != nil, last > position, bytes[last - 1] == Self.carriageReturn { last -= 1 }
        defer { position = next }
        return position..<last
    }

    /// Fetches the lines that have arrived, at least one.
    ///
    /// - Returns: false at the end of the stream.
    @usableFromInline
    func refill() async throws -> Bool {
        try Task.checkCancellation()
        if position < bytes.count {
            giveBack()
            throw StreamError(.limitExceeded(limit: limit))
        }
        let limit = limit
        bytes = try await reader.exclusively { reader in try await reader.takeWholeLines(limit: limit) }
        position = 0
        return !bytes.isEmpty
    }

    private func giveBack() {
        guard position < bytes.count else { return }
        reader.unread(bytes[position...])
        bytes = []
        position = 0
    }
}

extension ByteReader {
    /// Everything up to the last line feed that has arrived; at the end of the stream, the rest; empty after that.
    fileprivate func takeWholeLines(limit: Int) async throws -> [UInt8] {
        var searched = 0
        while true {
            if let end = buffer.bytes.lastOffset(of: UInt8(ascii: "\n"), from: searched) { return take(end + 1) }
            searched = buffer.count
            guard searched < limit else { throw StreamError(.limitExceeded(limit: limit)) }
            if try await !receive(atLeast: 1) { return take(searched) }
        }
    }

    /// Puts bytes back in front of what is buffered.
    fileprivate func unread(_ bytes: ArraySlice<UInt8>) {
        let reader = self
        channel.loop.execute { reader.buffer.prepend(bytes, from: &reader.channel.loop.chunks) }
    }
}
