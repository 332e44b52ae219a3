// JSON text written piece by piece, without a tree: a status of 1,000 workers has 20,000 values.

import PreforkSystem

/// Writes JSON. It writes the commas. The caller must end what it begins.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(reserving capacity: Int = 0) {
        bytes.reserveCapacity(capacity)
    }

    package mutating func object(_ members: (inout JSONWriter) -> Void) {
        enclosed("{", "}", members)
    }

    package mutating func array<Element>(_ elements: [Element], _ element: (inout JSONWriter, Element) -> Void) {
        enclosed("[", "]") { writer in
            for each in elements { element(&writer, each) }
        }
    }

    /// The name of the member whose value comes next.
    package mutating func name(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        // Names in this package are plain ASCII: nothing to escape.
        bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: ":")])
        needsComma = false
    }

    package mutating func value(_ text: String) {
        separate()
        quote(text)
    }

    package mutating func value(_ number: some BinaryInteger) {
        separate()
        bytes.append(contentsOf: number.description.utf8)
    }

    package mutating func value(_ flag: Bool) {
        separate()
        bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    }

    /// JSON has no infinities and no NaN: they become null.
    package mutating func value(_ number: Double) {
        guard number.isFinite else { return null() }
        separate()
        bytes.append(contentsOf: number.description.utf8)
    }

    /// Seconds, in microseconds at the finest.
    package mutating func value(_ duration: Duration) {
        separate()
        let microseconds = duration.saturatedNanoseconds / 1_000
        if microseconds < 0 { bytes.append(UInt8(ascii: "-")) }
        bytes.append(contentsOf: (microseconds.magnitude / 1_000_000).description.utf8)
        let fraction = microseconds.magnitude % 1_000_000
        guard fraction > 0 else { return }
        bytes.append(UInt8(ascii: "."))
        bytes.append(contentsOf: (fraction + 1_000_000).description.utf8.dropFirst())
    }

    package mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    package mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let flag): self.value(flag)
        case .integer(let number): self.value(number)
        case .number(let number): self.value(number)
        case .string(let text): self.value(text.unescaped)
        case .array(let elements): array(elements) { $0.value($1) }
        case .object(let members):
            object { writer in
                for member in members { writer.member(member) }
            }
        }
    }

    private mutating func member(_ member: JSONValue.Member) {
        separate()
        quote(member.name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
        value(member.value)
    }

    private mutating func enclosed(_ open: Unicode.Scalar, _ end: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: open))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: end))
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            bytes += text.utf8
        } else {
            bytes += ForeignText(text).escaped(for: .json).utf8
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension JSONWriter {
    package mutating func member(_ name: StaticString, _ value: String?) {
        self.name(name)
        if let value { self.value(value) } else { null() }
    }

    package mutating func member(_ name: StaticString, _ value: (some BinaryInteger)?) {
        self.name(name)
        if let value { self.value(value) } else { null() }
    }

    package mutating func member(_ name: StaticString, _ value: Bool) {
        self.name(name)
        self.value(value)
    }

    package mutating func member(_ name: StaticString, _ value: Duration?) {
        self.name(name)
        if let value { self.value(value) } else { null() }
    }
}
