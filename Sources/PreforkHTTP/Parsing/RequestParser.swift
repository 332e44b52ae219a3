// Request heads out of bytes that may hold a part of one, or several (RFC 9112).

import PreforkSystem

/// Parses a head line by line, each line once it is complete. How the bytes were cut on their way changes nothing.
struct RequestParser {
    enum Step: Equatable {
        /// The head is not complete.
        case incomplete
        /// `head` is complete.
        case complete
        /// No request: the response has this status and ends the connection.
        case failure(HTTPStatus)
    }

    /// What stands in `head` is valid after `.complete`.
    private(set) var head = RequestHead()
    /// Bytes that a head may have, with its last empty line and empty lines before it.
    var headLimit = 16 * 1024
    /// How many fields a head may have.
    var fieldLimit = 100

    /// Where the line begins that is not complete yet.
    private var lineStart = 0
    /// No line end stands before this.
    private var searched = 0
    private var hasRequestLine = false
    private var seen: Seen = []
    private var knownAuthority = KnownAuthority()

    private struct Seen: OptionSet {
        let rawValue: UInt8

        static let host = Seen(rawValue: 1)
        static let contentLength = Seen(rawValue: 2)
        static let transferEncoding = Seen(rawValue: 4)
    }

    init() {}

    init(headLimit: Int, fieldLimit: Int) {
        self.headLimit = headLimit
        self.fieldLimit = fieldLimit
    }

    /// Forgets everything: the next call sees the first byte of another request.
    mutating func reset() {
        head.reset()
        lineStart = 0
        searched = 0
        hasRequestLine = false
        seen = []
    }

    /// Continues with a head of which more bytes are there than at the last call.
    ///
    /// - Parameter bytes: from the head's first byte on. What was there at an earlier call must be the same.
    mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Step {
        while true {
            if !hasRequestLine, let status = firstByteStatus(bytes) { return .failure(status) }
            guard let end = bytes.firstOffset(of: .lf, from: searched), end < headLimit else {
                searched = bytes.count
                if bytes.count < headLimit { return .incomplete }
                return .failure(hasRequestLine ? .headTooLarge : .uriTooLong)
            }
            let start = lineStart
            searched = end + 1
            lineStart = end + 1
            // A bare LF is no line end, here: a proxy may see it otherwise (RFC 9112, 2.2).
            guard end > start, bytes[end - 1] == .cr else { return .failure(.badRequest) }
            if !hasRequestLine {
                // Empty lines before a request are ignored (RFC 9112, 2.2).
                if end - 1 == start { continue }
                hasRequestLine = true
                if let status = parseRequestLine(bytes, from: start, to: end - 1) { return .failure(status) }
            } else if end - 1 == start {
                return finish(end + 1)
            } else if let status = parseField(bytes, from: start, to: end - 1) {
                return .failure(status)
            }
        }
    }

    /// Garbage shows in its first byte: no method begins so. Such a client need not be waited for until its line ends.
    private func firstByteStatus(_ bytes: UnsafeRawBufferPointer) -> HTTPStatus? {
        guard lineStart < bytes.count, lineStart < headLimit, bytes[lineStart] != .cr else { return nil }
        return bytes[lineStart].isToken ? nil : .badRequest
    }

