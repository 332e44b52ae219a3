// What of a file is sent, piece by piece.

import PreforkSystem

/// One piece of a body.
enum FilePart: Equatable, Sendable {
    case bytes([UInt8])
    /// Of the file.
    case range(Range<Int>)

    var count: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .range(let range): range.count
        }
    }
}

/// Moves pieces into a socket, one system call at a time.
struct FileSending {
    /// What one sendfile(2) may move at most: other connections have their turn in between. nginx has the same.
    private static let step = 2 << 20

    private let file: OpenedFile
    private var parts: ArraySlice<FilePart>
    private var sent = 0

    init(_ parts: [FilePart], of file: OpenedFile) {
        self.file = file
        self.parts = parts[...]
    }

    /// - Parameter limit: at most so many bytes.
    /// - Returns: how many bytes were sent: 0 if the file has become shorter than it was. Nil if the socket takes no byte
    ///   now.
    mutating func send(atMost limit: Int, to socket: Int32) throws(SystemError) -> Int? {
        guard let part = parts.first else { return 0 }
        let count: Int?
        switch part {
        case .bytes(let bytes):
            count = try bytes.withUnsafeBufferPointer { bytes throws(SystemError) in
                let rest = UnsafeRawBufferPointer(bytes)[sent...].prefix(limit)
                return try sendBytes(to: socket, UnsafeRawBufferPointer(rebasing: rest))
            }
        case .range(let range):
            let start = range.lowerBound + sent
            let end = start + min(range.upperBound - start, min(limit, Self.step))
            count = try file.send(start..<end, to: socket)
        }
        guard let count else { return nil }
        sent += count
        if sent == part.count {
            parts.removeFirst()
            sent = 0
        }
        return count
    }

    /// The pieces of a `multipart/byteranges` (RFC 9110, section 14.6).
    ///
    /// - Parameter boundary: must not be guessable, or a file could have it.
    static func multipart(
        _ ranges: [Range<Int>], size: Int, mediaType: String, boundary: String
    ) -> [FilePart] {
        let pieces = ranges.enumerated().flatMap { index, range -> [FilePart] in
            let head = """
                \(index == 0 ? "" : "\r\n")--\(boundary)\r
                Content-Type: \(mediaType)\r
                Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)\r
                \r\n
                """
            return [.bytes(Array(head.utf8)), .range(range)]
        }
        return pieces + [.bytes(Array("\r\n--\(boundary)--\r\n".utf8))]
    }
}
