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

    /// The next line as a String, or nil in the cases of `nextLine`.
    @usableFromInline
    func nextText() -> String? {
        // One access to the array for the search and the text: its reference count is what lines cost most.
        bytes.withUnsafeBytes { bytes in
            guard let line = nextLine(in: bytes) else { return nil }
            // In bounds: the range was found in these very bytes.
            return String(decoding: UnsafeRawBufferPointer(rebasing: bytes[line]), as: UTF8.self)
        }
    }

    /// The next line as a view of the block, or nil in the cases of `nextLine`.
    @usableFromInline
    func nextSlice() -> ArraySlice<UInt8>? {
        guard let line = bytes.withUnsafeBytes(nextLine(in:)) else { return nil }
        return bytes[line]
    }

    /// Where the next line is, without its end. Nil if the block is used up, its next line is too long, or the task is
    /// cancelled: `refill` distinguishes these.
    @inline(__always)
    private func nextLine(in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        let start = position
        guard start < bytes.count, !Task.isCancelled else { return nil }
        let end = bytes.firstOffset(of: Self.lineFeed, from: start)
        let next = end.map { $0 + 1 } ?? bytes.count
        guard next - start <= limit else { return nil }
        position = next
        guard let end else { return start..<bytes.count }
        let isCRLF = end > start && bytes[end - 1] == Self.carriageReturn
        return start..<(isCRLF ? end - 1 : end)
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
    /// Everything up to the last line feed that has arrived. At the end of the stream, the rest, and after that an
    /// empty array.
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
