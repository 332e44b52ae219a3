// Reads JSON (RFC 8259) strictly: any client that can connect may have sent it.

import PreforkSystem

/// Why a text is no JSON, and where.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    package var offset: Int
    package var reason: String

    package var description: String { "\(reason) at byte \(offset)" }
}

/// A strict parser with limits: no comments, no trailing commas, no name twice, valid UTF-8 only.
package struct JSONParser {
    private let bytes: [UInt8]
    private var offset = 0
    private let depthLimit: Int

    /// The value that is the whole of `bytes`.
    ///
    /// - Parameters:
    ///   - depthLimit: how deep arrays and objects may be nested. It bounds the parser's recursion.
    ///   - sizeLimit: in bytes.
    package static func parse(
        _ bytes: [UInt8], depthLimit: Int = 16, sizeLimit: Int = 1 << 16
    ) throws(JSONError) -> JSONValue {
        guard bytes.count <= sizeLimit else {
            throw JSONError(offset: sizeLimit, reason: "longer than \(sizeLimit) bytes")
        }
        var parser = JSONParser(bytes: bytes, depthLimit: depthLimit)
        let value = try parser.value(depth: 0)
        parser.skipSpaces()
        guard parser.offset == bytes.count else { throw parser.error("text after the value") }
        return value
    }

    private init(bytes: [UInt8], depthLimit: Int) {
        self.bytes = bytes
        self.depthLimit = depthLimit
    }

    private func error(_ reason: String) -> JSONError {
        JSONError(offset: offset, reason: reason)
    }

    private var next: UInt8? {
        offset < bytes.count ? bytes[offset] : nil
    }

    private mutating func skipSpaces() {
        while let byte = next, [0x20, 0x0A, 0x0D, 0x09].contains(byte) { offset += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= depthLimit else { throw error("nested deeper than \(depthLimit)") }
        skipSpaces()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(ForeignText(try string()))
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || Self.isDigit(byte): return try number()
        case nil: throw error("a value is missing")
        default: throw error("no value begins like this")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let expected = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard bytes[offset...].starts(with: expected) else { throw error("no value begins like this") }
        offset += expected.count
        return value
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var elements: [JSONValue] = []
        skipSpaces()
        if take("]") { return .array([]) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpaces()
            if take("]") { return .array(elements) }
            guard take(",") else { throw error("no comma or end of the array") }
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var members: [JSONValue.Member] = []
        // By hash: an object of many names must not take time by their square.
        var names: Set<String> = []
        skipSpaces()
        if take("}") { return .object([]) }
        while true {
            skipSpaces()
            guard next == UInt8(ascii: "\"") else { throw error("a name is missing") }
            let name = try string()
            guard names.insert(name).inserted else { throw error("a name for the second time") }
            skipSpaces()
            guard take(":") else { throw error("no colon after a name") }
            members.append(JSONValue.Member(name, try value(depth: depth + 1)))
            skipSpaces()
            if take("}") { return .object(members) }
            guard take(",") else { throw error("no comma or end of the object") }
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private mutating func digits() throws(JSONError) {
        let start = offset
        while let byte = next, Self.isDigit(byte) { offset += 1 }
        if offset == start { throw error("a digit is missing") }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        _ = take("-")
        if next == UInt8(ascii: "0") { offset += 1 } else { try digits() }
        var isWhole = true
        if take(".") {
            isWhole = false
            try digits()
        }
        if take("e") || take("E") {
            isWhole = false
            if !take("+") { _ = take("-") }
            try digits()
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isWhole, let number = Int64(text) { return .integer(number) }
        guard let number = Double(text), number.isFinite else { throw error("a number out of range") }
        return .number(number)
    }

    private mutating func string() throws(JSONError) -> String {
        offset += 1
        var text: [UInt8] = []
        while let byte = next {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                if let string = String(validating: text, as: UTF8.self) { return string }
                throw error("text that is not UTF-8")
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw error("a control character in a string")
            default: text.append(byte)
            }
        }
        throw error("a string without end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = next else { throw error("a string without end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            guard let scalar = Unicode.Scalar(try codePoint()) else { throw error("half of a surrogate pair") }
            text.append(contentsOf: String(Character(scalar)).utf8)
        default: throw error("an unknown escape")
        }
    }

    /// The four digits after `\u`, and the four of the second half of a surrogate pair.
    private mutating func codePoint() throws(JSONError) -> UInt32 {
        let first = try fourDigits()
        guard (0xD800..<0xDC00).contains(first) else { return first }
        guard take("\\"), take("u") else { throw error("half of a surrogate pair") }
        let second = try fourDigits()
        guard (0xDC00..<0xE000).contains(second) else { throw error("half of a surrogate pair") }
        return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
    }

    private mutating func fourDigits() throws(JSONError) -> UInt32 {
        var number: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw error("not four hexadecimal digits")
            }
            number = number << 4 | UInt32(digit)
            offset += 1
        }
        return number
    }
}
