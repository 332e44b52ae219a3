// The codec that is used when a program names no other.

/// `Codable` values as CBOR (RFC 8949), which programs in other languages can read, too.
///
/// Structs and classes become maps, so that a program reads what another version of itself has written: the order of
/// the fields does not matter, unknown ones are passed over, and a missing one is nil when its type is optional. A key
/// that has an `intValue` is written as that number, and every other as text. Lengths are definite and numbers as short
/// as they can be (section 4.2.1, but keys are in the order of writing): equal values have equal bytes, unless a
/// Dictionary or a Set is in them, whose order is another one in each process.
///
/// | type | written as | read from |
/// |---|---|---|
/// | `[UInt8]`, `Data`, `ContiguousArray<UInt8>` | byte string | byte strings (tag 64, too), arrays of numbers |
/// | `Date` | tag 0, text in UTC; tag 1 outside of the years 1 to 9999 | tags 0, 1, 100 and 1004 |
/// | `Decimal` | tag 4; NaN as a float | tag 4, integers, tags 2 and 3, floats by their shortest digits |
/// | `UUID` | tag 37 | tag 37, 16 bytes, text |
/// | `URL` | tag 32; relative to another one: a map | tag 32, text, that map |
/// | `Set` | tag 258 | arrays |
/// | `Dictionary` | map, with keys of any type | maps; keys and values in turn |
/// | integers up to 128 bits | integer; tags 2 and 3 beyond 64 bits | both, without floats |
/// | `Double`, `Float` | the shortest of half, single, double | these, integers, tags 2 to 4 |
///
/// A `Date` comes back exactly. A number without tag is no `Date`: nothing says from when it counts, nor in which unit.
///
/// Limits: `maximumDepth`; all NaNs are one NaN; a key that a type encodes twice stands in the map twice and the first
/// one counts; in a process that loads Foundation only after it has used the codec (by dlopen), Foundation's types are
/// written and read as they encode themselves.
///
/// Decoding takes indefinite lengths and `undefined` as nil, and passes over other tags. It checks the whole document
/// first: bytes that are no CBOR, invalid UTF-8, trailing bytes and references to earlier items (tags 25 and 29) are
/// `DecodingError.dataCorrupted`. Memory grows with the bytes that are there and never with a length that they claim.
///
/// In a worker and in the supervisor alike: it has no state.
public struct CBORCodec: Sendable {
    /// Maps and arrays may be nested so many levels deep, in both directions. Each level is a few stack frames of the
    /// types' own code, and a document from elsewhere must not overflow a thread's stack.
    public static let maximumDepth = 128

    /// 0, which no other codec has.
    public let identifier: UInt8 = 0

    /// A codec without settings. All instances are equivalent.
    public init() {}

    /// The CBOR bytes of a value.
    ///
    /// - Throws: `EncodingError.invalidValue` if the value writes nothing (inside another value it becomes an empty
    ///   map), is nested too deeply, or violates the encoder's rules (two kinds of containers, two single values, a
    ///   container that is written to while an inner value is, or after its end). Rethrows what its `encode(to:)`
    ///   throws.
    public func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        let root = CBORValueEncoder(into: CBORWriter(capacity: 96))
        try root.encodeWhole(value)
        guard !root.isEmpty else {
            throw EncodingError.invalidValue(
                value, EncodingError.Context(codingPath: [], debugDescription: "\(Value.self) encoded nothing"))
        }
        try root.finish()
        return try root.out.assembled()
    }

    /// The value that CBOR bytes stand for.
    ///
    /// - Parameter bytes: may be arbitrary.
    /// - Throws: `DecodingError`, or what the type's `init(from:)` throws.
    public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        let reader = CBORReader(bytes)
        do throws(CBORDefect) {
            try reader.checkDocument(maximumDepth: Self.maximumDepth)
        } catch {
            throw DecodingError.dataCorrupted(DecodingError.Context(codingPath: [], debugDescription: "\(error)"))
        }
        return try CBORValueDecoder(reader, at: 0, above: nil, key: nil).decode(type)
    }
}
