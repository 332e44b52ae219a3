// A key-value store as a protocol: shared memory on this machine, or a server for many machines.

public import PreforkStore

/// What a backend does beyond the operations themselves.
public struct BackendCapabilities: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// `all` and `keys` are a consistent picture of each part of the store (a shard), not a walk beside changes.
    public static let consistentScan = BackendCapabilities(rawValue: 1 << 0)
    /// A subscriber learns how many messages it has missed. Without this capability it learns only that it may have
    /// missed some.
    public static let countsLostMessages = BackendCapabilities(rawValue: 1 << 1)
    /// Other machines see the same data.
    public static let beyondThisMachine = BackendCapabilities(rawValue: 1 << 2)
    /// The data outlives all processes of this machine.
    public static let outlivesProcesses = BackendCapabilities(rawValue: 1 << 3)
    /// A publisher's return means that every live subscriber will see the message, unless it lags.
    public static let deliversToAll = BackendCapabilities(rawValue: 1 << 4)
}

/// The condition under which a value is stored.
public enum StoreCondition: Hashable, Sendable {
    /// Whether the key is there or not.
    case always
    /// Only if the key is not there.
    case ifAbsent
    /// Only if the key is there.
    case ifPresent
}

/// A key-value store. Every operation on one key is atomic and linearizable, and so is a step of several keys.
public protocol StoreBackend: Sendable {
    /// What this backend does beyond the operations of the protocol. Constant for its lifetime.
    var capabilities: BackendCapabilities { get }

    /// The key's value. If nil, the key is not there or has expired.
    func load(_ key: String) async throws -> StoredValue?

    /// The values of several keys at one moment. Missing keys are left out.
    func load(_ keys: [String]) async throws -> [String: StoredValue]

    /// - Parameter expires: how long it lives. If nil, it does not expire.
    /// - Returns: whether it was stored, which `condition` may forbid.
    func store(_ key: String, _ value: StoredValue, expires: Duration?, if condition: StoreCondition) async throws
        -> Bool

    /// - Returns: whether it was there.
    func remove(_ key: String) async throws -> Bool

    /// Adds to the integer at `key`. A missing key counts as 0 and is created. Its expiry stays.
    ///
    /// - Returns: the sum.
    /// - Throws: `StoreError` `.mismatch` or `.overflow`. The value is then unchanged.
    func increment(_ key: String, by amount: Int64) async throws -> Int64

    /// Replaces the value if it is `expected` (nil: if the key is not there) by `new` (nil: removes it). Its expiry
    /// goes.
    func compareAndSet(_ key: String, expecting expected: StoredValue?, to new: StoredValue?) async throws -> Bool

    /// - Returns: false if a requirement did not hold. Nothing has changed then.
    func perform(_ step: AtomicStep) async throws -> Bool

    /// How long the key still lives. If nil, it is not there. If `.some(nil)`, it does not expire.
    func remainingLife(_ key: String) async throws -> Duration??

    /// Gives an existing key a new life span. If nil, it no longer expires.
    ///
    /// - Returns: whether it was there.
    func setLife(_ key: String, _ expires: Duration?) async throws -> Bool

    /// In no particular order.
    func keys(prefix: String) async throws -> [String]

    /// The keys with this prefix and their values, expired ones excluded. How consistent the picture is depends on
    /// `BackendCapabilities.consistentScan`.
    func all(prefix: String) async throws -> [String: StoredValue]

    /// The number of keys in the store.
    func count() async throws -> Int
}
