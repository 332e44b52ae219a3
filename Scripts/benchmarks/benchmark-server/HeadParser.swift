// One complete request head.

/// Reads the request line and the fields of a head that ends at `end` with an empty line.
struct HeadParser {
    let bytes: UnsafeRawBufferPointer
    var position: Int
    let end: Int

    private var isHTTP11 = true
    private var hosts = 0
    private var asksToClose = false
    private var asksToKeep = false
    private var bodyLength: Int?

    init(bytes: UnsafeRawBufferPointer, position: Int, end: Int) {
        self.bytes = bytes
        self.position = position
        self.end = end
    }

    mutating func parse() -> Result<Request, Status> {
        guard let method = parseMethod(), let target = parseTarget(), let version = parseVersion() else {
            return .failure(.badRequest)
        }
        isHTTP11 = version
        while bytes[position] != .cr {
            if let status = parseField() { return .failure(status) }
        }
        guard bytes[position + 1] == .lf, position + 2 == end else { return .failure(.badRequest) }
        // Exactly one Host in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112, 3.2).
        guard hosts == 1 || hosts == 0 && !isHTTP11 else { return .failure(.badRequest) }
        return .success(
            Request(
                method: method, target: target, headLength: end, bodyLength: bodyLength ?? 0, keepAlive: keepAlive))
    }

    /// `close` wins over `keep-alive`, in whatever order and field they come (RFC 9112, 9.3).
    private var keepAlive: Bool { !asksToClose && (isHTTP11 || asksToKeep) }

    private mutating func parseMethod() -> Request.Method? {
        let start = position
        while bytes[position].isToken { position += 1 }
        guard position > start, bytes[position] == .space else { return nil }
        let name = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
        position += 1
        if name.isEqual(to: "GET") { return .get }
        return name.isEqual(to: "HEAD") ? .head : .other
    }

    private mutating func parseTarget() -> String? {
        let start = position
        // Visible ASCII only: what is beyond must be percent-encoded (RFC 9112, 3.2).
        while (0x21...0x7E).contains(bytes[position]) { position += 1 }
        guard position > start, bytes[position] == .space else { return nil }
        defer { position += 1 }
        return String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
    }

    /// True for HTTP/1.1, false for HTTP/1.0, nil for anything else.
    private mutating func parseVersion() -> Bool? {
        guard position + 10 <= end,
            UnsafeRawBufferPointer(rebasing: bytes[position..<position + 7]).isEqual(to: "HTTP/1.")
        else { return nil }
        let minor = bytes[position + 7]
        guard minor == UInt8(ascii: "1") || minor == UInt8(ascii: "0") else { return nil }
        guard bytes[position + 8] == .cr, bytes[position + 9] == .lf else { return nil }
        position += 10
        return minor == UInt8(ascii: "1")
    }

    /// One `name: value` line. Reading stops inside the head, because the head ends with CRLF CRLF.
    private mutating func parseField() -> Status? {
        let nameStart = position
        while bytes[position].isToken { position += 1 }
        guard position > nameStart, bytes[position] == UInt8(ascii: ":") else { return .badRequest }
        let name = UnsafeRawBufferPointer(rebasing: bytes[nameStart..<position])
        position += 1
        let valueStart = position
        while bytes[position] != .cr {
            // A bare LF or NUL is how requests are smuggled past a proxy (RFC 9112, 2.2, and RFC 9110, 5.5).
            if bytes[position] == .lf || bytes[position] == 0 { return .badRequest }
            position += 1
        }
        guard bytes[position + 1] == .lf else { return .badRequest }
        let value = UnsafeRawBufferPointer(rebasing: bytes[valueStart..<position]).trimmed
        position += 2
        return interpret(name, value)
    }

    private mutating func interpret(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Status? {
        switch name.count {
        case 4 where name.isEqual(ignoringCaseTo: "host"):
            hosts += 1
            for byte in value where !byte.isHostByte { return .badRequest }
        case 10 where name.isEqual(ignoringCaseTo: "connection"):
            noteOptions(value)
        case 14 where name.isEqual(ignoringCaseTo: "content-length"):
            guard let length = value.decimal, bodyLength == nil || bodyLength == length else { return .badRequest }
            if length > RequestParser.bodyLimit { return .bodyTooLarge }
            bodyLength = length
        case 17 where name.isEqual(ignoringCaseTo: "transfer-encoding"):
            return .notImplemented
        default:
            break
        }
        return nil
    }
}

extension HeadParser {
    /// The options of a Connection field, a list with commas. By hand: `split` makes an array for each request, and its
    /// types at the first one, which costs each new worker a millisecond.
    private mutating func noteOptions(_ list: UnsafeRawBufferPointer) {
        var start = 0
        for index in 0...list.count where index == list.count || list[index] == UInt8(ascii: ",") {
            let option = UnsafeRawBufferPointer(rebasing: list[start..<index]).trimmed
            if option.isEqual(ignoringCaseTo: "close") { asksToClose = true }
            if option.isEqual(ignoringCaseTo: "keep-alive") { asksToKeep = true }
            start = index + 1
        }
    }
}

extension UInt8 {
    /// What a host and its port are made of (RFC 3986, 3.2): neither a space nor a list of two hosts.
    fileprivate var isHostByte: Bool {
        (0x21...0x7E).contains(self) && !"\",/<>?@\\^`{|}".utf8.contains(self)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var trimmed: UnsafeRawBufferPointer {
        var slice = self[...]
        while let first = slice.first, first == .space || first == 9 { slice = slice.dropFirst() }
        while let last = slice.last, last == .space || last == 9 { slice = slice.dropLast() }
        return UnsafeRawBufferPointer(rebasing: slice)
    }

    fileprivate func isEqual(to text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }

    /// `text` in lower case.
    fileprivate func isEqual(ignoringCaseTo text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count {
            let byte = self[index]
            let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
            if (isUpper ? byte | 0x20 : byte) != text.utf8Start[index] { return false }
        }
        return true
    }

    /// Digits only, at most eighteen of them, so that the number cannot overflow.
    fileprivate var decimal: Int? {
        guard (1...18).contains(count) else { return nil }
        var number = 0
        for byte in self {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return number
    }
}
