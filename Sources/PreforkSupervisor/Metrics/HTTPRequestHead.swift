// The head of an HTTP request (RFC 9112), read strictly: any client that reaches the port may have sent it.

/// A request without a body, the only kind there is here.
struct HTTPRequestHead: Equatable {
    var method: String
    /// The path, without the query.
    var path: String
    /// Whether the client wants to send another request on this connection.
    var keepsAlive: Bool
    /// The media types that the client takes, as it has sent them.
    var accept = ""

    /// Whether the client wants OpenMetrics at least as much as Prometheus' text: by the weights of its Accept field
    /// (RFC 9110, 12.5.1), of which a missing one counts as 1.
    var wantsOpenMetrics: Bool {
        let wished = Self.weight(of: "application/openmetrics-text", in: accept)
        return wished > 0 && wished >= Self.weight(of: "text/plain", in: accept)
    }

    private static func weight(of type: String, in accept: String) -> Double {
        var weight = 0.0
        for range in accept.lowercased().split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.filter { $0 != " " } }
            guard parts.first == type else { continue }
            let own = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            weight = max(weight, own)
        }
        return weight
    }
}

/// What the bytes of a connection hold so far.
enum HTTPHeadReading: Equatable {
    /// No whole head yet.
    case incomplete
    /// A request, and how many bytes it took.
    case request(HTTPRequestHead, length: Int)
    /// A request that is not served, with the status of the answer. The connection then closes.
    case refused(status: Int)
}

extension HTTPRequestHead {
    /// The longest head in bytes, and the most fields in it.
    static let headLimit = 8 << 10
    static let fieldLimit = 64

    /// Reads the request at the beginning of `bytes`.
    static func read(_ bytes: [UInt8]) -> HTTPHeadReading {
        guard let end = headEnd(bytes) else {
            if bytes.count > headLimit { return .refused(status: 431) }
            // What begins a TLS connection, or has a bare line feed, will never become a head.
            return bytes.allSatisfy(isHeadByte) && !hasBareLineFeed(bytes) ? .incomplete : .refused(status: 400)
        }
        guard end <= headLimit else { return .refused(status: 431) }
        guard bytes[..<end].allSatisfy(isHeadByte) else { return .refused(status: 400) }
        // The empty line at the end leaves two empty texts behind it.
        var lines = split(bytes[..<(end - 4)])
        guard lines.count <= fieldLimit + 1 else { return .refused(status: 431) }
        let first = lines.removeFirst()
        guard let (method, path, isOneOne) = requestLine(first) else { return .refused(status: 400) }
        guard let fields = readFields(lines) else { return .refused(status: 400) }
        return fields.judge(method: method, path: path, isOneOne: isOneOne, length: end)
    }

    /// The offset behind the empty line that ends the head.
    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 3..<min(bytes.count, headLimit + 4) where bytes[index] == 0x0A {
            if bytes[index - 1] == 0x0D, bytes[index - 2] == 0x0A, bytes[index - 3] == 0x0D { return index + 1 }
        }
        return nil
    }

    /// A lone line feed is refused. RFC 9112, 2.2 lets a recipient accept it as a line's end, but a head that a proxy
    /// and this server read differently is how requests are smuggled. Without this check, the server would wait in vain
    /// for the end of such a head.
    private static func hasBareLineFeed(_ bytes: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0] == 0x0A && ($0 == 0 || bytes[$0 - 1] != 0x0D) }
    }

    /// Visible ASCII, spaces, tabs and line ends. Bytes beyond ASCII are "obsolete text", which no client needs.
    private static func isHeadByte(_ byte: UInt8) -> Bool {
        (0x20...0x7E).contains(byte) || byte == 0x09 || byte == 0x0D || byte == 0x0A
    }

    private static func split(_ head: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = head.startIndex
        while let end = head[start...].firstIndex(of: 0x0D) {
            lines.append(head[start..<end])
            // The byte behind: a line feed, or the carriage return was bare and the next line begins with what it is.
            start = min(end + 1, head.endIndex)
            if start < head.endIndex, head[start] == 0x0A { start += 1 } else { lines.append([0x0A]) }
        }
        lines.append(head[start...])
        return lines
    }

    private static func requestLine(_ line: ArraySlice<UInt8>) -> (method: String, path: String, isOneOne: Bool)? {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 3, !line.contains(0x09), !line.contains(0x0A) else { return nil }
        let texts = parts.map { String(decoding: $0, as: UTF8.self) }
        guard !parts[0].isEmpty, parts[0].allSatisfy(isTokenByte), texts[1].hasPrefix("/") else { return nil }
        guard texts[2] == "HTTP/1.1" || texts[2] == "HTTP/1.0" else { return nil }
        return (texts[0], String(texts[1].prefix { $0 != "?" }), texts[2] == "HTTP/1.1")
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// The fields that have an effect here. If nil, a line is no field.
    private static func readFields(_ lines: [ArraySlice<UInt8>]) -> Fields? {
        var fields = Fields()
        for line in lines {
            // No colon, or a space before it, or one at the line's start (folding): requests are smuggled with these.
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex, !line.contains(0x0A),
                line[..<colon].allSatisfy(isTokenByte)
            else { return nil }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let value = String(decoding: line[(colon + 1)...], as: UTF8.self)
            fields.note(name, value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " "))
        }
        return fields
    }

    private struct Fields {
        var hosts = 0
        var lengths: [String] = []
        var hasTransferEncoding = false
        var connection: [String] = []
        var accept: [String] = []

        mutating func note(_ name: String, _ value: String) {
            switch name {
            case "host": hosts += 1
            case "content-length": lengths.append(value)
            case "transfer-encoding": hasTransferEncoding = true
            case "accept": accept.append(value)
            case "connection":
                connection += value.lowercased().split(separator: ",").map { $0.filter { $0 != " " } }
            default: break
            }
        }

        func judge(method: String, path: String, isOneOne: Bool, length: Int) -> HTTPHeadReading {
            guard hosts == 1 || (!isOneOne && hosts == 0) else { return .refused(status: 400) }
            guard lengths.count <= 1 else { return .refused(status: 400) }
            if let length = lengths.first {
                guard !length.isEmpty, length.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                    return .refused(status: 400)
                }
                if length.contains(where: { $0 != "0" }) { return .refused(status: 413) }
            }
            if hasTransferEncoding { return .refused(status: 413) }
            let keepsAlive = isOneOne ? !connection.contains("close") : connection.contains("keep-alive")
            let head = HTTPRequestHead(
                method: method, path: path, keepsAlive: keepsAlive, accept: accept.joined(separator: ","))
            return .request(head, length: length)
        }
    }
}
