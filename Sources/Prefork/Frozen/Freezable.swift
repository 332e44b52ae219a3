// What a type says of itself so that its values can be frozen.
//
// A protocol, where `Mirror` could walk over values of any type: over the two million texts of a dictionary that took 4.7
// times as long (2.4 s, Swift 6.3.1), and it would touch values that a program does not mean to keep.

/// A type whose values can be frozen: their memory stays shared between the processes of a pool, however often it is read.
///
/// Numbers, `Bool`, `String`, `Substring`, `Character` and `Duration` are freezable, and so are `Optional`, `Array`,
/// `ContiguousArray`, `ArraySlice`, `Dictionary` and `Set` of freezable elements. A type of the program's own names what
/// it stores:
///
/// ```swift
/// struct City: Freezable {
///     var name: String
///     var districts: [String]
///
///     func freezeContents(with freezer: inout Freezer) {
///         freezer.freeze(name)
///         freezer.freeze(districts)
///     }
/// }
/// ```
///
/// - An enum switches over its cases, and names their values. The elements of a tuple are named one by one.
/// - A class does the same. The object itself needs no mention, and cycles end at the first object that was there before.
///   A subclass overrides the function, and calls that of its superclass.
/// - What it does not name is not frozen: reading it copies its memory, as ever. This cannot be frozen: boxes of indirect
///   cases and of existential values (`any P`) above 24 bytes, contexts of closures, and storages of other libraries'
///   types, such as Foundation's `Data`.
///
/// See <doc:SharedMemory>.
public protocol Freezable {
    /// Hands each stored value that refers to memory to `freezer`, in any order.
    ///
    /// Numbers may be left out.
    func freezeContents(with freezer: inout Freezer)
}
