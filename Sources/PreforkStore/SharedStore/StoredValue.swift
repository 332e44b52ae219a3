// A value as a store keeps it, for code that does not know its type.

/// A value's kind and bytes.
public struct StoredValue: Hashable, Sendable {
    /// What the bytes are.
    public var kind: ValueKind
    /// The value's bytes, in the form that `kind` describes.
    public var bytes: [UInt8]

    /// A value from its parts. Nothing is checked: reading bytes that do not fit `kind` throws `ValueMismatch`.
    public init(kind: ValueKind, bytes: [UInt8]) {
        self.kind = kind
        self.bytes = bytes
    }

    /// A value of a type that travels without a codec.
    public init(_ value: some SharedValue) {
        self = value.withSharedBytes { StoredValue(kind: $0, bytes: Array($1)) }
    }

    /// A value that `codec` turns into bytes, unless its type travels without one.
    public init<Value: Codable & Sendable>(_ value: Value, codec: any ValueCodec) throws {
        var stored: StoredValue?
        try ValueCoding<Value>(codec: codec).encode(value) { stored = StoredValue(kind: $0, bytes: Array($1)) }
        self = stored!  // `encode` has called its argument: it throws otherwise
    }

    /// The value as the type that it has.
    ///
    /// - Throws: `ValueMismatch` if it is of another type, or what `codec` throws.
    public func decoded<Value: Codable & Sendable>(
        as type: Value.Type = Value.self, codec: any ValueCodec
    ) throws -> Value {
        try bytes.withUnsafeBytes { try ValueCoding<Value>(codec: codec).decode(kind, $0) }
    }
}
