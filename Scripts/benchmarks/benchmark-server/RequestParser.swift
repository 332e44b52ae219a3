// HTTP/1.1 requests out of bytes that may hold a part of one, or several.

/// A request's head, as far as this server cares.
struct Request: Equatable {
    enum Method: Equatable {
        case get, head, other
    }

    var method: Method
    /// Path and query, as sent.
    var target: String
    /// Bytes of the head, and of the body that follows it.
    var headLength: Int
    var bodyLength: Int
    /// Whether the client will send more on this connection.
    var keepAlive: Bool
}

/// Parses request after request (RFC 9112). A pure function of the bytes, but for how far it has searched already.
struct RequestParser {
    enum Step: Equatable {
        /// The head is not complete.
        case incomplete
        case request(Request)
        /// No request: answer with this status and close.
        case failure(Status)
    }

    static let headLimit = 16 * 1024
    static let bodyLimit = 1 << 20

    /// The end of the head was not found before this offset: a client that sends byte by byte must not make the
    /// server search everything again for each.
    private var searched = 0
    /// So many bytes of empty lines stand before the request.
    private var emptyLines = 0

    /// Parses one request at the start of `bytes`. After a request, call again with what follows it.
    mutating func next(in bytes: UnsafeRawBufferPointer) -> Step {
        // Empty lines before a request are ignored (RFC 9112, 2.2), and count as a part of its head: a client that
        // sends nothing else must not make them pile up here.
        while emptyLines + 1 < bytes.count, bytes[emptyLines] == .cr, bytes[emptyLines + 1] == .lf { emptyLines += 2 }
        let start = emptyLines
        guard let end = endOfHead(bytes, from: max(start, searched - 3)) else {
            if bytes.count >= Self.headLimit { return fail(.headTooLarge) }
            searched = bytes.count
            return isHopeless(bytes, from: start) ? fail(.badRequest) : .incomplete
        }
        reset()
        if end > Self.headLimit { return fail(.headTooLarge) }
        var head = HeadParser(bytes: bytes, position: start, end: end)
        switch head.parse() {
        case .success(let request): return .request(request)
        case .failure(let status): return fail(status)
        }
    }

    private mutating func fail(_ status: Status) -> Step {
        reset()
        return .failure(status)
    }

    private mutating func reset() {
        searched = 0
        emptyLines = 0
    }

    /// The offset behind the empty line that ends the head.
    private func endOfHead(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start + 3
        while index < bytes.count {
            // Check every fourth byte unless it can belong to the end.
            switch bytes[index] {
            case .lf:
                if bytes[index - 1] == .cr, bytes[index - 2] == .lf, bytes[index - 3] == .cr { return index + 1 }
                index += 2
            case .cr: index += 1
            default: index += 4
            }
        }
        return nil
    }

    /// Garbage shows in its first byte: no method begins so.
    private func isHopeless(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Bool {
        guard start < bytes.count else { return false }
        if bytes[start] == .cr { return start + 1 < bytes.count }
        return !bytes[start].isToken
    }
}

extension UInt8 {
    static let cr = UInt8(ascii: "\r")
    static let lf = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")

    /// A character of a method or a field name (RFC 9110, 5.6.2).
    var isToken: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
