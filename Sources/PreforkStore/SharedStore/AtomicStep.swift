// Several keys, one step: everything in it happens, or nothing does.

/// A change of several keys at once.
///
/// ```swift
/// var transfer = AtomicStep()
/// transfer.require("owner", is: "alice")
/// transfer.increment("alice", by: -10)
/// transfer.increment("bob", by: 10)
/// let done = try store.perform(transfer)     // false: the owner is somebody else
/// ```
///
/// A step names each key at most once as a change. Requirements come before all changes, in whatever order they were
/// added.
public struct AtomicStep: Sendable {
    /// What happens to one key.
    public enum Change: Hashable, Sendable {
        /// `expires`: the time it lives from the step on. If nil, it lives forever.
        case set(StoredValue, expires: Duration?)
        /// A missing key counts as 0 and is created. Its expiry stays.
        case increment(by: Int64)
        /// A missing key is not an error.
        case delete
    }

    /// At most so many different keys in one step.
    public static let maximumKeys = 64

    /// Keys that must have these values, or be absent (nil), for the step to happen.
    public private(set) var requirements: [(key: String, value: StoredValue?)] = []
    /// The changes, in the order they were added, each with its key.
    public private(set) var changes: [(key: String, change: Change)] = []

    /// A step without changes. Performing it throws `.badStep` until it has a change.
    public init() {}

    /// Adds a change: the key gets this value, whether or not it exists.
    ///
    /// Nothing is checked here. Performing the step throws for an invalid key, value or expiry.
    ///
    /// - Parameters:
    ///   - key: 1 to 512 bytes of UTF-8.
    ///   - value: at most 1 MiB.
    ///   - expires: how long it lives from the step on, above zero. If nil, it lives forever.
    public mutating func set(_ key: String, _ value: some SharedValue, expires: Duration? = nil) {
        set(key, to: StoredValue(value), expires: expires)
    }

    /// Adds a change: the key gets a value that `codec` turns into bytes, unless its type travels without one. Otherwise
    /// like `set(_:_:expires:)`.
    ///
    /// ```swift
    /// try step.set("item:17", item, by: store.codec)
    /// ```
    ///
    /// - Parameter codec: the codec of the store that will perform the step. Another one's values cannot be read there.
    /// - Throws: what the codec throws. The step is then as it was.
    public mutating func set<Value: Codable & Sendable>(
        _ key: String, _ value: Value, by codec: any ValueCodec, expires: Duration? = nil
    ) throws {
        set(key, to: try StoredValue(value, codec: codec), expires: expires)
    }

    /// Adds a change: the key gets a value of any kind, for code that does not know its type. Otherwise like
    /// `set(_:_:expires:)`.
    public mutating func set(_ key: String, to value: StoredValue, expires: Duration? = nil) {
        changes.append((key, .set(value, expires: expires)))
    }

    /// Adds a change: adds `amount`, which may be negative, to the integer at the key. A missing key counts as 0, and
    /// an existing expiry stays.
    ///
    /// Performing the step throws `.mismatch` if the value is not an integer, and `.overflow` outside of Int64.
    public mutating func increment(_ key: String, by amount: Int64 = 1) {
        changes.append((key, .increment(by: amount)))
    }

    /// Adds a change: removes the key. A missing key is not an error.
    public mutating func delete(_ key: String) {
        changes.append((key, .delete))
    }

    /// The step happens only if the key has this value, or with nil, if it is not there. Compares kind and bytes.
    public mutating func require(_ key: String, is value: StoredValue?) {
        requirements.append((key, value))
    }

    /// The step happens only if the key has this value, or with nil, if it is not there.
    public mutating func require<Value: SharedValue>(_ key: String, is value: Value?) {
        require(key, is: value.map { StoredValue($0) })
    }

    /// As `require(_:is:)`, by the codec of the store that will perform the step. It must make the same bytes of equal
    /// values.
    ///
    /// - Throws: what the codec throws. The step is then as it was.
    public mutating func require<Value: Codable & Sendable>(
        _ key: String, is value: Value?, by codec: any ValueCodec
    ) throws {
        require(key, is: try value.map { try StoredValue($0, codec: codec) })
    }
}
