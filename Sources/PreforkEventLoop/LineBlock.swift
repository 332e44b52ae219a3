// Whole lines, taken from a reader ahead of their use.

import PreforkSystem

/// Whole lines that have been taken from a reader and not been given out yet: the inside of both line sequences.
@usableFromInline
final class LineBlock {
    private let reader: ByteReader
    private let limit: Int
    private var bytes: [UInt8] = []
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

    /// The next line as a String; nil where `nextLine` says so.
    @usableFromInline
    func nextText() -> String? {
        guard let line = nextLine() else { return nil }
        // In bounds: the range was found in these very bytes.
        return bytes.withUnsafeBytes { String(decoding: UnsafeRawBufferPointer(rebasing: $0[line]), as: UTF8.self) }
    }

    /// The next line as a view of the block; nil where `nextLine` says so.
    @usableFromInline
    func nextSlice() -> ArraySlice<UInt8>? {
        nextLine().map { bytes[$0] }
    }

    /// Where the next line is, without its end; nil when the block is used up, or its next line is too long, or the
    /// task is cancelled: `refill` tells which.
    private func nextLine() -> Range<Int>? {
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
