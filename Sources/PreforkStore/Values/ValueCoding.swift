// The way one type travels, chosen once.

/// How values of one type are written and read: as they are, or by a codec.
package struct ValueCoding<Value: Codable & Sendable>: Sendable {
    /// Calls the second argument once with the value's kind and bytes. Throws what the codec throws.
    package let encode: @Sendable (Value, (ValueKind, UnsafeRawBufferPointer) -> Void) throws -> Void
    /// Throws `ValueMismatch` or what the codec throws.
    package let decode: @Sendable (ValueKind, UnsafeRawBufferPointer) throws -> Value

    package init(codec: any ValueCodec) {
        if let shared = Value.self as? any (SharedValue & Sendable).Type {
            self = Self.direct(shared)
        } else {
            encode = { value, body in
                let bytes = [codec.identifier] + (try codec.encode(value))
                bytes.withUnsafeBytes { body(.coded, $0) }
            }
            decode = { kind, bytes in
                guard kind == .coded, bytes.first == codec.identifier else {
                    throw ValueMismatch(stored: kind, asked: "\(Value.self)")
                }
                return try codec.decode(Value.self, from: Array(bytes.dropFirst()))
            }
        }
    }

    private init(
        encode: @escaping @Sendable (Value, (ValueKind, UnsafeRawBufferPointer) -> Void) throws -> Void,
        decode: @escaping @Sendable (ValueKind, UnsafeRawBufferPointer) throws -> Value
    ) {
        self.encode = encode
        self.decode = decode
    }

    /// `Shared` is `Value`, known by its other name.
    private static func direct<Shared: SharedValue>(_: Shared.Type) -> Self {
        let coding = ValueCoding<Shared>(
            encode: { value, body in value.withSharedBytes(body) },
            decode: { kind, bytes in
                guard let value = Shared(sharedBytes: bytes, kind: kind) else {
                    throw ValueMismatch(stored: kind, asked: "\(Shared.self)")
                }
                return value
            })
        return unsafeBitCast(coding, to: Self.self)
    }
}

/// A value was requested as a type that it does not have, for example a String as an Int, or 300 as an Int8.
public struct ValueMismatch: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of the stored value.
    public let stored: ValueKind
    /// The type that was requested.
    public let asked: String

    package init(stored: ValueKind, asked: String) {
        self.stored = stored
        self.asked = asked
    }

    public var description: String { "the value is \(stored), which is no \(asked)" }
}
