// The three containers of `Codable`, as views of one value encoder.

struct CBORKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let value: CBORValueEncoder

    var codingPath: [any CodingKey] { value.codingPath }

    func encodeNil(forKey key: Key) throws {
        try value.add(Never?.none, key: key, named: true) { $0.writeNull() }
    }

    func encode(_ item: Bool, forKey key: Key) throws {
        try value.add(item, key: key, named: true) { $0.write(item) }
    }

    func encode(_ item: String, forKey key: Key) throws {
        try value.add(item, key: key, named: true) { $0.write(item) }
    }

    func encode(_ item: Double, forKey key: Key) throws {
        try value.add(item, key: key, named: true) { $0.write(item) }
    }

    func encode(_ item: Float, forKey key: Key) throws {
        try value.add(item, key: key, named: true) { $0.write(item) }
    }

    func encode(_ item: Int, forKey key: Key) throws {
        try value.add(item, key: key, named: true) { $0.write(item) }
    }

    func encode<Number: FixedWidthInteger & Encodable>(_ item: Number, forKey key: Key) throws {
        try value.add(item, key: key, named: true) { $0.write(integer: item) }
    }

    func encode<Item: Encodable>(_ item: Item, forKey key: Key) throws {
        try value.add(item, key: key, named: true)
    }

    func nestedContainer<Inner: CodingKey>(
        keyedBy type: Inner.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Inner> {
        KeyedEncodingContainer(CBORKeyedEncoding<Inner>(value: value.nestedMap(key: key, named: true)))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        CBORUnkeyedEncoding(value: value.nestedArray(key: key, named: true))
    }

    func superEncoder() -> any Encoder { value.nestedAny(key: CBORKey.super, named: true) }
    func superEncoder(forKey key: Key) -> any Encoder { value.nestedAny(key: key, named: true) }
}

struct CBORUnkeyedEncoding: UnkeyedEncodingContainer {
    let value: CBORValueEncoder

    var codingPath: [any CodingKey] { value.codingPath }
    var count: Int { value.count }
    private var key: CBORKey { CBORKey(index: value.count) }

    func encodeNil() throws {
        try value.add(Never?.none, key: key, named: false) { $0.writeNull() }
    }

    func encode(_ item: Bool) throws {
        try value.add(item, key: key, named: false) { $0.write(item) }
    }

    func encode(_ item: String) throws {
        try value.add(item, key: key, named: false) { $0.write(item) }
    }

    func encode(_ item: Double) throws {
        try value.add(item, key: key, named: false) { $0.write(item) }
    }

    func encode(_ item: Float) throws {
        try value.add(item, key: key, named: false) { $0.write(item) }
    }

    func encode<Number: FixedWidthInteger & Encodable>(_ item: Number) throws {
        try value.add(item, key: key, named: false) { $0.write(integer: item) }
    }

    func encode<Item: Encodable>(_ item: Item) throws {
        try value.add(item, key: key, named: false)
    }

    func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type) -> KeyedEncodingContainer<Inner> {
        KeyedEncodingContainer(CBORKeyedEncoding<Inner>(value: value.nestedMap(key: key, named: false)))
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        CBORUnkeyedEncoding(value: value.nestedArray(key: key, named: false))
    }

    func superEncoder() -> any Encoder { value.nestedAny(key: key, named: false) }
}

struct CBORSingleValueEncoding: SingleValueEncodingContainer {
    let value: CBORValueEncoder

    var codingPath: [any CodingKey] { value.codingPath }

    func encodeNil() throws { try value.setScalar(Never?.none) { $0.writeNull() } }
    func encode(_ item: Bool) throws { try value.setScalar(item) { $0.write(item) } }
    func encode(_ item: String) throws { try value.setScalar(item) { $0.write(item) } }
    func encode(_ item: Double) throws { try value.setScalar(item) { $0.write(item) } }
    func encode(_ item: Float) throws { try value.setScalar(item) { $0.write(item) } }

    func encode<Number: FixedWidthInteger & Encodable>(_ item: Number) throws {
        try value.setScalar(item) { $0.write(integer: item) }
    }

    func encode<Item: Encodable>(_ item: Item) throws { try value.encodeWhole(item) }
}
