// The conversion to bytes of values that are not a SharedValue.

public import PreforkCBOR

/// Turns `Codable` values into bytes and back. `CBORCodec` is the default. A program may provide another one.
public protocol ValueCodec: Sendable {
    /// One byte that is stored beside each value, so that a value of one codec is never read by another. 0 belongs to
    /// `CBORCodec`. A program's codec must use 128 or above.
    var identifier: UInt8 { get }

    /// The bytes of a value, without the codec's `identifier`, which the store adds.
    ///
    /// Called in the process that stores or sends the value, on the caller's thread, and possibly on several threads at
    /// once. Errors reach the caller unchanged.
    func encode<Value: Encodable>(_ value: Value) throws -> [UInt8]

    /// - Parameter bytes: what some process has stored. They may be arbitrary.
    func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value
}

extension CBORCodec: ValueCodec {}
