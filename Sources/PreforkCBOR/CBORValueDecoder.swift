// The decoder of one value of a document.

/// What `init(from:)` of one value gets, and the state behind its containers.
final class CBORValueDecoder: Decoder {
    let reader: CBORReader
    let offset: Int
    private let above: CBORPath?
    private let key: (any CodingKey)?
    private lazy var path: CBORPath? = key.map { CBORPath(above: above, key: $0) }
    /// Where the keyed containers of this value start to search for the next key.
    private(set) var entries: CBOREntries?
    private var index: CBORKeyIndex?
    /// What is being decoded from this value, where it is a type with an `init(from:)`.
    private var subject: Any.Type?

    init(_ reader: CBORReader, at offset: Int, above: CBORPath?, key: (any CodingKey)?) {
        self.reader = reader
        self.offset = offset
        self.above = above
        self.key = key
    }

    var codingPath: [any CodingKey] { path?.keys ?? [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        if entries == nil { entries = CBOREntries(reader.items(of: try container(.map, [String: Any].self))) }
        return KeyedDecodingContainer(CBORKeyedDecoding<Key>(value: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let isMap = reader.item(at: offset)?.major == .map
        // Only a Dictionary takes a map's keys and values in turn.
        if isMap, let subject, case .map? = CBORCollectionForm(subject) {
            return CBORUnkeyedDecoding(value: self, items: reader.items(of: try container(.map, subject)))
        }
        return CBORUnkeyedDecoding(value: self, items: reader.items(of: try container(.array, [Any].self)))
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        CBORSingleValueDecoding(value: self)
    }

    private func container(_ major: CBORMajor, _ type: Any.Type) throws -> CBORHead {
        guard let head = reader.item(at: offset), head.major == major,
            major != .array || !reader.isFraction(at: offset)
        else {
            throw failure(.otherType, type, at: offset, key: nil)
        }
        return head
    }
}

/// What the containers call. `key` is nil for the value itself.
extension CBORValueDecoder {
    /// The item as this value, or as one in its containers.
    func decode<Value: Decodable>(
        _ type: Value.Type, at offset: Int? = nil, key: @autoclosure () -> (any CodingKey)? = nil
    ) throws -> Value {
        let place = offset ?? self.offset
        // Other encoders write bytes as an array of numbers, which takes the slow path.
        if let direct = CBORDirectType(type), direct != .byteString || reader.item(at: place)?.major == .bytes {
            return try scalar(at: place, key: key()) { reader, at throws(CBORMismatch) in
                try reader.read(type, as: direct, at: at)
            }
        }
        if let known = CBORKnownType(type), !reader.isNil(at: place) {
            let (collection, content) = try scalar(at: place, key: key(), as: type) { reader, at throws(CBORMismatch) in
                (try known.collection(type, at: at, of: reader), try known.content(at: at, of: reader))
            } as (Value?, CBORReader?)
            if let collection { return collection }
            if let content {
                return try Value(from: CBORValueDecoder(content, at: 0, above: path, key: key()))
            }
        }
        // A wrapper's content is the value itself: it gets this decoder, not one more.
        let decoder = offset == nil ? self : inner(at: place, key: key())
        decoder.subject = type
        return try Value(from: decoder)
    }

    /// The offset of a key's value.
    func find(_ key: some CodingKey) -> Int? {
        // Not `entries?.find`: that would hold the field during the call, which the runtime then has to watch.
        guard var entries else { return nil }
        if entries.isSlow {
            if index == nil { index = CBORKeyIndex(entries, in: reader) }
            return index?.find(key)
        }
        let found = entries.find(key, in: reader)
        self.entries = entries
        return found
    }

    /// The item as what `read` makes of it.
    @inline(__always)
    func scalar<Value>(
        at offset: Int, key: @autoclosure () -> (any CodingKey)?, as type: Any.Type = Value.self,
        _ read: (CBORReader, Int) throws(CBORMismatch) -> Value
    ) throws -> Value {
        do throws(CBORMismatch) {
            return try read(reader, offset)
        } catch {
            throw failure(error, type, at: offset, key: key())
        }
    }

    func inner(at offset: Int, key: (any CodingKey)?) -> CBORValueDecoder {
        CBORValueDecoder(reader, at: offset, above: path, key: key)
    }

    /// A missing value: a superclass's part that was not written.
    func innerNull(key: any CodingKey) -> CBORValueDecoder {
        CBORValueDecoder(CBORReader([CBORSimple.null]), at: 0, above: path, key: key)
    }

    func failure(_ mismatch: CBORMismatch, _ type: Any.Type, at offset: Int, key: (any CodingKey)?) -> DecodingError {
        let found = reader.name(ofItemAt: offset)
        switch mismatch {
        case .noTime:
            return .typeMismatch(
                type, context("expected \(type), which is tag 0 or 1, found \(found) without such a tag", key))
        case .outOfRange:
            return .dataCorrupted(context("\(found) that does not fit into \(type)", key))
        case .otherType where reader.isNil(at: offset):
            return .valueNotFound(type, context("expected \(type), found null", key))
        case .otherType:
            return .typeMismatch(type, context("expected \(type), found \(found)", key))
        }
    }

    func context(_ text: String, _ key: (any CodingKey)?) -> DecodingError.Context {
        DecodingError.Context(codingPath: codingPath + (key.map { [$0] } ?? []), debugDescription: text)
    }
}
