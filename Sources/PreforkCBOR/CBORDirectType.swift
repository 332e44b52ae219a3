// Types that are one CBOR item and are encoded and decoded directly.

/// The standard library's types that are a single item.
///
/// Generic code can distinguish them by the type only: an Array passes its elements one by one as generic values, and
/// without this list each Int in it would cost an encoder.
enum CBORDirectType {
    case string, int, double, bool, byteString
    case uint8, int64, uint64, int32, uint32, uint, float

    /// nil for all other types.
    init?(_ type: Any.Type) {
        if type == String.self { self = .string }
        else if type == Int.self { self = .int }
        else if type == Double.self { self = .double }
        else if type == Bool.self { self = .bool }
        else if type == [UInt8].self { self = .byteString }
        else if type == UInt8.self { self = .uint8 }
        else if type == Int64.self { self = .int64 }
        else if type == UInt64.self { self = .uint64 }
        else if type == Int32.self { self = .int32 }
        else if type == UInt32.self { self = .uint32 }
        else if type == UInt.self { self = .uint }
        else if type == Float.self { self = .float }
        else { return nil }
    }
}

extension CBORWriter {
    /// - Parameter type: `CBORDirectType(Value.self)`.
    func write<Value>(_ value: Value, as type: CBORDirectType) {
        // Proof: `Value` is the type that its case of `CBORDirectType` names. (`as!` would ask the runtime again.)
        switch type {
        case .string: write(unsafeBitCast(value, to: String.self))
        case .int: write(unsafeBitCast(value, to: Int.self))
        case .double: write(unsafeBitCast(value, to: Double.self))
        case .bool: write(unsafeBitCast(value, to: Bool.self))
        case .byteString: write(unsafeBitCast(value, to: [UInt8].self))
        case .uint8: write(Int(unsafeBitCast(value, to: UInt8.self)))
        case .int64: write(Int(unsafeBitCast(value, to: Int64.self)))
        case .uint64: writeHead(.unsigned, unsafeBitCast(value, to: UInt64.self))
        case .int32: write(Int(unsafeBitCast(value, to: Int32.self)))
        case .uint32: writeHead(.unsigned, UInt64(unsafeBitCast(value, to: UInt32.self)))
        case .uint: writeHead(.unsigned, UInt64(unsafeBitCast(value, to: UInt.self)))
        case .float: write(unsafeBitCast(value, to: Float.self))
        }
    }
}

extension CBORReader {
    /// - Parameter direct: `CBORDirectType(type)`.
    func read<Value>(_ type: Value.Type, as direct: CBORDirectType, at offset: Int) throws(CBORMismatch) -> Value {
        // Proof: `Value` is the type that its case of `CBORDirectType` names.
        switch direct {
        case .string: unsafeBitCast(try string(at: offset), to: type)
        case .int: unsafeBitCast(try integer(at: offset) as Int, to: type)
        case .double: unsafeBitCast(try double(at: offset), to: type)
        case .bool: unsafeBitCast(try boolean(at: offset), to: type)
        case .byteString: unsafeBitCast(try byteString(at: offset), to: type)
        case .uint8: unsafeBitCast(try integer(at: offset) as UInt8, to: type)
        case .int64: unsafeBitCast(try integer(at: offset) as Int64, to: type)
        case .uint64: unsafeBitCast(try integer(at: offset) as UInt64, to: type)
        case .int32: unsafeBitCast(try integer(at: offset) as Int32, to: type)
        case .uint32: unsafeBitCast(try integer(at: offset) as UInt32, to: type)
        case .uint: unsafeBitCast(try integer(at: offset) as UInt, to: type)
        case .float: unsafeBitCast(try float(at: offset), to: type)
        }
    }
}
