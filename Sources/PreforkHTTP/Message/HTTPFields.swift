// Header and trailer fields.

/// The fields of a message, in the order in which they were sent. Names are compared in any case.
///
/// Those of a request are the bytes that the client has sent: a look-up compares bytes and allocates nothing until a value
/// becomes a `String`. Those of a response are kept as they will be sent.
public struct HTTPFields: Sendable {
    /// Where a field is in `bytes`.
    struct Entry: Equatable, Sendable {
        var nameStart: UInt32
        var nameEnd: UInt32
        var valueStart: UInt32
        var valueEnd: UInt32

        var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
        var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
    }

    /// Names that the server must know before it sends a response.
    struct Kinds: OptionSet, Sendable {
        let rawValue: UInt8

        static let contentLength = Kinds(rawValue: 1)
        /// Transfer-Encoding, Trailer, Keep-Alive, Upgrade: of the connection, not of the program.
        static let ofConnection = Kinds(rawValue: 2)
        static let connection = Kinds(rawValue: 4)
        static let date = Kinds(rawValue: 8)
        /// The bytes are no message's fields, but a whole head.
        static let isView = Kinds(rawValue: 16)

        /// Nothing in the fields is left out: they can be sent as they stand.
        var isPlain: Bool { isEmpty || self == .date }
    }

    private(set) var bytes: [UInt8] = []
    private(set) var entries: [Entry] = []
    private(set) var kinds: Kinds = []

    /// No fields.
    public init() {}

    /// A view of a head, or of a part of it.
    init(viewOf bytes: [UInt8], _ entries: [Entry]) {
        self.bytes = bytes
        self.entries = entries
        kinds = .isView
    }

    /// Adds a field behind the others.
    ///
    /// The server itself decides how a message is framed: it leaves out `Transfer-Encoding`, `Trailer`, `Keep-Alive` and
    /// `Upgrade` of a response, and `Content-Length` except where a response has no body. `Connection: close` ends the
    /// connection, other options of it are left out.
    ///
    /// - Parameters:
    ///   - name: a token (RFC 9110, 5.6.2).
    ///   - value: spaces and tabs at its ends are left out.
    /// - Throws: `HTTPError` (`.badField`) for a name that is no token, and for a value with a line end, a NUL or another
    ///   control character. Nothing was added.
    public mutating func append(_ name: String, _ value: String) throws(HTTPError) {
        var (name, value) = (name, value)
        let isValid = name.withUTF8 { name in
            value.withUTF8 { value in add(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer(value).trimmed) }
        }
        if !isValid { throw HTTPError(.badField(name: name)) }
    }

    /// Replaces all fields of this name by one, behind the others.
    ///
    /// - Parameters:
    ///   - name: as in `append`.
    ///   - value: as in `append`.
    /// - Throws: as `append`. Nothing has changed then.
    public mutating func set(_ name: String, _ value: String) throws(HTTPError) {
        guard contains(name) else { return try append(name, value) }
        var changed = self
        changed.remove(name)
        try changed.append(name, value)
        self = changed
    }

    /// Removes all fields of this name.
    ///
    /// - Parameter name: in any case. One that is no token is the name of no field.
    public mutating func remove(_ name: String) {
        guard contains(name) else { return }
        var name = name
        self = name.withUTF8 { name in copy(without: UnsafeRawBufferPointer(name)) }
    }

    /// The value of this name's fields. Of several, the values joined by `, `, which means the same (RFC 9110, 5.3) except
    /// for `Set-Cookie`.
    ///
    /// - Parameter name: in any case.
    public subscript(name: String) -> String? {
        withName(name) { bytes, name in
            var found: String?
            for entry in entries where bytes.part(entry.name).isEqualInAnyCase(to: name) {
                let value = String(decoding: bytes.part(entry.value), as: UTF8.self)
                found = found.map { "\($0), \(value)" } ?? value
            }
            return found
        }
    }

    /// The values of all fields of this name, in order.
    ///
    /// - Parameter name: in any case.
    public func values(of name: String) -> [String] {
        withName(name) { bytes, name in
            entries.filter { bytes.part($0.name).isEqualInAnyCase(to: name) }
                .map { String(decoding: bytes.part($0.value), as: UTF8.self) }
        }
    }

    /// Whether there is a field of this name.
    ///
    /// - Parameter name: in any case.
    public func contains(_ name: String) -> Bool {
        withName(name) { bytes, name in
            for entry in entries where bytes.part(entry.name).isEqualInAnyCase(to: name) { return true }
            return false
        }
    }

    /// Whether the lists in this name's fields have a member, such as `upgrade` in `Connection: keep-alive, Upgrade`.
    ///
    /// - Parameters:
    ///   - name: in any case.
    ///   - token: in any case.
    public func contains(_ name: String, token: String) -> Bool {
        var token = token
        return token.withUTF8 { token in
            withName(name) { bytes, name in
                var isThere = false
                for entry in entries where bytes.part(entry.name).isEqualInAnyCase(to: name) {
                    bytes.part(entry.value).forEachMember { member in
                        isThere = isThere || member.isEqualInAnyCase(to: UnsafeRawBufferPointer(token))
                    }
                }
                return isThere
            }
        }
    }

    /// Calls `body` with the bytes of the first field of this name. They must not leave the closure.
    ///
    /// - Parameter name: in any case.
    /// - Returns: nil if there is no such field.
    public func withValue<Result, Failure: Error>(
        of name: String, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        let entry = withName(name) { bytes, name in
            entries.first { bytes.part($0.name).isEqualInAnyCase(to: name) }
        }
        guard let entry else { return nil }
        return try bytes.withUnsafeBufferPointer { bytes throws(Failure) in
            try body(UnsafeRawBufferPointer(bytes).part(entry.value))
        }
    }

