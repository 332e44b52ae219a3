// What is stored comes back, as it was and as nothing else.

import PreforkCBOR
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkStore

/// A value that needs a codec.
struct Point: Codable, Hashable, Sendable {
    var x: Int
    var name: String?
    var tags: [String: [Double]] = [:]
}

/// A codec of a program's own: the shortest that can be told from CBOR.
struct ReversedCodec: ValueCodec {
    var identifier: UInt8 = 200
    struct Refused: Error, Equatable {}

    func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        if let point = value as? Point, point.name == "refused" { throw Refused() }
        return try CBORCodec().encode(value).reversed()
    }

    func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        try CBORCodec().decode(type, from: bytes.reversed())
    }
}

@Suite(.timeLimit(.minutes(2)))
struct StoreTests {
    private let store: SharedStore

    init() throws {
        store = try SharedStore(capacity: StoreCapacity(entries: 1_000, bytes: 8 << 20))
    }

    @Test func everyDirectTypeComesBack() throws {
        try store.set("bytes", [0, 255, 7] as [UInt8])
        try store.set("string", "größer 🦆\0")
        try store.set("int", Int.min)
        try store.set("unsigned", UInt64.max)
        try store.set("double", -0.0)
        try store.set("nan", Double.nan)
        try store.set("float", Float(1.5))
        try store.set("bool", false)
        #expect(try store.get("bytes") == [0, 255, 7] as [UInt8])
        #expect(try store.get("string") == "größer 🦆\0")
        #expect(try store.get("int") == Int.min)
        #expect(try store.get("unsigned") == UInt64.max)
        #expect(try store.get("double", as: Double.self)?.sign == .minus)
        #expect(try store.get("nan", as: Double.self)?.isNaN == true)
        #expect(try store.get("float") == Float(1.5))
        #expect(try store.get("float") == 1.5)
        #expect(try store.get("bool") == false)
        #expect(store.count == 8)
    }

    @Test func aMissingKeyIsNilOrTheDefault() throws {
        #expect(try store.get("none", as: Int.self) == nil)
        #expect(try store.get("none", default: 5) == 5)
        #expect(try store.get("none", default: Point(x: 1)) == Point(x: 1))
        #expect(try store.get("none", as: Point.self) == nil)
        #expect(try store.stored("none") == nil)
        #expect(try !store.contains("none"))
        #expect(try store.remainingLife("none") == Duration??.none)
        #expect(store.count == 0)
    }

    @Test func aDefaultDoesNotHideAValueOfAnotherType() throws {
        try store.set("key", "text")
        let expected = StoreError(.mismatch(ValueMismatch(stored: .string, asked: "Int")), key: "key")
        #expect(throws: expected) { try store.get("key", default: 5) }
        #expect(throws: expected) { try store.get("key", as: Int.self) }
        #expect("\(expected)" == "key: the value is string, which is no Int")
        let other = #expect(throws: StoreError.self) { try store.get("key", as: Point.self) }
        #expect(other.map { "\($0)" } == "key: the value is string, which is no Point")
    }

    @Test func integersAreReadByEveryTypeTheyFitInto() throws {
        try store.set("small", UInt8(200))
        #expect(try store.get("small") == Int64(200))
        #expect(try store.get("small") == UInt(200))
        #expect(throws: StoreError.self) { try store.get("small", as: Int8.self) }
        try store.set("large", UInt64(Int64.max) + 1)
        #expect(try store.get("large") == UInt64(Int64.max) + 1)
        let error = #expect(throws: StoreError.self) { try store.get("large", as: Int.self) }
        #expect(error.map { "\($0)" } == "large: the value is unsigned, which is no Int")
        try store.set("negative", -1)
        #expect(throws: StoreError.self) { try store.get("negative", as: UInt64.self) }
    }

    @Test func codableValuesComeBackByCBOR() throws {
        let point = Point(x: -3, name: "ü", tags: ["a": [0.5, .infinity], "": []])
        try store.set("point", point)
        #expect(try store.get("point") == point)
        try store.set("list", [point, Point(x: 2)])
        #expect(try store.get("list") == [point, Point(x: 2)])
        #expect(throws: (any Error).self) { try store.get("point", as: [Point].self) }
        let error = #expect(throws: StoreError.self) { try store.get("point", as: String.self) }
        #expect(error?.code == .mismatch(ValueMismatch(stored: .coded, asked: "String")))
    }

