// The walk over everything that a value refers to.

import PreforkSystem

/// Freezes what it is given. A `Freezable` type gets one in `freezeContents(with:)`.
///
/// It lives as long as one call of `ForkRuntime.freeze(_:)`.
public struct Freezer: ~Copyable {
    /// How deep calls may be nested. What lies deeper waits in `pending`, so that a list of a million objects needs no
    /// more of the stack than one of a hundred.
    @inlinable static var depthLimit: Int { 64 }

    /// How many calls of `freezeContents` are running.
    @usableFromInline var depth = 0
    /// What is frozen when those have returned.
    @usableFromInline var pending: [any Freezable] = []
    /// How many objects this walk has made immortal.
    package private(set) var objectCount = 0
    /// Objects that could not become immortal. They have no mark of the walk, and would be walked over again.
    private var refused: Set<ObjectIdentifier> = []

    init() {}

    /// Freezes a value with everything that it names in `freezeContents(with:)`.
    @inlinable
    public mutating func freeze<Value: Freezable>(_ value: Value) {
        // Known to the compiler where the function is specialized.
        if Value.self is AnyObject.Type, !begin(value as AnyObject) { return }
        guard depth < Self.depthLimit else { return pending.append(value) }
        depth += 1
        value.freezeContents(with: &self)
        depth -= 1
    }

    /// Freezes an array whose elements are not `Freezable`: tuples, for example.
    ///
    /// - Parameter contents: freezes what an element refers to.
    @inlinable
    public mutating func freeze<Element>(_ array: [Element], contents: (Element, inout Freezer) -> Void) {
        guard begin(array.storage) else { return }
        for element in array { contents(element, &self) }
    }

    /// Freezes a dictionary whose keys or values are not `Freezable`.
    ///
    /// - Parameter contents: freezes what a key and its value refer to.
    @inlinable
    public mutating func freeze<Key, Value>(
        _ dictionary: [Key: Value], contents: (Key, Value, inout Freezer) -> Void
    ) {
        guard begin(dictionary.storage) else { return }
        for (key, value) in dictionary { contents(key, value, &self) }
    }

    /// Freezes an object whose class is not `Freezable`.
    ///
    /// - Parameter contents: freezes what the object refers to. Not called if that was done before.
    @inlinable
    public mutating func freeze<Object: AnyObject>(object: Object, contents: (Object, inout Freezer) -> Void) {
        guard begin(object) else { return }
        contents(object, &self)
    }

    /// Makes an object immortal, and says whether its contents have yet to be frozen.
    @usableFromInline
    mutating func begin(_ object: AnyObject) -> Bool {
        switch makeImmortal(object) {
        case .made:
            objectCount += 1
            return true
        case .was: return false
        case .refused: return refused.insert(ObjectIdentifier(object)).inserted
        }
    }

    /// Freezes what lies deeper than calls may be nested.
    mutating func finish() {
        while let next = pending.popLast() { continueWith(next) }
    }

    private mutating func continueWith(_ value: some Freezable) {
        depth = 1
        value.freezeContents(with: &self)
        depth = 0
    }
}
