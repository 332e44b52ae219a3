// Types that use their encoder in unusual ways, and against the rules.

import PreforkCBOR
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CBORContainerTests {
    private let codec = CBORCodec()

    private enum Key: String, CodingKey { case a, b, c, d }

    /// A value that is what a closure does with an encoder.
    private struct Written: Encodable {
        let write: (any Encoder) throws -> Void
        func encode(to encoder: any Encoder) throws { try write(encoder) }
    }

    private func encoded(_ write: @escaping (any Encoder) throws -> Void) throws -> [UInt8] {
        try codec.encode(Written(write: write))
    }

    /// The same value, by way of plain collections.
    private func expect<Value: Codable & Equatable>(
        _ bytes: [UInt8], is value: Value, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try codec.decode(Value.self, from: bytes) == value, sourceLocation: sourceLocation)
    }

    @Test func nestedContainersMayBeWrittenInTurns() throws {
        let bytes = try encoded { encoder in
            var map = encoder.container(keyedBy: Key.self)
            var a = map.nestedUnkeyedContainer(forKey: .a)
            var b = map.nestedUnkeyedContainer(forKey: .b)
            for number in 0..<30 {
                try a.encode(number)
                try b.encode(-number)
            }
            var inner = a.nestedUnkeyedContainer()
            try inner.encode(true)
            try map.encode([1, 2], forKey: .c)
            var innermost = inner.nestedContainer(keyedBy: Key.self)
            try a.encode(31)
            try innermost.encode("x", forKey: .a)
            try inner.encode(false)
            _ = map.nestedUnkeyedContainer(forKey: .d)
        }
        struct Value: Decodable {
            let a: [Item], b: [Int], c: [Int], d: [Int]
            enum Item: Decodable, Equatable {
                case number(Int), array([Inner])
                init(from decoder: any Decoder) throws {
                    let single = try decoder.singleValueContainer()
                    do { self = .number(try single.decode(Int.self)) }
                    catch { self = .array(try single.decode([Inner].self)) }
                }
            }
            enum Inner: Decodable, Equatable {
                case bool(Bool), map([String: String])
                init(from decoder: any Decoder) throws {
                    let single = try decoder.singleValueContainer()
                    do { self = .bool(try single.decode(Bool.self)) }
                    catch { self = .map(try single.decode([String: String].self)) }
                }
            }
        }
        let value = try codec.decode(Value.self, from: bytes)
        let inner = Value.Item.array([.bool(true), .map(["a": "x"]), .bool(false)])
        #expect(value.a == (0..<30).map { .number($0) } + [inner, .number(31)])
        #expect(value.b == (0..<30).map { -$0 })
        #expect(value.c == [1, 2])
        #expect(value.d.isEmpty)
    }

    @Test func containersThatWereSetAsideKeepTheirPlaceWhenHeadsGrow() throws {
        let bytes = try encoded { encoder in
            var outer = encoder.unkeyedContainer()
            var insets: [any UnkeyedEncodingContainer] = []
            for number in 0..<300 {
                insets.append(outer.nestedUnkeyedContainer())
                try outer.encode([number])
            }
            for number in 0..<300 { try insets[number].encode(number) }
        }
        try expect(bytes, is: (0..<300).flatMap { [[$0], [$0]] })
    }

    @Test func twoContainersOfOneKindAreOne() throws {
        try expect(
            try encoded { encoder in
                var first = encoder.container(keyedBy: Key.self)
                var second = encoder.container(keyedBy: Key.self)
                try second.encode(1, forKey: .a)
                try first.encode(2, forKey: .b)
            }, is: ["a": 1, "b": 2])
        try expect(
            try encoded { encoder in
                var first = encoder.unkeyedContainer()
                try first.encode(1)
                var second = encoder.unkeyedContainer()
                try second.encode(2)
                #expect(first.count == 2)
            }, is: [1, 2])
    }

    @Test func superEncodersHoldAnyKindOfValue() throws {
        let bytes = try encoded { encoder in
            var map = encoder.container(keyedBy: Key.self)
            let above = map.superEncoder()
            let a = map.superEncoder(forKey: .a)
            let b = map.superEncoder(forKey: .b)
            _ = map.superEncoder(forKey: .c)
            var single = a.singleValueContainer()
            try single.encode(5)
            try [1].encode(to: b)
            try ["x": 1].encode(to: above)
        }
        struct Value: Decodable, Equatable { let `super`: [String: Int], a: Int, b: [Int], c: [String: Int] }
        let value = try codec.decode(Value.self, from: bytes)
        #expect(value == Value(super: ["x": 1], a: 5, b: [1], c: [:]))
    }

    @Test func aValueThatEncodesNothingIsAnError() throws {
        #expect(throws: EncodingError.self) { try encoded { _ in } }
        // Inside of another it is an empty map, as with the JSON encoder.
        try expect(try codec.encode([Written { _ in }]), is: [[String: Int]()])
        try expect(try encoded { _ = $0.unkeyedContainer() }, is: [Int]())
    }

    @Test func misuseOfAnEncoderIsAnError() throws {
        #expect(throws: EncodingError.self) {
            try encoded { encoder in
                _ = encoder.container(keyedBy: Key.self)
                var array = encoder.unkeyedContainer()
                try array.encode(1)
            }
        }
        #expect(throws: EncodingError.self) {
            try encoded { encoder in
                _ = encoder.container(keyedBy: Key.self)
                _ = encoder.unkeyedContainer()
            }
        }
        #expect(throws: EncodingError.self) {
            try encoded { encoder in
                var single = encoder.singleValueContainer()
                try single.encode(1)
                try single.encode(2)
            }
        }
        #expect(throws: EncodingError.self) {
            try encoded { encoder in
                var outer = encoder.unkeyedContainer()
                var again = outer
                try outer.encode(Written { _ in try again.encode(1) })
            }
        }
        #expect(throws: EncodingError.self) {
            try encoded { encoder in
                var outer = encoder.unkeyedContainer()
                var late: (any UnkeyedEncodingContainer)?
                try outer.encode(Written { late = $0.unkeyedContainer() })
                try late?.encode(1)
            }
        }
    }

    @Test func anErrorThatIsCaughtLeavesNothingBehind() throws {
        struct Failure: Error {}
        struct Value: Decodable, Equatable { let a: Int, b: Int?, c: Int, d: [Int] }
        let bytes = try encoded { encoder in
            var map = encoder.container(keyedBy: Key.self)
            try map.encode(1, forKey: .a)
            var aside = map.nestedUnkeyedContainer(forKey: .d)
            let failing = Written { inner in
                var array = inner.unkeyedContainer()
                _ = array.nestedUnkeyedContainer()
                try array.encode(5)
                throw Failure()
            }
            #expect(throws: Failure.self) { try map.encode(failing, forKey: .b) }
            try map.encode(3, forKey: .c)
            try aside.encode(9)
        }
        #expect(try codec.decode(Value.self, from: bytes) == Value(a: 1, b: nil, c: 3, d: [9]))
    }

    @Test func errorsNameTheirPlace() throws {
        struct Inner: Codable { let d: [Int8] }
        struct Twice: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                try container.encode(1)
                try container.encode(2)
            }
        }
        let bytes = try codec.encode(["a": [["d": [1, 2, 300]]]])
        do {
            _ = try codec.decode([String: [Inner]].self, from: bytes)
            Issue.record("no error")
        } catch DecodingError.dataCorrupted(let context) {
            #expect(context.codingPath.map(\.stringValue) == ["a", "Index 0", "d", "Index 2"])
        }
        do {
            _ = try codec.encode(["a": [Twice()]])
            Issue.record("no error")
        } catch EncodingError.invalidValue(_, let context) {
            #expect(context.codingPath.map(\.stringValue) == ["a", "Index 0"])
        }
    }

    @Test func nestingIsLimitedInBothDirections() throws {
        final class Link: Codable {
            let next: Link?
            init(_ next: Link?) { self.next = next }
        }
        func chain(_ length: Int) -> Link { (1..<length).reduce(Link(nil)) { link, _ in Link(link) } }
        let deepest = try codec.encode(chain(CBORCodec.maximumDepth))
        var link: Link? = try codec.decode(Link.self, from: deepest)
        var length = 0
        while let here = link { (link, length) = (here.next, length + 1) }
        #expect(length == CBORCodec.maximumDepth)
        #expect(throws: EncodingError.self) { try codec.encode(chain(CBORCodec.maximumDepth + 1)) }
        #expect(throws: DecodingError.self) { try codec.decode(Link.self, from: [0xA1, 0x61, 0x6E] + deepest) }
        for byte: UInt8 in [0x81, 0x9F, 0xA1, 0xBF, 0xC1, 0x5F, 0x7F] {
            let bytes = [UInt8](repeating: byte, count: 1_000_000)
            #expect(throws: DecodingError.self) { try codec.decode(Link.self, from: bytes) }
        }
    }

    @Test func decodersOfAbsentAndWrongThingsThrow() throws {
        struct Value: Decodable { let a: Int }
        #expect(throws: DecodingError.self) { try codec.decode(Value.self, from: codec.encode(["b": 1])) }
        #expect(throws: DecodingError.self) { try codec.decode(Value.self, from: codec.encode(["a": "1"])) }
        #expect(throws: DecodingError.self) { try codec.decode(Value.self, from: codec.encode(["a": Int?.none])) }
        #expect(throws: DecodingError.self) { try codec.decode(Value.self, from: codec.encode([1])) }
        #expect(throws: DecodingError.self) { try codec.decode([Int].self, from: codec.encode(["a": 1])) }
        #expect(throws: DecodingError.self) { try codec.decode([Range<Int>].self, from: codec.encode([[1]])) }
    }
}
