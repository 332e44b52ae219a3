// The store in shared memory as a backend like others.

public import PreforkStore

/// What the store's own operations are called already needs nothing here: they do not suspend, which a requirement that
/// may suspend allows.
extension SharedStore: StoreBackend {
    /// Consistent scans, counted losses, and delivery to all. The data ends with the last process that has the store.
    public var capabilities: BackendCapabilities { [.consistentScan, .countsLostMessages, .deliversToAll] }

    public func load(_ key: String) async throws -> StoredValue? {
        try stored(key)
    }

    public func load(_ keys: [String]) async throws -> [String: StoredValue] {
        try get(several: keys)
    }

    public func store(
        _ key: String, _ value: StoredValue, expires: Duration?, if condition: StoreCondition
    ) async throws -> Bool {
        switch condition {
        case .always: try set(key, stored: value, expires: expires, if: .always)
        case .ifAbsent: try set(key, stored: value, expires: expires, if: .ifAbsent)
        case .ifPresent: try set(key, stored: value, expires: expires, if: .ifPresent)
        }
    }

    public func remove(_ key: String) async throws -> Bool {
        try delete(key)
    }

    public func compareAndSet(_ key: String, expecting expected: StoredValue?, to new: StoredValue?) async throws
        -> Bool
    {
        try compareAndSet(key, expectingStored: expected, to: new, expires: nil)
    }

    /// The keys with this prefix and their values, expired ones excluded. Never suspends. See `getAll(prefix:)`.
    public func all(prefix: String) async throws -> [String: StoredValue] {
        getAll(prefix: prefix)
    }

    /// The number of entries, as `count`. Never suspends.
    public func count() async throws -> Int {
        count
    }
}

extension SharedStore: PubSubBackend {
    /// Publishes to all subscribers of the channel in this service's processes. Never suspends.
    ///
    /// - Throws: `StoreError`, as `publish(_:_:)` of a value.
    public func publish(_ channel: String, _ value: StoredValue) async throws {
        try publish(channel, stored: value)
    }

    public func subscribe(_ channel: String) async throws -> any PublishedEvents {
        try StoreEvents(self, channel)
    }
}
