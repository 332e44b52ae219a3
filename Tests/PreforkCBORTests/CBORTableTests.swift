// Values as Python's cbor2 and JavaScript's node-cbor write them, and what they read of ours: `Scripts/cbor-table`
// makes the table, and fails where one of them reads a row's `written` as another value.

import Foundation
import PreforkCBOR
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CBORTableTests {
    struct Row: Decodable {
        let kind: String
        let value: String
        /// What the codec writes.
        let written: String
        /// What others write, by implementation.
        let read: [String: [String]]
    }

    private let codec = CBORCodec()

    private static let rows: [Row] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "cbor_table.json")
        do {
            return try JSONDecoder().decode([Row].self, from: Data(contentsOf: file))
        } catch {
            Issue.record(error)
            return []
        }
    }()

    @Test func theTableHasEveryKindFromBothOthers() {
        #expect(Set(Self.rows.map(\.kind)).count == 11)
        #expect(Self.rows.count >= 48)
        for row in Self.rows {
            #expect(row.read.count == 2 && row.read.values.allSatisfy { !$0.isEmpty }, "\(row)")
        }
    }

    @Test(arguments: rows.indices)
    func aRowIsWrittenAndReadAsOthersDo(_ index: Int) throws {
        let row = Self.rows[index]
        switch row.kind {
        case "date": try check(row, Date(timeIntervalSince1970: #require(Double(row.value))))
        case "data":
            try check(row, Data(bytes(row.value)))
            try check(row, bytes(row.value))
            try check(row, ContiguousArray(bytes(row.value)))
        case "decimal": try check(row, row.value == "NaN" ? .nan : #require(Decimal(string: row.value)))
        case "uuid": try check(row, #require(UUID(uuidString: row.value)))
        case "url": try check(row, #require(URL(string: row.value)))
        case "integerKeys": try check(row, try json([Int: String].self, row))
        case "textKeys": try check(row, try json([String: String].self, row))
        case "uuidKeys":
            let pairs = try json([String: Int].self, row).map { (try #require(UUID(uuidString: $0)), $1) }
            try check(row, Dictionary(uniqueKeysWithValues: pairs))
        case "set": try check(row, Set(try json([Int].self, row)))
        case "integer":
            let number = try #require(Int128(row.value))
            try check(row, number)
            if let number = Int(exactly: number) { try check(row, number) }
            if let number = UInt64(exactly: number) { try check(row, number) }
        case "double": try check(row, #require(Double(row.value)))
        default: Issue.record("no such kind: \(row.kind)")
        }
    }

    private struct Holder<Value: Codable>: Codable { let a: [Value?] }

    /// A value by itself, and as a member, an element and an optional.
    private func check<Value: Codable & Equatable>(_ row: Row, _ value: Value) throws {
        let written = bytes(row.written)
        #expect(try codec.encode(value) == written, "\(row)")
        #expect(try codec.encode(Holder<Value>(a: [value])) == bytes("a1616181") + written, "\(row)")
        for form in [row.written] + row.read.values.joined() {
            let alone = try codec.decode(Value.self, from: bytes(form))
            let held = try codec.decode(Holder<Value>.self, from: bytes("a1616181") + bytes(form)).a
            #expect(isSame(alone, value) && held.count == 1 && isSame(held[0], value), "\(form): \(alone) of \(row)")
        }
        #expect(try codec.decode(Holder<Value>.self, from: bytes("a1616181f6")).a == [nil])
    }

    /// NaN is NaN here.
    private func isSame<Value: Equatable>(_ one: Value?, _ other: Value) -> Bool {
        one == other || one != one && other != other
    }

    private func json<Value: Decodable>(_: Value.Type, _ row: Row) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(row.value.utf8))
    }

    private func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

/// What the table does not have: values without a form elsewhere, and documents that would be read as something else.
@Suite(.timeLimit(.minutes(2)))
struct CBORFoundationTests {
    private let codec = CBORCodec()

    private func travel<Value: Codable>(_ value: Value) throws -> Value {
        try codec.decode(Value.self, from: codec.encode(value))
    }

    /// `Date` has finer steps than a Double since 1970.
    @Test func everyDateComesBackAsItWas() throws {
        var numbers: [Double] = [0, -0.25, 1e-6, 1.5e-7, -1.5e-7, 5e-324, 63_113_904_000, .infinity, 1e300]
        numbers += [-63_113_904_000, -63_113_904_001, 252_423_993_599.5, 252_423_993_600]
        var random = SystemRandomNumberGenerator()
        for range in [-63_113_904_000..<252_423_993_600.0, 8e8..<9e8, -10..<10, -1e-5..<1e-5] {
            numbers += (0..<2_000).map { _ in Double.random(in: range, using: &random) }
        }
        for number in numbers {
            let date = Date(timeIntervalSinceReferenceDate: number)
            #expect(try travel(date) == date, "\(number)")
        }
        #expect(try travel([Date.distantPast, .distantFuture]) == [.distantPast, .distantFuture])
    }

    @Test func dataOfAllSizesIsAByteString() throws {
        for count in [0, 1, 23, 24, 255, 256, 70_000] {
            let data = Data((0..<count).map { UInt8(truncatingIfNeeded: $0) })
            #expect(try travel(data) == data)
            #expect(try codec.encode(data) == codec.encode(Array(data)))
            #expect(try travel(data.dropFirst()) == data.dropFirst())
        }
        #expect(try codec.decode(Data.self, from: [0x83, 1, 2, 3]) == Data([1, 2, 3]))
    }

    @Test func urlsThatAreRelativeToAnotherKeepIt() throws {
        let url = try #require(URL(string: "b", relativeTo: URL(string: "https://example.com/a/")))
        #expect(try travel(url) == url)
        #expect(try travel(url).absoluteString == "https://example.com/a/b")
    }

    @Test func decimalsUpToTheirLimitsComeBackAsTheyWere() throws {
        for text in ["1e127", "-1e-128", "340282366920938463463374607431768211455", "0.1", "-0.001"] {
            let decimal = try #require(Decimal(string: text))
            #expect(try travel(decimal) == decimal)
        }
        #expect(try travel(Decimal.greatestFiniteMagnitude) == Decimal.greatestFiniteMagnitude)
        #expect(try travel(Decimal.nan).isNaN)
        #expect(try codec.encode(Decimal(string: "1.10")!) == codec.encode(Decimal(string: "1.1")!))
        for (text, bytes) in [("0.1", [0xFB, 0x3F, 0xB9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A]), ("7", [7])] {
            #expect(try codec.decode(Decimal.self, from: bytes.map { UInt8($0) }) == Decimal(string: text))
        }
    }

    /// `Codable` shows these as arrays of keys and values in turn.
    @Test func dictionariesWithKeysOfOtherTypesAreMaps() throws {
        let byDate = [Date(timeIntervalSince1970: 1.5): [UInt8(3): Set(["a"])]]
        #expect(try codec.encode(byDate).first == 0xA1)
        #expect(try travel(byDate) == byDate)
        #expect(try codec.decode([UInt8: String].self, from: [0x82, 1, 0x61, 0x61]) == [1: "a"])
        #expect(throws: DecodingError.self) { try codec.decode(Set<UInt8>.self, from: [0xA1, 1, 2]) }
        #expect(throws: DecodingError.self) { try codec.decode([UInt8].self, from: [0xA1, 1, 2]) }
    }

    @Test func keysWithNumbersAreWrittenAsNumbers() throws {
        struct Key: Codable, Equatable {
            var kind: Int, curve: String
            enum CodingKeys: Int, CodingKey { case kind = 1, curve = -1 }
        }
        #expect(try codec.encode(Key(kind: 2, curve: "P")) == [0xA2, 1, 2, 0x20, 0x61, 0x50])
        #expect(try travel(Key(kind: 2, curve: "P")) == Key(kind: 2, curve: "P"))
    }

    @Test func aDecimalFractionIsADoubleWhereOneIsAskedFor() throws {
        #expect(try codec.decode(Double.self, from: [0xC4, 0x82, 0x20, 0x0B]) == 1.1)
    }

    /// Each is a document that means something else than the type, and has its shape.
    @Test func whatMeansSomethingElseIsRefused() {
        func refuses<Value: Decodable>(_: Value.Type, _ bytes: [UInt8], _ words: String) {
            #expect { try codec.decode(Value.self, from: bytes) } throws: { "\($0)".contains(words) }
        }
        refuses(Date.self, [0x1A, 0x51, 0x4B, 0x67, 0xB0], "tag 0 or 1")
        refuses(Date.self, [0x64, 0x32, 0x30, 0x32, 0x36], "tag 0 or 1")
        refuses(Date.self, [0xC0, 0x64, 0x32, 0x30, 0x32, 0x36], "does not fit")
        refuses([Int].self, [0xC4, 0x82, 0x20, 0x0B], "a fraction")
        refuses([UInt8].self, [0xC2, 0x41, 5], "a large number")
        refuses(Data.self, [0xD8, 0x45, 0x42, 1, 0], "an array of numbers")
        refuses(UUID.self, [0xD8, 0x25, 0x41, 5], "a byte string")
        refuses(Int.self, [0xD8, 0x19, 5], "came before")
        refuses([Int].self, [0x82, 1, 0xD8, 0x1D, 0], "came before")
        refuses(Decimal.self, [0xC4, 0x82, 0x19, 1, 0, 1], "does not fit")
        refuses(Decimal.self, [0xC4, 0x82, 0x1B, 0x7F, 255, 255, 255, 255, 255, 255, 255, 1], "does not fit")
        refuses(Int64.self, [0xC2, 0x48, 255, 255, 255, 255, 255, 255, 255, 255], "does not fit")
    }

    @Test func timesThatAreNoneAreAnError() {
        for text in [
            "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00.Z", "2026-01-01", "26-01-01T00:00:00Z", "", "9",
        ] {
            let document = [0xC0, 0x60 | UInt8(text.utf8.count)] + Array(text.utf8)
            #expect(throws: DecodingError.self, "\(text)") { try codec.decode(Date.self, from: document) }
        }
    }
}
