// The codec of channels that were given none.

package import PreforkStore

package let defaultCodec: any ValueCodec = MissingCodec()

/// Until there is a codec in this package.
private struct MissingCodec: ValueCodec {
    struct Missing: Error {}

    var identifier: UInt8 { 0 }

    func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] { throw Missing() }

    func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value { throw Missing() }
}