    /// Calls `body` with the bytes of each field, in order. Unlike a loop, it makes no `String`. The bytes must not leave the
    /// closure.
    ///
    /// - Parameter body: gets the name and the value. What it throws ends the calls.
    public func forEachField<Failure: Error>(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try bytes.withUnsafeBufferPointer { bytes throws(Failure) in
            let bytes = UnsafeRawBufferPointer(bytes)
            for entry in entries { try body(bytes.part(entry.name), bytes.part(entry.value)) }
        }
    }

    /// Whether there are no fields.
    public var isEmpty: Bool { entries.isEmpty }
    /// How many fields there are.
    public var count: Int { entries.count }

    private func withName<Result>(
        _ name: String, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Result
    ) -> Result {
        var name = name
        return name.withUTF8 { name in
            bytes.withUnsafeBytes { body($0, UnsafeRawBufferPointer(name)) }
        }
    }

    /// Writes a field as it will be sent.
    ///
    /// - Returns: false for a field that no message may have. Nothing was added then.
    private mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        guard name.count > 0, name.isToken, !value.hasForbidden,
            bytes.count + name.count + value.count < Int(UInt32.max) / 2
        else { return false }
        becomeOwn()
        // Room for a few fields at once: to grow for each part of each field costs more than to write it.
        if entries.isEmpty {
            bytes.reserveCapacity(192)
            entries.reserveCapacity(6)
        }
        let nameStart = bytes.count
        bytes.append(contentsOf: name)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(.space)
        let valueStart = bytes.count
        bytes.append(contentsOf: value)
        entries.append(
            Entry(
                nameStart: UInt32(nameStart), nameEnd: UInt32(valueStart - 2), valueStart: UInt32(valueStart),
                valueEnd: UInt32(bytes.count)))
        bytes.append(.cr)
        bytes.append(.lf)
        kinds.formUnion(Kinds(ofName: name))
        return true
    }

    /// A view of a request's head becomes fields that can be sent.
    @inline(__always)
    mutating func becomeOwn() {
        if kinds.contains(.isView) { self = copy(without: UnsafeRawBufferPointer(start: nil, count: 0)) }
    }

    /// The same fields with bytes of their own, except those of this name.
    private func copy(without name: UnsafeRawBufferPointer) -> HTTPFields {
        var copy = HTTPFields()
        bytes.withUnsafeBytes { bytes in
            for entry in entries where !bytes.part(entry.name).isEqualInAnyCase(to: name) {
                _ = copy.add(bytes.part(entry.name), bytes.part(entry.value))
            }
        }
        return copy
    }
}

extension HTTPFields.Kinds {
    init(ofName name: UnsafeRawBufferPointer) {
        switch name.count {
        case 4 where name.spellInAnyCase("date"): self = .date
        case 7 where name.spellInAnyCase("upgrade"), 7 where name.spellInAnyCase("trailer"): self = .ofConnection
        case 10 where name.spellInAnyCase("connection"): self = .connection
        case 10 where name.spellInAnyCase("keep-alive"): self = .ofConnection
        case 14 where name.spellInAnyCase("content-length"): self = .contentLength
        case 17 where name.spellInAnyCase("transfer-encoding"): self = .ofConnection
        default: self = []
        }
    }
}

extension HTTPFields: Sequence {
    /// Gives each field as it was sent.
    public struct Iterator: IteratorProtocol {
        fileprivate let fields: HTTPFields
        fileprivate var index = 0

        /// The next field, or nil behind the last.
        public mutating func next() -> (name: String, value: String)? {
            guard index < fields.entries.count else { return nil }
            let entry = fields.entries[index]
            index += 1
            return fields.bytes.withUnsafeBytes { bytes in
                (
                    String(decoding: bytes.part(entry.name), as: UTF8.self),
                    String(decoding: bytes.part(entry.value), as: UTF8.self)
                )
            }
        }
    }

    public func makeIterator() -> Iterator { Iterator(fields: self) }
}

extension HTTPFields: Equatable {
    /// The same fields in the same order, names in any case.
    public static func == (a: Self, b: Self) -> Bool {
        guard a.count == b.count else { return false }
        return a.bytes.withUnsafeBytes { left in
            b.bytes.withUnsafeBytes { right in
                for (one, other) in zip(a.entries, b.entries) {
                    guard left.part(one.name).isEqualInAnyCase(to: right.part(other.name)),
                        left.part(one.value).elementsEqual(right.part(other.value))
                    else { return false }
                }
                return true
            }
        }
    }
}

extension HTTPFields: ExpressibleByDictionaryLiteral {
    /// Fields that the program's text spells, such as `["Cache-Control": "no-store"]`.
    ///
    /// A name or value that cannot be sent is a mistake of the program and ends it. Values that the program computes go
    /// through `append`, which throws.
    public init(dictionaryLiteral fields: (StaticString, StaticString)...) {
        for (name, value) in fields {
            // Nothing that the program reads gets here: both are literals.
            precondition(add(name.bytes, value.bytes.trimmed), "\(name) is no field that can be sent")
        }
    }
}

extension HTTPFields: CustomStringConvertible {
    public var description: String { map { "\($0.name): \($0.value)" }.joined(separator: "\n") }
}
