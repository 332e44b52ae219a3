// The codec that is used when a program names no other.

/// `Codable` values as CBOR (RFC 8949), which programs in other languages can read, too.
///
/// Structs, classes and dictionaries with String or Int keys become maps with text keys, so that a program reads what
/// another version of itself has written: the order of the fields does not matter, unknown ones are passed over, and a
/// missing one is nil when its type is optional. `[UInt8]` becomes a byte string. Lengths are definite and numbers as
/// short as they can be (section 4.2.1, but keys are in the order of writing): equal values have equal bytes, unless
/// a Dictionary or a Set is in them, whose order is another one in each process.
///
/// Limits: `maximumDepth`; Int128 and UInt128 are an `EncodingError`; all NaNs are one
/// NaN; a key that a type encodes twice stands in the map twice and the first one counts.
///
/// Decoding takes indefinite lengths, half and single floats, integers where a Double or a Float is asked for, integer
/// keys, and `undefined` as nil; tags are passed over. It checks the whole document first: bytes that are no CBOR,
/// invalid UTF-8 and trailing bytes are `DecodingError.dataCorrupted`. Memory grows with the bytes that are there and
/// never with a length that they claim.
///
/// In a worker and in the supervisor alike: it has no state.
public struct CBORCodec: ValueCodec {
    /// Maps and arrays may lie so many levels deep in each other, in both directions. Each level is a few stack frames
    /// of the types' own code, and a document from elsewhere must not overflow a thread's stack.
    public static let maximumDepth = 128

    public let identifier: UInt8 = 0

    public init() {}

    /// - Throws: `EncodingError.invalidValue` when the value writes nothing (inside of another it becomes an empty
    ///   map), is nested too deeply, or uses its encoder against the rules (two kinds of containers, two single values,
    ///   a container that is written to while an inner value is, or after its end); what its `encode(to:)` throws.
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

    /// - Parameter bytes: they may be anything.
    /// - Throws: `DecodingError`; what the type's own `init(from:)` throws.
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
