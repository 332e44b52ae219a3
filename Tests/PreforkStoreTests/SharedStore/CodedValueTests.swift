// Values that have no form of their own, by the codec.

import PreforkCBOR
import PreforkStore
import Testing

@Suite struct CodedValueTests {
    private let codec = CBORCodec()

    private struct User: Codable, Equatable {
        var id: Int
        var name: String
        var mail: String?
    }

    @Test func aTypeWithoutFastPathTravelsByTheCodec() throws {
        let user = User(id: 1, name: "n", mail: "m")
        let stored = try StoredValue(user, codec: codec)
        #expect(stored.kind == .coded)
        #expect(stored.bytes.first == codec.identifier)
        #expect(stored.bytes.dropFirst() == (try codec.encode(user))[...])
        #expect(try stored.decoded(as: User.self, codec: codec) == user)
        #expect(throws: ValueMismatch.self) { try stored.decoded(as: Int.self, codec: codec) }
        #expect(throws: DecodingError.self) { try stored.decoded(as: [Int].self, codec: codec) }
    }

    @Test func aTypeWithAFastPathNeedsNoCodec() throws {
        let stored = try StoredValue("text", codec: codec)
        #expect(stored == StoredValue("text"))
        #expect(try stored.decoded(as: String.self, codec: codec) == "text")
        #expect(throws: ValueMismatch.self) { try stored.decoded(as: User.self, codec: codec) }
    }

    @Test func bytesOfAnotherCodecAreNotRead() throws {
        var stored = try StoredValue(["a": 1], codec: codec)
        stored.bytes[0] = 200
        #expect(throws: ValueMismatch.self) { try stored.decoded(as: [String: Int].self, codec: codec) }
        stored.bytes = []
        #expect(throws: ValueMismatch.self) { try stored.decoded(as: [String: Int].self, codec: codec) }
    }
}
