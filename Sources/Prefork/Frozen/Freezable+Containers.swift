// Containers of the standard library.

extension Freezable {
    /// Whether values of a type refer to nothing, as the compiler knows.
    @inlinable
    static func isTrivial<Other>(_ type: Other.Type) -> Bool { _isPOD(type) }
}

extension Optional: Freezable where Wrapped: Freezable {
    /// Freezes the value, if there is one.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {
        if let self { freezer.freeze(self) }
    }
}

extension Array: Freezable where Element: Freezable {
    /// Freezes the storage and all elements.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {
        guard freezer.begin(storage), !Self.isTrivial(Element.self) else { return }
        for element in self { freezer.freeze(element) }
    }
}

extension ContiguousArray: Freezable where Element: Freezable {
    /// Freezes the storage and all elements.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {
        guard freezer.begin(storage), !Self.isTrivial(Element.self) else { return }
        for element in self { freezer.freeze(element) }
    }
}

extension ArraySlice: Freezable where Element: Freezable {
    /// Freezes the storage, which is that of the whole array, and the elements of the slice.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {
        // Another slice of the same storage may have frozen other elements.
        _ = freezer.begin(storage)
        guard !Self.isTrivial(Element.self) else { return }
        for element in self { freezer.freeze(element) }
    }
}

extension Dictionary: Freezable where Key: Freezable, Value: Freezable {
    /// Freezes the storage, all keys and all values.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {
        guard freezer.begin(storage), !(Self.isTrivial(Key.self) && Self.isTrivial(Value.self)) else { return }
        for (key, value) in self {
            freezer.freeze(key)
            freezer.freeze(value)
        }
    }
}

extension Set: Freezable where Element: Freezable {
    /// Freezes the storage and all elements.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {
        guard freezer.begin(storage), !Self.isTrivial(Element.self) else { return }
        for element in self { freezer.freeze(element) }
    }
}

extension String: Freezable {
    /// Freezes the text, if it lies in an object.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) {
        if let storage { _ = freezer.begin(storage) }
    }
}

extension Substring: Freezable {
    /// Freezes the whole string that this is a part of.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) { freezer.freeze(base) }
}

extension Character: Freezable {
    /// Freezes the text, if it lies in an object: of more than 15 bytes.
    @inlinable
    public func freezeContents(with freezer: inout Freezer) { freezer.freeze(String(self)) }
}
