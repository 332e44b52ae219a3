// UTF-8, checked as it arrives.

import PreforkSystem
import Testing

@testable import PreforkHTTP

@Suite struct WebSocketUTF8Tests {
    /// - Returns: whether the bytes are UTF-8, as one piece and byte by byte. Nil if these two differ.
    private func accepts(_ bytes: [UInt8]) -> Bool? {
        var whole = UTF8Checker()
        let isWhole = bytes.withUnsafeBytes { whole.accept($0) } && whole.isComplete
        var single = UTF8Checker()
        let isSingle =
            bytes.indices.allSatisfy { index in
                [bytes[index]].withUnsafeBytes { single.accept($0) }
            } && single.isComplete
        return isWhole == isSingle ? isWhole : nil
    }

    /// Autobahn 6.5 - 6.23, after Markus Kuhn's decoder test.
    @Test(arguments: [
        ("cebae1bdb9cf83cebcceb5", true), ("00", true), ("c280", true), ("e0a080", true), ("f0908080", true),
        ("7f", true), ("dfbf", true), ("efbfbf", true), ("f48fbfbf", true), ("ed9fbf", true), ("ee8080", true),
        ("efbfbd", true), ("efbfbe", true), ("f09fbfbe", true), ("f09fbfbf", true), ("f3bfbfbf", true),
        ("f8888080", false), ("fc8480808080", false), ("f7bfbfbf", false), ("fbbfbfbfbf", false), ("f4908080", false),
        ("80", false), ("bf", false), ("80bf", false), ("80bf80bf80", false), ("c020", false), ("e020", false),
        ("c0", false), ("e080", false), ("f08080", false), ("dfdf", false), ("fe", false), ("ff", false),
        ("fefeffff", false), ("c0af", false), ("e080af", false), ("f08080af", false), ("f8808080af", false),
        ("c1bf", false), ("e09fbf", false), ("f08fbfbf", false), ("c080", false), ("e08080", false),
        ("f0808080", false), ("eda080", false), ("edadbf", false), ("edae80", false), ("edafbf", false),
        ("edb080", false), ("edbe80", false), ("edbfbf", false), ("eda080edb080", false),
    ]) func thePublishedSequences(hex: String, isUTF8: Bool) {
        let digits = Array(hex)
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...($0 + 1)]), radix: 16) ?? 0 }
        #expect(accepts(bytes) == isUTF8)
        #expect(accepts(Array("text before ".utf8) + bytes + Array(" and after".utf8)) == isUTF8)
    }

    /// All sequences of up to three bytes that begin with a byte above ASCII, against the standard library.
    @Test func shortSequencesAreJudgedAsTheStandardLibraryDoes() {
        var wrong: [[UInt8]] = []
        for first in UInt8(0x80)...0xFF {
            for second in stride(from: UInt8(0x40), through: 0xF0, by: 7) {
                for third in stride(from: UInt8(0x70), through: 0xD0, by: 5) {
                    for bytes in [[first], [first, second], [first, second, third], [first, second, third, 0x80]] {
                        if accepts(bytes) != (String(validating: bytes, as: UTF8.self) != nil) { wrong.append(bytes) }
                    }
                }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test func everyCharacterIsAccepted() {
        var bytes: [UInt8] = []
        for value in UInt32(0)...0x10_FFFF where value % 11 == 0 {
            if let scalar = Unicode.Scalar(value) { bytes += Array(String(Character(scalar)).utf8) }
        }
        #expect(accepts(bytes) == true)
    }
}
