// The types of the standard library that travel without a codec.

extension [UInt8]: SharedValue {
    @inlinable
    public func withSharedBytes<Result>(_ body: (ValueKind, UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes { bytes in body(.bytes, bytes) }
    }

    @inlinable
    public init?(sharedBytes bytes: UnsafeRawBufferPointer, kind: ValueKind) {
        guard kind == .bytes else { return nil }
        self = Array(bytes)
    }
}

extension String: SharedValue {
    @inlinable
    public func withSharedBytes<Result>(_ body: (ValueKind, UnsafeRawBufferPointer) -> Result) -> Result {
        var text = self
        return text.withUTF8 { utf8 in body(.string, UnsafeRawBufferPointer(utf8)) }
    }

    @inlinable
    public init?(sharedBytes bytes: UnsafeRawBufferPointer, kind: ValueKind) {
        guard kind == .string else { return nil }
        self = String(decoding: bytes, as: UTF8.self)
    }
}

extension Bool: SharedValue {
    @inlinable
    public func withSharedBytes<Result>(_ body: (ValueKind, UnsafeRawBufferPointer) -> Result) -> Result {
        let byte: UInt8 = self ? 1 : 0
        return withUnsafeBytes(of: byte) { bytes in body(.boolean, bytes) }
    }

    @inlinable
    public init?(sharedBytes bytes: UnsafeRawBufferPointer, kind: ValueKind) {
        guard kind == .boolean, bytes.count == 1, bytes[0] < 2 else { return nil }
        self = bytes[0] == 1
    }
}

extension Double: SharedValue {
    @inlinable
    public func withSharedBytes<Result>(_ body: (ValueKind, UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: self) { bytes in body(.double, bytes) }
    }

    @inlinable
    public init?(sharedBytes bytes: UnsafeRawBufferPointer, kind: ValueKind) {
        guard kind == .double, bytes.count == 8 else { return nil }
        self = bytes.loadUnaligned(as: Double.self)
    }
}

extension Float: SharedValue {
    @inlinable
    public func withSharedBytes<Result>(_ body: (ValueKind, UnsafeRawBufferPointer) -> Result) -> Result {
        Double(self).withSharedBytes(body)
    }

    @inlinable
    public init?(sharedBytes bytes: UnsafeRawBufferPointer, kind: ValueKind) {
        guard let double = Double(sharedBytes: bytes, kind: kind) else { return nil }
        self = Float(double)
    }
}

/// Every integer type stores the same kinds, so that a number can be read by whichever type it fits into.
extension SharedValue where Self: FixedWidthInteger {
    @inlinable
    public func withSharedBytes<Result>(_ body: (ValueKind, UnsafeRawBufferPointer) -> Result) -> Result {
        if let small = Int64(exactly: self) {
            return withUnsafeBytes(of: small) { bytes in body(.integer, bytes) }
        }
        let large = UInt64(truncatingIfNeeded: self)
        return withUnsafeBytes(of: large) { bytes in body(.unsigned, bytes) }
    }

    @inlinable
    public init?(sharedBytes bytes: UnsafeRawBufferPointer, kind: ValueKind) {
        guard bytes.count == 8 else { return nil }
        switch kind {
        case .integer: self.init(exactly: bytes.loadUnaligned(as: Int64.self))
        case .unsigned: self.init(exactly: bytes.loadUnaligned(as: UInt64.self))
        default: return nil
        }
    }
}

extension Int: SharedValue {}
extension Int64: SharedValue {}
extension Int32: SharedValue {}
extension Int16: SharedValue {}
extension Int8: SharedValue {}
extension UInt: SharedValue {}
extension UInt64: SharedValue {}
extension UInt32: SharedValue {}
extension UInt16: SharedValue {}
extension UInt8: SharedValue {}