    private mutating func parseRequestLine(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> HTTPStatus? {
        var position = start
        while position < end, bytes[position].isToken { position += 1 }
        guard position > start, position < end, bytes[position] == .space else { return .badRequest }
        head.method = HTTPMethod.Kind(token: bytes.part(start..<position))
        let targetStart = position + 1
        position = targetStart
        while position < end, bytes[position].isTarget { position += 1 }
        guard position > targetStart, position < end, bytes[position] == .space else { return .badRequest }
        head.target = targetStart..<position
        head.label = start..<position
        if let status = parseVersion(bytes.part(position + 1..<end)) { return status }
        // A tunnel is none of this server's services, whatever its target looks like.
        if head.method == .connect { return .notImplemented }
        return parseTarget(bytes) ? nil : .badRequest
    }

    /// `HTTP/1.1` as a word.
    private static var usualVersion: UInt64 { UInt64(bigEndian: 0x4854_5450_2F31_2E31) }

    private mutating func parseVersion(_ version: UnsafeRawBufferPointer) -> HTTPStatus? {
        if version.count == 8, version.loadUnaligned(as: UInt64.self) == Self.usualVersion {
            head.flags.insert(.isHTTP11)
            return nil
        }
        guard version.count == 8, version.part(0..<5).spell("HTTP/"), version[5].isDigit,
            version[6] == UInt8(ascii: "."), version[7].isDigit
        else { return .badRequest }
        guard version[5] == UInt8(ascii: "1"), version[7] <= UInt8(ascii: "1") else { return .versionNotSupported }
        if version[7] == UInt8(ascii: "1") { head.flags.insert(.isHTTP11) }
        return nil
    }

    private mutating func parseTarget(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let target = head.target
        switch bytes[target.lowerBound] {
        case UInt8(ascii: "/"):
            splitPath(bytes, from: target.lowerBound)
            return true
        case UInt8(ascii: "*") where target.count == 1:
            head.form = .asterisk
            head.path = target
            return head.method == .options
        default:
            return parseAbsoluteTarget(bytes)
        }
    }

    private mutating func splitPath(_ bytes: UnsafeRawBufferPointer, from start: Int) {
        let end = head.target.upperBound
        if let mark = bytes.part(0..<end).firstOffset(of: UInt8(ascii: "?"), from: start) {
            head.path = start..<mark
            head.query = mark + 1..<end
        } else {
            head.path = start..<end
        }
    }

    /// `http://host:port/path?query`, as clients send it to proxies (RFC 9112, 3.2.2).
    private mutating func parseAbsoluteTarget(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let target = head.target
        let scheme: Int
        if target.count > 7, bytes.part(target.lowerBound..<target.lowerBound + 7).spellInAnyCase("http://") {
            scheme = 7
        } else if target.count > 8, bytes.part(target.lowerBound..<target.lowerBound + 8).spellInAnyCase("https://") {
            scheme = 8
        } else {
            return false
        }
        let start = target.lowerBound + scheme
        var end = start
        while end < target.upperBound, bytes[end] != UInt8(ascii: "/"), bytes[end] != UInt8(ascii: "?") { end += 1 }
        guard end > start, Authority.isValid(bytes.part(start..<end)) else { return false }
        head.form = .absolute
        head.authority = start..<end
        // Without a path it is "/", which is what an empty range means.
        splitPath(bytes, from: end)
        return true
    }

    private mutating func parseField(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> HTTPStatus? {
        guard let entry = FieldLine.parse(bytes, from: start, to: end) else { return .badRequest }
        guard head.fields.count < fieldLimit else { return .headTooLarge }
        head.fields.append(entry)
        return interpret(bytes, entry)
    }

    @inline(__always)
    private mutating func interpret(_ bytes: UnsafeRawBufferPointer, _ entry: HTTPFields.Entry) -> HTTPStatus? {
        let name = bytes.part(entry.name)
        switch name.count {
        case 2 where name.spellInAnyCase("te"):
            note(bytes.part(entry.value), "trailers", .takesTrailers)
        case 4 where name.spellInAnyCase("host"):
            guard !seen.contains(.host) else { return .badRequest }
            seen.insert(.host)
            guard entry.value.isEmpty || knownAuthority.isValid(bytes.part(entry.value)) else { return .badRequest }
            // That of an absolute target counts (RFC 9112, 3.2.2).
            if head.authority == nil { head.authority = entry.value }
        case 6 where name.spellInAnyCase("expect"):
            return noteExpectation(bytes.part(entry.value))
        case 10 where name.spellInAnyCase("connection"):
            noteConnection(bytes.part(entry.value))
        case 14 where name.spellInAnyCase("content-length"):
            return noteLength(bytes.part(entry.value))
        case 17 where name.spellInAnyCase("transfer-encoding"):
            return noteCoding(bytes.part(entry.value))
        default:
            break
        }
        return nil
    }

    @inline(__always)
    private mutating func noteConnection(_ options: UnsafeRawBufferPointer) {
        // What nearly all clients send. A list is gone through twice, character by character.
        if options.spellInAnyCase("keep-alive") {
            head.flags.insert(.asksToKeep)
        } else {
            note(options, "close", .asksToClose)
            note(options, "keep-alive", .asksToKeep)
        }
    }

    private mutating func note(_ list: UnsafeRawBufferPointer, _ word: StaticString, _ flag: RequestHead.Flags) {
        var isThere = false
        list.forEachMember { isThere = isThere || $0.spellInAnyCase(word) }
        if isThere { head.flags.insert(flag) }
    }

    private mutating func noteExpectation(_ value: UnsafeRawBufferPointer) -> HTTPStatus? {
        // Clients of HTTP/1.0 cannot wait for a 100 (RFC 9110, 10.1.1).
        guard head.flags.contains(.isHTTP11) else { return nil }
        guard value.spellInAnyCase("100-continue") else { return .expectationFailed }
        head.flags.insert(.expectsContinue)
        return nil
    }

    /// Digits alone, and one field: where there are two, equal or not, another reader may take the other one.
    private mutating func noteLength(_ value: UnsafeRawBufferPointer) -> HTTPStatus? {
        guard !seen.contains(.contentLength), value.count > 0, value.allSatisfy(\.isDigit) else { return .badRequest }
        seen.insert(.contentLength)
        var length = 0
        for digit in value {
            let (tens, isAbove) = length.multipliedReportingOverflow(by: 10)
            let (sum, isFarAbove) = tens.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
            if isAbove || isFarAbove { return .contentTooLarge }
            length = sum
        }
        head.framing = length == 0 ? .none : .length(length)
        return nil
    }

    private mutating func noteCoding(_ value: UnsafeRawBufferPointer) -> HTTPStatus? {
        // HTTP/1.0 has no transfer codings: the framing is faulty (RFC 9112, 6.1).
        guard !seen.contains(.transferEncoding), head.flags.contains(.isHTTP11) else { return .badRequest }
        seen.insert(.transferEncoding)
        if value.spellInAnyCase("chunked") { return nil }
        var (codings, unknown) = (0, 0)
        value.forEachMember { coding in
            codings += 1
            if !coding.spellInAnyCase("chunked") { unknown += 1 }
        }
        // An empty list, or chunks in chunks, are malformed. Whatever else there is, this server cannot decode it.
        return unknown == 0 || codings == 0 ? .badRequest : .notImplemented
    }

    private mutating func finish(_ length: Int) -> Step {
        // Exactly one Host in HTTP/1.1 (RFC 9112, 3.2).
        guard seen.contains(.host) || !head.flags.contains(.isHTTP11) else { return .failure(.badRequest) }
        if seen.contains(.transferEncoding) {
            // Both are how requests are smuggled past proxies (RFC 9112, 6.1).
            if seen.contains(.contentLength) { return .failure(.badRequest) }
            head.framing = .chunked
        }
        head.length = length
        return .complete
    }
}
