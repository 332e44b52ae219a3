// Values that refer to nothing.

extension Freezable where Self: FixedWidthInteger {
    /// Does nothing: a number refers to nothing.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {}
}

extension Freezable where Self: BinaryFloatingPoint {
    /// Does nothing: a number refers to nothing.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {}
}

extension Int: Freezable {}
extension Int8: Freezable {}
extension Int16: Freezable {}
extension Int32: Freezable {}
extension Int64: Freezable {}
extension UInt: Freezable {}
extension UInt8: Freezable {}
extension UInt16: Freezable {}
extension UInt32: Freezable {}
extension UInt64: Freezable {}
extension Float: Freezable {}
extension Double: Freezable {}

extension Bool: Freezable {
    /// Does nothing: a truth value refers to nothing.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {}
}

extension Duration: Freezable {
    /// Does nothing: a duration refers to nothing.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {}
}

extension Unicode.Scalar: Freezable {
    /// Does nothing: a scalar refers to nothing.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {}
}

extension StaticString: Freezable {
    /// Does nothing: the text is one of the program's constants.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {}
}
