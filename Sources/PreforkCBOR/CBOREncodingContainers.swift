// The three containers of `Codable`, as views of one value encoder.

/// How an item of a container is named.
enum CBORNaming {
    /// Not at all: the container is an array.
    case none
    /// By the key's text, also where it has a number.
    case text
    /// By the key's number, or by its text.
    case key
}

struct CBORKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let value: CBORValueEncoder
    private let naming: CBORNaming

    init(value: CBORValueEncoder, naming: CBORNaming = .key) {
        self.value = value
        self.naming = naming
    }

    var codingPath: [any CodingKey] { value.codingPath }

    func encodeNil(forKey key: Key) throws {
        try value.add(Never?.none, key: key, naming: naming) { $0.writeNull() }
    }

    func encode(_ item: Bool, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(item) }
    }

    func encode(_ item: String, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(item) }
    }

    func encode(_ item: Double, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(item) }
    }

    func encode(_ item: Float, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(item) }
    }

    func encode(_ item: Int, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(item) }
    }

    func encode(_ item: Int128, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(integer: item) }
    }

    func encode(_ item: UInt128, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(integer: item) }
    }

    func encode<Number: FixedWidthInteger & Encodable>(_ item: Number, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming) { $0.write(integer: item) }
    }

    func encode<Item: Encodable>(_ item: Item, forKey key: Key) throws {
        try value.add(item, key: key, naming: naming)
    }

    func nestedContainer<Inner: CodingKey>(
        keyedBy type: Inner.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Inner> {
        KeyedEncodingContainer(CBORKeyedEncoding<Inner>(value: value.nestedMap(key: key, naming: naming)))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        CBORUnkeyedEncoding(value: value.nestedArray(key: key, naming: naming))
    }

    func superEncoder() -> any Encoder { value.nestedAny(key: CBORKey.super, naming: .text) }
    func superEncoder(forKey key: Key) -> any Encoder { value.nestedAny(key: key, naming: naming) }
}

struct CBORUnkeyedEncoding: UnkeyedEncodingContainer {
    let value: CBORValueEncoder

    var codingPath: [any CodingKey] { value.codingPath }
    var count: Int { value.count }
    private var key: CBORKey { CBORKey(index: value.count) }

    func encodeNil() throws {
        try value.add(Never?.none, key: key, naming: .none) { $0.writeNull() }
    }

    func encode(_ item: Bool) throws {
        try value.add(item, key: key, naming: .none) { $0.write(item) }
    }

    func encode(_ item: String) throws {
        try value.add(item, key: key, naming: .none) { $0.write(item) }
    }

    func encode(_ item: Double) throws {
        try value.add(item, key: key, naming: .none) { $0.write(item) }
    }

    func encode(_ item: Float) throws {
        try value.add(item, key: key, naming: .none) { $0.write(item) }
    }

    func encode(_ item: Int128) throws {
        try value.add(item, key: key, naming: .none) { $0.write(integer: item) }
    }

    func encode(_ item: UInt128) throws {
        try value.add(item, key: key, naming: .none) { $0.write(integer: item) }
    }

    func encode<Number: FixedWidthInteger & Encodable>(_ item: Number) throws {
        try value.add(item, key: key, naming: .none) { $0.write(integer: item) }
    }

    func encode<Item: Encodable>(_ item: Item) throws {
        try value.add(item, key: key, naming: .none)
    }

    func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type) -> KeyedEncodingContainer<Inner> {
        KeyedEncodingContainer(CBORKeyedEncoding<Inner>(value: value.nestedMap(key: key, naming: .none)))
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        CBORUnkeyedEncoding(value: value.nestedArray(key: key, naming: .none))
    }

    func superEncoder() -> any Encoder { value.nestedAny(key: key, naming: .none) }
}

struct CBORSingleValueEncoding: SingleValueEncodingContainer {
    let value: CBORValueEncoder

    var codingPath: [any CodingKey] { value.codingPath }

    func encodeNil() throws { try value.setScalar(Never?.none) { $0.writeNull() } }
    func encode(_ item: Bool) throws { try value.setScalar(item) { $0.write(item) } }
    func encode(_ item: String) throws { try value.setScalar(item) { $0.write(item) } }
    func encode(_ item: Double) throws { try value.setScalar(item) { $0.write(item) } }
    func encode(_ item: Float) throws { try value.setScalar(item) { $0.write(item) } }
    func encode(_ item: Int128) throws { try value.setScalar(item) { $0.write(integer: item) } }
    func encode(_ item: UInt128) throws { try value.setScalar(item) { $0.write(integer: item) } }

    func encode<Number: FixedWidthInteger & Encodable>(_ item: Number) throws {
        try value.setScalar(item) { $0.write(integer: item) }
    }

    func encode<Item: Encodable>(_ item: Item) throws { try value.encodeWhole(item) }
}
