// Codable values as CBOR and back.

import PreforkCBOR
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CBORCodecTests {
    private let codec = CBORCodec()

    private func travel<Value: Codable>(_ value: Value) throws -> Value {
        try codec.decode(Value.self, from: codec.encode(value))
    }

    struct User: Codable, Hashable, Sendable {
        var id: Int
        var name: String
        var isAdmin: Bool
        var mail: String?
        var blob: [UInt8] = []
    }

    enum Shape: Codable, Hashable {
        case point
        case circle(radius: Double)
        indirect case pair(Shape, Shape)
    }

    class Animal: Codable {
        var legs: Int
        init(legs: Int) { self.legs = legs }
    }

    /// Shares its encoder with its superclass.
    final class Dog: Animal {
        var name: String
        private enum CodingKeys: CodingKey { case name }

        init(legs: Int, name: String) {
            self.name = name
            super.init(legs: legs)
        }

        required init(from decoder: any Decoder) throws {
            name = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .name)
            try super.init(from: decoder)
        }

        override func encode(to encoder: any Encoder) throws {
            try super.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
        }
    }

    /// Gives its superclass an encoder of its own, and goes on after it.
    final class Cat: Animal {
        var name: String
        private enum CodingKeys: CodingKey { case name, again }

        init(legs: Int, name: String) {
            self.name = name
            super.init(legs: legs)
        }

        required init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decode(String.self, forKey: .name)
            try super.init(from: container.superDecoder())
            _ = try container.decode(String.self, forKey: .again)
        }

        override func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            let above = container.superEncoder()
            try container.encode(name, forKey: .name)
            try super.encode(to: above)
            try container.encode(name, forKey: .again)
        }
    }

    @Test func structsAndCollectionsComeBackAsTheyWere() throws {
        let user = User(id: -5, name: "größer 🦆", isAdmin: true, mail: nil, blob: [0, 255])
        #expect(try travel(user) == user)
        #expect(try travel([user, user]) == [user, user])
        #expect(try travel([String: [User?]]()) == [:])
        #expect(try travel(["a": [user, nil], "b": []]) == ["a": [user, nil], "b": []])
        #expect(try travel([1: "one", -2: "minus two"]) == [1: "one", -2: "minus two"])
        #expect(try travel([user: 1.5]) == [user: 1.5])
        #expect(try travel(Set([1, 2, 3])) == [1, 2, 3])
        #expect(try travel([[Int]]()) == [])
        #expect(try travel([[], [1], [[1, 2].count]]) == [[], [1], [2]])
        #expect(try travel(Int??.some(nil)) == nil)
        #expect(try travel([Int?.some(1), nil]) == [1, nil])
        #expect(try travel(1..<5) == 1..<5)
        let many = Dictionary(uniqueKeysWithValues: (0..<5000).map { ("key \($0)", $0) })
        #expect(try travel(many) == many)
    }

    @Test func everyScalarComesBackAsItWas() throws {
        #expect(try travel(Int.min) == .min)
        #expect(try travel(UInt64.max) == .max)
        #expect(try travel(Int8(-128)) == -128)
        #expect(try travel([UInt16.max, 0]) == [.max, 0])
        #expect(try travel([Int16.min, Int16.max]) == [.min, .max])
        #expect(try travel(["a": Int8(5)]) == ["a": 5])
        #expect(try travel([Int128(7), .min, .max]) == [7, .min, .max])
        #expect(try travel(UInt128.max) == .max)
        #expect(try travel(true))
        #expect(try travel("") == "")
        #expect(try travel([UInt8](0...255)) == Array(0...255))
        for number in [0, -0.0, 1.5, 1.1, .infinity, -.infinity, .pi, 65504, 65505, 1e300, .leastNonzeroMagnitude] {
            #expect(try travel(number).bitPattern == number.bitPattern)
        }
        for number: Float in [0, 1.1, 5.960464477539063e-8, .greatestFiniteMagnitude] {
            #expect(try travel([number]) == [number])
        }
        #expect(try travel(Double.nan).isNaN)
        #expect(try travel(["x": Float.nan])["x"]?.isNaN == true)
    }

    @Test func enumsWithAssociatedValuesComeBackAsTheyWere() throws {
        let shapes = [Shape.point, .circle(radius: 2), .pair(.pair(.point, .circle(radius: 0.1)), .point)]
        #expect(try travel(shapes) == shapes)
        #expect(try travel(["a": Shape.point]) == ["a": .point])
    }

    @Test func classesComeBackWithTheirSuperclass() throws {
        let dog = try travel(Dog(legs: 4, name: "Rex"))
        #expect(dog.legs == 4 && dog.name == "Rex")
        let cats = try travel(["a": [Cat(legs: 3, name: "Tom"), Cat(legs: 4, name: "Kit")]])
        #expect(cats["a"]?.map(\.legs) == [3, 4])
        #expect(cats["a"]?.map(\.name) == ["Tom", "Kit"])
    }

    @Test func anotherVersionOfTheProgramReadsTheSameBytes() throws {
        struct Old: Codable { var name: String, gone: [String: [Int]], id: Int }
        struct New: Codable, Equatable { var id: Int, name: String, added: String?, addedToo: [Int]? }
        let bytes = try codec.encode(Old(name: "n", gone: ["a": [1, 2]], id: 7))
        #expect(try codec.decode(New.self, from: bytes) == New(id: 7, name: "n", added: nil, addedToo: nil))
    }

    @Test func bytesInAStructAreAByteString() throws {
        let bytes = try codec.encode(["b": [1, 2, 3] as [UInt8]])
        #expect(bytes == [0xA1, 0x61, 0x62, 0x43, 1, 2, 3])
        // As others may write them.
        #expect(try codec.decode([String: [UInt8]].self, from: [0xA1, 0x61, 0x62, 0x83, 1, 2, 3]) == ["b": [1, 2, 3]])
    }

    @Test func equalValuesHaveEqualBytes() throws {
        let user = User(id: 1, name: "n", isAdmin: false, mail: "m")
        #expect(try codec.encode(user) == codec.encode(user))
    }
}