    @Test func aCodecOfTheProgramsOwnIsUsedAndNotMixedUp() throws {
        let own = try SharedStore(capacity: StoreCapacity(entries: 8, bytes: 64 << 10), codec: ReversedCodec())
        try own.set("point", Point(x: 5))
        #expect(try own.get("point") == Point(x: 5))
        #expect(try own.stored("point")?.bytes.first == 200)
        try own.set("direct", 7)
        #expect(try own.stored("direct") == StoredValue(7))
        #expect(throws: ReversedCodec.Refused()) { try own.set("point", Point(x: 6, name: "refused")) }
        #expect(try own.get("point") == Point(x: 5))
        // What another codec has written is a mismatch, never bytes for this one.
        #expect(throws: ValueMismatch(stored: .coded, asked: "Point")) {
            try own.stored("point")!.decoded(as: Point.self, codec: CBORCodec())
        }
    }

    @Test func aValueOfEverySizeComesBack() throws {
        var numbers = SplitMix64(seed: 1)
        for size in [0, 1, 39, 40, 41, 2_000, 2_021, 2_022, 4_095, 4_096, 4_097, 6_000, 65_536, (1 << 20) - 1, 1 << 20]
        {
            let value = numbers.bytes(size)
            try store.set("key", value)
            #expect(try store.get("key") == value, "\(size) bytes")
            #expect(store.getAll()["key"]?.bytes == value)
            #expect(try store.get(several: ["key"])["key"]?.bytes == value)
        }
        #expect(try store.table.contradictions() == [])
    }

    @Test func anEmptyValueIsNoMissingValue() throws {
        try store.set("empty", "")
        try store.set("none", [UInt8]())
        #expect(try store.get("empty") == "")
        #expect(try store.get("none") == [UInt8]())
        #expect(try store.contains("empty"))
        #expect(try store.get("empty", into: UnsafeMutableRawBufferPointer(start: nil, count: 0)) == 0)
    }

    @Test func aCallersBufferGetsTheBytes() throws {
        try store.set("key", [1, 2, 3] as [UInt8])
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 3, alignment: 1)
        defer { buffer.deallocate() }
        #expect(try store.get("key", into: buffer) == 3)
        #expect(Array(buffer) == [1, 2, 3])
        #expect(try store.get("none", into: buffer) == nil)
        let error = #expect(throws: StoreError.self) {
            try store.get("key", into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<2]))
        }
        #expect(error.map { "\($0)" } == "key: a value of 3 bytes exceeds the limit of 2")
        try store.set("large", [UInt8](repeating: 9, count: 100_000))
        #expect(throws: StoreError.self) { try store.get("large", into: buffer) }
    }

    @Test func limitsAreTypedErrorsAndExact() throws {
        let longest = String(repeating: "k", count: 512)
        try store.set(longest, 1)
        #expect(try store.get(longest) == 1)
        #expect(store.keys() == [longest])
        for key in ["", longest + "k", String(repeating: "ü", count: 257)] {
            let expected = StoreError(.badKey(bytes: key.utf8.count, limit: 512), key: key)
            #expect(throws: expected) { try store.set(key, 1) }
            #expect(throws: expected) { try store.get(key, as: Int.self) }
            #expect(throws: expected) { try store.delete(key) }
            #expect(throws: expected) { try store.contains(key) }
            #expect(throws: expected) { try store.increment(key) }
            #expect(throws: expected) { try store.compareAndSet(key, expecting: 1, to: 2) }
            #expect(throws: expected) { try store.setLife(key, nil) }
            #expect(throws: expected) { try store.remainingLife(key) }
            #expect(throws: StoreError.self) { try store.get(several: [key]) }
        }
        #expect("\(StoreError(.badKey(bytes: 0, limit: 512)))" == "a key of 0 bytes is not within 1 to 512 bytes")
        try store.set("largest", [UInt8](repeating: 1, count: 1 << 20))
        let error = #expect(throws: StoreError.self) { try store.set("key", [UInt8](repeating: 1, count: 1 << 20 + 1)) }
        #expect(error.map { "\($0)" } == "key: a value of 1048577 bytes exceeds the limit of 1048576")
        #expect(try !store.contains("key"))
        // The codec's own byte counts.
        #expect(throws: StoreError.self) { try store.set("key", [String](repeating: "0123456789", count: 100_000)) }
        #expect(store.count == 2)
    }

    @Test func keysAreTheirBytes() throws {
        for key in ["ä", "🦆", "\0", "a\0", "a\0b", "\n", "日本語", " "] { try store.set(key, key) }
        for key in ["ä", "🦆", "\0", "a\0", "a\0b", "\n", "日本語", " "] { #expect(try store.get(key) == key) }
        #expect(store.count == 8)
        #expect(store.keys(prefix: "a").sorted() == ["a\0", "a\0b"])
    }

    /// Swift's strings are equal when they look the same. Keys are equal when their bytes are. A dictionary of such
    /// keys was a trap.
    @Test func keysThatLookAlikeAreTwoKeysAndNoTrap() throws {
        let composed = "\u{E9}"
        let decomposed = "e\u{301}"
        try #require(composed == decomposed)
        try store.set(composed, 1)
        try store.set(decomposed, 2)
        #expect(try store.get(composed) == 1)
        #expect(try store.get(decomposed) == 2)
        #expect(store.count == 2)
        #expect(store.keys().count == 2)
        #expect(try store.get(several: [composed, decomposed]).count == 1)
        #expect(store.getAll().count == 1)
        var step = AtomicStep()
        step.increment(composed, by: 10)
        step.increment(decomposed, by: 20)
        #expect(try store.perform(step))
        #expect(try store.get(composed) == 11)
        #expect(try store.get(decomposed) == 22)
        #expect(try store.removeAll() == 2)
    }

    @Test func aStepTakesValuesOfTheStoresCodec() throws {
        try store.set("point", Point(x: 1))
        var step = AtomicStep()
        try step.require("point", is: Point(x: 1), by: store.codec)
        try step.require("next", is: nil as Point?, by: store.codec)
        step.require("name", is: nil as String?)
        try step.set("point", Point(x: 2), by: store.codec)
        try step.set("next", Point(x: 3), by: store.codec, expires: .seconds(1_000))
        step.set("name", "two points")
        #expect(try store.perform(step))
        #expect(try store.get("point") == Point(x: 2) && store.get("next") == Point(x: 3))
        #expect(try store.remainingLife("next")! != nil && store.remainingLife("point")! == nil)
        #expect(try !store.perform(step), "the point is another one")
        var renaming = AtomicStep()
        renaming.require("name", is: "one point")
        renaming.delete("name")
        #expect(try !store.perform(renaming) && store.get("name") == "two points")
        let bad = Point(x: 1, name: "refused")
        #expect(throws: ReversedCodec.Refused()) { try renaming.set("bad", bad, by: ReversedCodec()) }
        #expect(throws: ReversedCodec.Refused()) { try renaming.require("bad", is: bad, by: ReversedCodec()) }
        #expect(renaming.changes.count == 1 && renaming.requirements.count == 1)
    }

    @Test func deletingReportsOrIgnoresAMissingKey() throws {
        try store.set("key", 1)
        #expect(try store.delete("key"))
        #expect(try !store.delete("key"))
        let error = #expect(throws: StoreError.self) { try store.delete("key", ignoringMissing: false) }
        #expect(error == StoreError(.missingKey, key: "key"))
        #expect(error.map { "\($0)" } == "key: no such key")
        try store.set("key", 2)
        #expect(try store.delete("key", ignoringMissing: false))
        #expect(store.count == 0)
    }

    @Test func passesOverAllFindEachKeyOnce() throws {
        for index in 0..<500 { try store.set("\(index % 2 == 0 ? "even" : "odd") \(index)", index) }
        #expect(store.count == 500)
        #expect(Set(store.keys()).count == 500)
        #expect(store.keys().count == 500)
        #expect(store.keys(prefix: "even ").count == 250)
        #expect(store.keys(prefix: "even 498") == ["even 498"])
        #expect(store.keys(prefix: "nothing").isEmpty)
        #expect(store.getAll(prefix: "odd")["odd 7"] == StoredValue(7))
        let numbers = try store.getAll(prefix: "odd", as: Int.self)
        #expect(numbers.values.sorted() == Array(stride(from: 1, to: 500, by: 2)))
        try store.set("odd one", "text")
        let error = #expect(throws: StoreError.self) { try store.getAll(as: Int.self) }
        #expect(error.map { "\($0)" } == "odd one: the value is string, which is no Int")
        #expect(try store.removeAll(prefix: "odd") == 251)
        #expect(try store.removeAll() == 250)
        #expect(store.count == 0 && store.keys().isEmpty && store.getAll().isEmpty)
        #expect(store.stats.bytes == 0)
    }

    @Test func severalKeysAreReadAtOnce() throws {
        try store.set("a", 1)
        try store.set("b", "two")
        let found = try store.get(several: ["a", "b", "none", "a"])
        #expect(found == ["a": StoredValue(1), "b": StoredValue("two")])
        #expect(try store.get(several: []).isEmpty)
    }

    @Test func whatWasReadChangesNoMore() throws {
        try store.set("key", [UInt8](repeating: 1, count: 5_000))
        let value: [UInt8]? = try store.get("key")
        let all = store.getAll()
        try store.set("key", [UInt8](repeating: 2, count: 5_000))
        #expect(value == [UInt8](repeating: 1, count: 5_000))
        #expect(all["key"]?.bytes == value)
    }

    @Test func storesAreApart() throws {
        let other = try SharedStore(capacity: StoreCapacity(entries: 10, bytes: 4096))
        try store.set("key", 1)
        #expect(try !other.contains("key"))
    }
}
