// A value outside of its process: a kind and bytes.

/// What the bytes of a value in shared memory or in a message are.
public enum ValueKind: UInt8, Hashable, Sendable {
    /// Bytes as they are: a `[UInt8]`.
    case bytes = 1
    /// UTF-8.
    case string = 2
    /// Eight bytes, two's complement, in the machine's order.
    case integer = 3
    /// Eight bytes, without sign: a number above Int64.max.
    case unsigned = 4
    /// Eight bytes, IEEE 754.
    case double = 5
    /// One byte, 0 or 1.
    case boolean = 6
    /// What a `ValueCodec` has made of an `Encodable`. The first byte names the codec.
    case coded = 7
}

/// A type that travels without a codec: its bytes are written as they are.
///
/// `[UInt8]`, `String`, `Bool`, `Double`, `Float` and the standard integers conform. Every other `Codable` uses a
/// `ValueCodec`.
public protocol SharedValue: Codable, Sendable {
    /// Calls `body` with the value's kind and bytes.
    func withSharedBytes<Result>(_ body: (ValueKind, UnsafeRawBufferPointer) -> Result) -> Result

    /// The value of bytes that came out of shared memory, or nil if they are not a value of this type.
    ///
    /// - Parameter bytes: valid during the call only. They may be arbitrary, because another process wrote them.
    init?(sharedBytes bytes: UnsafeRawBufferPointer, kind: ValueKind)
}
