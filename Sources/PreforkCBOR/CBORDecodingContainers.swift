// The three containers of `Codable`, as views of one value decoder.

struct CBORKeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let value: CBORValueDecoder

    var codingPath: [any CodingKey] { value.codingPath }

    /// Text keys, and integers for keys that are numbers. Keys that `Key` does not know are left out.
    var allKeys: [Key] {
        let reader = value.reader
        var keys: [Key] = []
        value.entries?.forEach(in: reader) { key, _ in
            if let name = try? reader.string(at: key) {
                if let key = Key(stringValue: name) { keys.append(key) }
            } else if let number: Int = try? reader.integer(at: key), let key = Key(intValue: number) {
                keys.append(key)
            }
        }
        return keys
    }

    private func find(_ key: some CodingKey) -> Int? {
        value.find(key)
    }

    private func offset(_ key: some CodingKey) throws -> Int {
        guard let offset = find(key) else {
            throw DecodingError.keyNotFound(key, value.context("no key \"\(key.stringValue)\"", nil))
        }
        return offset
    }

    func contains(_ key: Key) -> Bool { find(key) != nil }

    func decodeNil(forKey key: Key) throws -> Bool { value.reader.isNil(at: try offset(key)) }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.boolean(at: at)
        }
    }

    func decode(_ type: String.Type, forKey key: Key) throws -> String {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.string(at: at)
        }
    }

    func decode(_ type: Double.Type, forKey key: Key) throws -> Double {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.double(at: at)
        }
    }

    func decode(_ type: Float.Type, forKey key: Key) throws -> Float {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.float(at: at)
        }
    }

    func decode(_ type: Int.Type, forKey key: Key) throws -> Int {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.integer(at: at)
        }
    }

    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.integer(at: at)
        }
    }

    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.integer(at: at)
        }
    }

    func decode<Number: FixedWidthInteger & Decodable>(_ type: Number.Type, forKey key: Key) throws -> Number {
        try value.scalar(at: try offset(key), key: key) { reader, at throws(CBORMismatch) in
            try reader.integer(at: at)
        }
    }

    func decode<Item: Decodable>(_ type: Item.Type, forKey key: Key) throws -> Item {
        try value.decode(type, at: try offset(key), key: key)
    }

    func nestedContainer<Inner: CodingKey>(
        keyedBy type: Inner.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Inner> {
        try value.inner(at: try offset(key), key: key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try value.inner(at: try offset(key), key: key).unkeyedContainer()
    }

    func superDecoder() -> any Decoder { superDecoder(CBORKey.super) }
    func superDecoder(forKey key: Key) -> any Decoder { superDecoder(key) }

    private func superDecoder(_ key: some CodingKey) -> any Decoder {
        find(key).map { value.inner(at: $0, key: key) } ?? value.innerNull(key: key)
    }
}

struct CBORUnkeyedDecoding: UnkeyedDecodingContainer {
    private let value: CBORValueDecoder
    private var items: CBORItems
    /// Counted at once if the length is indefinite, because a loop may read it at each step.
    let count: Int?
    private(set) var currentIndex = 0

    init(value: CBORValueDecoder, items: CBORItems) {
        self.value = value
        self.items = items
        count = items.count(in: value.reader)
    }

    var codingPath: [any CodingKey] { value.codingPath }
    var isAtEnd: Bool { items.isAtEnd(in: value.reader) }
    private var key: CBORKey { CBORKey(index: currentIndex) }

    /// The next item's offset. `pass` when it could be decoded.
    private func next(_ type: Any.Type) throws -> Int {
        guard !isAtEnd else { throw DecodingError.valueNotFound(type, value.context("the array has no more", key)) }
        return items.offset
    }

    private mutating func pass() {
        items.skip(in: value.reader)
        currentIndex += 1
    }

    mutating func decodeNil() throws -> Bool {
        guard value.reader.isNil(at: try next(Never?.self)) else { return false }
        pass()
        return true
    }

    mutating func decode(_ type: Int128.Type) throws -> Int128 { try integer() }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try integer() }

    mutating func decode<Number: FixedWidthInteger & Decodable>(_ type: Number.Type) throws -> Number {
        try integer()
    }

    private mutating func integer<Number: FixedWidthInteger & Decodable>(
        _ type: Number.Type = Number.self
    ) throws -> Number {
        let number: Number = try value.scalar(at: try next(type), key: key) { reader, at throws(CBORMismatch) in
            try reader.integer(at: at)
        }
        pass()
        return number
    }

    /// Also for Bool, String, Double and Float: `CBORDirectType` has them.
    mutating func decode<Item: Decodable>(_ type: Item.Type) throws -> Item {
        let item = try value.decode(type, at: try next(type), key: key)
        pass()
        return item
    }

    mutating func nestedContainer<Inner: CodingKey>(
        keyedBy type: Inner.Type
    ) throws -> KeyedDecodingContainer<Inner> {
        let container = try value.inner(at: try next([String: Any].self), key: key).container(keyedBy: type)
        pass()
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try value.inner(at: try next([Any].self), key: key).unkeyedContainer()
        pass()
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let decoder = value.inner(at: try next((any Decoder).self), key: key)
        pass()
        return decoder
    }
}

struct CBORSingleValueDecoding: SingleValueDecodingContainer {
    let value: CBORValueDecoder

    var codingPath: [any CodingKey] { value.codingPath }

    func decodeNil() -> Bool { value.reader.isNil(at: value.offset) }

    func decode(_ type: Int128.Type) throws -> Int128 {
        try value.scalar(at: value.offset, key: nil) { reader, at throws(CBORMismatch) in try reader.integer(at: at) }
    }

    func decode(_ type: UInt128.Type) throws -> UInt128 {
        try value.scalar(at: value.offset, key: nil) { reader, at throws(CBORMismatch) in try reader.integer(at: at) }
    }

    func decode<Number: FixedWidthInteger & Decodable>(_ type: Number.Type) throws -> Number {
        try value.scalar(at: value.offset, key: nil) { reader, at throws(CBORMismatch) in try reader.integer(at: at) }
    }

    /// Also for Bool, String, Double and Float: `CBORDirectType` has them.
    func decode<Item: Decodable>(_ type: Item.Type) throws -> Item { try value.decode(type) }
}
