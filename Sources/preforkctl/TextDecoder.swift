// A minimal decoder: one text, or an object whose members are texts.

/// Gives a `Decodable` type the texts that it asks for, and an error for anything else.
struct TextDecoder: Decoder {
    /// By name. The text of a value without members has the empty name.
    let texts: [String: String]
    let codingPath: [any CodingKey] = []
    let userInfo: [CodingUserInfoKey: Any] = [:]

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(Members<Key>(texts: texts))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw Self.refused("a list") }

    func singleValueContainer() -> any SingleValueDecodingContainer { Single(text: texts[""]) }

    fileprivate static func refused(_ what: String) -> DecodingError {
        .dataCorrupted(.init(codingPath: [], debugDescription: "\(what) was requested, but there are only texts"))
    }

    private struct Single: SingleValueDecodingContainer {
        let text: String?
        let codingPath: [any CodingKey] = []

        func decodeNil() -> Bool { text == nil }

        func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
            guard let value = text as? Value else { throw TextDecoder.refused("\(type)") }
            return value
        }
    }

    private struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
        let texts: [String: String]
        let codingPath: [any CodingKey] = []
        var allKeys: [Key] { texts.keys.compactMap { Key(stringValue: $0) } }

        func contains(_ key: Key) -> Bool { texts[key.stringValue] != nil }

        func decodeNil(forKey key: Key) -> Bool { !contains(key) }

        func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
            if let value = texts[key.stringValue] as? Value { return value }
            return try Value(from: try superDecoder(forKey: key))
        }

        func nestedContainer<Other: CodingKey>(
            keyedBy type: Other.Type, forKey key: Key
        ) throws -> KeyedDecodingContainer<Other> {
            throw TextDecoder.refused("an object")
        }

        func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
            throw TextDecoder.refused("a list")
        }

        func superDecoder() throws -> any Decoder { throw TextDecoder.refused("an object") }

        func superDecoder(forKey key: Key) throws -> any Decoder {
            TextDecoder(texts: texts[key.stringValue].map { ["": $0] } ?? [:])
        }
    }
}
