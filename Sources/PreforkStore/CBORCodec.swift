public struct CBORCodec: ValueCodec {
    public init() {}
    public var identifier: UInt8 { 0 }
    public func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] { [] }
    public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value { throw ValueMismatch(stored: .coded, asked: "") }
}
