// What other programs write and read: the examples of RFC 8949, appendix A, and bytes that are no CBOR.

import PreforkCBOR
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CBORDocumentTests {
    private let codec = CBORCodec()

    private func bytes(_ hex: String) -> [UInt8] {
        var digits = hex[...]
        var bytes: [UInt8] = []
        while !digits.isEmpty {
            bytes.append(UInt8(digits.prefix(2), radix: 16)!)
            digits = digits.dropFirst(2)
        }
        return bytes
    }

    private func expect<Value: Codable & Equatable>(
        _ hex: String, both value: Value, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try codec.encode(value) == bytes(hex), sourceLocation: sourceLocation)
        try expect(hex, decodes: value, sourceLocation: sourceLocation)
    }

    private func expect<Value: Decodable & Equatable>(
        _ hex: String, decodes value: Value, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try codec.decode(Value.self, from: bytes(hex)) == value, sourceLocation: sourceLocation)
    }

    @Test func numbersAreWrittenAsTheStandardShows() throws {
        try expect("00", both: 0)
        try expect("17", both: 23)
        try expect("1818", both: 24)
        try expect("1864", both: 100)
        try expect("1903e8", both: 1000)
        try expect("1a000f4240", both: 1_000_000)
        try expect("1b000000e8d4a51000", both: 1_000_000_000_000)
        try expect("1bffffffffffffffff", both: UInt64.max)
        try expect("20", both: -1)
        try expect("3863", both: -100)
        try expect("3903e7", both: -1000)
        try expect("3b7fffffffffffffff", both: Int.min)
        try expect("f90000", both: 0.0)
        try expect("f93c00", both: 1.0)
        try expect("fb3ff199999999999a", both: 1.1)
        try expect("f93e00", both: 1.5)
        try expect("f97bff", both: 65504.0)
        try expect("fa47c35000", both: 100000.0)
        try expect("fa7f7fffff", both: 3.4028234663852886e+38)
        try expect("fb7e37e43c8800759c", both: 1.0e+300)
        try expect("f90001", both: 5.960464477539063e-8)
        try expect("f90400", both: 0.00006103515625)
        try expect("f9c400", both: -4.0)
        try expect("fbc010666666666666", both: -4.1)
        try expect("f97c00", both: Double.infinity)
        try expect("f9fc00", both: -Double.infinity)
        #expect(try codec.encode(Double.nan) == bytes("f97e00"))
    }

    @Test func otherItemsAreWrittenAsTheStandardShows() throws {
        try expect("f4", both: false)
        try expect("f5", both: true)
        try expect("f6", both: Int?.none)
        try expect("40", both: [UInt8]())
        try expect("4401020304", both: [1, 2, 3, 4] as [UInt8])
        try expect("60", both: "")
        try expect("6161", both: "a")
        try expect("6449455446", both: "IETF")
        try expect("62225c", both: "\"\\")
        try expect("62c3bc", both: "\u{fc}")
        try expect("63e6b0b4", both: "\u{6c34}")
        try expect("64f0908591", both: "\u{10151}")
        try expect("80", both: [Int]())
        try expect("83010203", both: [1, 2, 3])
        try expect("98190102030405060708090a0b0c0d0e0f101112131415161718181819", both: Array(1...25))
        try expect("a0", both: [String: Int]())
        struct Value: Codable, Equatable { let a: Int, b: [Int] }
        try expect("a26161016162820203", both: Value(a: 1, b: [2, 3]))
        struct Tail: Codable, Equatable { let b: String }
        #expect(try codec.decode(Tail.self, from: bytes("a161626163")) == Tail(b: "c"))
    }

    @Test func whatOthersMayWriteIsRead() throws {
        try expect("fa47c35000", decodes: Float(100000))
        try expect("fb7ff0000000000000", decodes: Double.infinity)
        try expect("01", decodes: 1.0)
        try expect("3bffffffffffffffff", decodes: -0x1p64)
        try expect("f7", decodes: Int?.none)
        try expect("c11a514b67b0", decodes: 1_363_896_240)
        try expect("d818456449455446", decodes: bytes("6449455446"))
        try expect("d9d9f7820102", decodes: [1, 2])
        try expect("5f42010243030405ff", decodes: [1, 2, 3, 4, 5] as [UInt8])
        try expect("7f657374726561646d696e67ff", decodes: "streaming")
        try expect("9fff", decodes: [Int]())
        try expect("9f0102ff", decodes: [1, 2])
        try expect("828202039f0405ff", decodes: [[2, 3], [4, 5]])
        try expect("bf61629f0203ffff", decodes: ["b": [2, 3]])
        try expect("a201020304", decodes: [1: 2, 3: 4])
        try expect("a261610143010203f6", decodes: ["a": 1])
        try expect("a17f61616162ff05", decodes: ["ab": 5])
        struct Value: Decodable, Equatable { let ab: Int, c: [Double] }
        try expect("bf617805617a9f9f8101ffffc66163820102c07f61616162ff05ff", decodes: Value(ab: 5, c: [1, 2]))
    }

    @Test(arguments: [
        "", "18", "19ff", "1a000000", "1c", "1f", "3f", "df", "c1", "61", "62c3", "61ff", "62c328", "41",
        "5b7fffffffffffffff", "9b0fffffffffffffff", "bb1000000000000000", "9bffffffffffffffff", "81", "9f", "a101",
        "bf01ff", "ff", "81ff", "5f6161ff", "7f61", "7f7f6161ffff", "5f01ff", "7f61c3ff", "f800", "f81f", "0000",
        "f6f6", "fc", "a1ff01", "9fa1ff",
    ])
    func bytesThatAreNoCBORAreAnError(_ hex: String) {
        struct Anything: Decodable {
            init(from decoder: any Decoder) {}
        }
        #expect { try codec.decode(Anything.self, from: bytes(hex)) } throws: { error in
            if case DecodingError.dataCorrupted = error { true } else { false }
        }
    }

    @Test func numbersThatDoNotFitAreAnError() {
        #expect(throws: DecodingError.self) { try codec.decode(Int.self, from: bytes("1bffffffffffffffff")) }
        #expect(throws: DecodingError.self) { try codec.decode(Int.self, from: bytes("3bffffffffffffffff")) }
        #expect(throws: DecodingError.self) { try codec.decode(UInt64.self, from: bytes("20")) }
        #expect(throws: DecodingError.self) { try codec.decode(Float.self, from: bytes("fb7e37e43c8800759c")) }
        #expect(throws: DecodingError.self) { try codec.decode(Double.self, from: bytes("1b7fffffffffffffff")) }
        #expect(throws: DecodingError.self) { try codec.decode(Int.self, from: bytes("f0")) }
        #expect(throws: DecodingError.self) { try codec.decode(Int.self, from: bytes("c249010000000000000000")) }
    }
}
