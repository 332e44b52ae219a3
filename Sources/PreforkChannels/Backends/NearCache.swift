// A store on a server with a copy of what is read often in this machine's memory.

public import PreforkStore
import Synchronization

/// A store in front of a distant one: reads come out of local memory, changes go to the server and tell every other
/// near cache by a message that its copy is no longer right.
///
/// ```swift
/// let cache = try await NearCache(local: sharedStore, remote: valkey)
/// let price = try await cache.load("price:17")      // 15 ns the second time
/// ```
///
/// | operation | what happens |
/// |---|---|
/// | `load(key)` | local. If it is not there, remote, and a copy for at most `staleness` or the key's remaining life |
/// | every change | remote. Then this process's copy is removed, then a message removes it everywhere |
/// | `load(keys)`, `keys`, `all`, `count`, `remainingLife` | remote: copies are no picture of one moment |
/// | connection lost and made again (`.lagged`) | all copies go: messages may have been missed |
///
/// After a change has returned, this process reads the new value. Other processes do as soon as the message has come,
/// and after `staleness` at the latest, even if it never comes. A read that was under way while the message came keeps
/// no copy. Missing keys are not cached: each read asks the server. If processes share the local store, another
/// process's read that was under way during the change may bring the old value back into it. Until the message has
/// come, this process may then read the old value, too.
///
/// The local store may be shared by all workers of a machine, each of which has a near cache in front of it. `prefix`
/// keeps the copies apart from other data in it. A local store that fails (is full, is busy) makes reads slower, not
/// wrong. `statistics` counts such failures.
public final class NearCache: StoreBackend {
    /// What a near cache has done since it was made.
    public struct Statistics: Hashable, Sendable {
        /// Reads that the local store has answered.
        public var hits = 0
        /// Reads that went to the server.
        public var misses = 0
        /// Copies that were not kept because the key changed while they were fetched.
        public var discardedFills = 0
        /// Keys whose copies were removed, by messages and by this process.
        public var invalidations = 0
        /// How often everything was removed because messages may have been missed.
        public var resets = 0
        /// Operations of the local store that failed. A removal that fails twice leaves a copy for `staleness`.
        public var localFailures = 0
    }

    private let copies: LocalCopies
    private let remote: any StoreBackend
    private let publisher: any PubSubBackend
    private let channel: String
    private let events: any PublishedEvents
    private let listener: Task<Void, Never>

    /// Subscribes to `channel` and then serves.
    ///
    /// - Parameters:
    ///   - local: holds the copies, under `prefix`.
    ///   - remote: the store that counts. What is changed in it by others than near caches on `channel` is seen after
    ///     `staleness`.
    ///   - prefix: of the copies in `local`.
    ///   - channel: on which near caches of one `remote` tell each other what has changed.
    ///   - staleness: the greatest age of a copy, above zero.
    /// - Throws: `StoreError` `.badArgument` for a staleness that is not above zero, with which no copy would ever be
    ///   kept. What `remote` throws if its channel cannot be subscribed to.
    public init<Remote: StoreBackend & PubSubBackend>(
        local: any StoreBackend, remote: Remote, prefix: String = "near:", channel: String = "near-cache",
        staleness: Duration = .seconds(60)
    ) async throws {
        guard staleness > .zero else {
            throw StoreError(.badArgument("a staleness of \(staleness) is not above zero"))
        }
        let events = try await remote.subscribe(channel)
        let copies = LocalCopies(in: local, prefix: prefix, staleness: staleness)
        // Copies of an earlier process: what has changed since it ended is not known.
        await copies.removeAll()
        self.remote = remote
        self.publisher = remote
        self.channel = channel
        self.events = events
        self.copies = copies
        // Ends with the subscription, by `close` or deinit.
        listener = Task { await copies.follow(events) }
    }

    deinit {
        listener.cancel()
    }

    /// The capabilities of `remote`: reads that copies answer are weaker by at most `staleness`.
    public var capabilities: BackendCapabilities { remote.capabilities }

    /// The counters of this process's near cache, at this moment.
    public var statistics: Statistics { copies.statistics.withLock { $0 } }

    /// Ends the subscription. Operations go to the server only from now on.
    public func close() async {
        await events.unsubscribe()
        await listener.value
    }

    public func load(_ key: String) async throws -> StoredValue? {
        if let copy = await copies.load(key) { return copy }
        let epoch = copies.epochs.epoch(of: key)
        // Together, as two commands in one packet: a key that soon expires must not live on in its copy.
        async let life = remote.remainingLife(key)
        guard let value = try await remote.load(key) else {
            _ = try await life
            return nil
        }
        // Nil if it has expired in between. Then there is nothing to keep.
        if let life = try await life { await copies.fill(key, value, life: life, ifStillIn: epoch) }
        return value
    }

    public func load(_ keys: [String]) async throws -> [String: StoredValue] {
        try await remote.load(keys)
    }

    public func store(
        _ key: String, _ value: StoredValue, expires: Duration?, if condition: StoreCondition
    ) async throws -> Bool {
        try await change([key]) { try await $0.store(key, value, expires: expires, if: condition) }
    }

    public func remove(_ key: String) async throws -> Bool {
        try await change([key]) { try await $0.remove(key) }
    }

    public func increment(_ key: String, by amount: Int64) async throws -> Int64 {
        try await change([key]) { try await $0.increment(key, by: amount) }
    }

    public func compareAndSet(_ key: String, expecting expected: StoredValue?, to new: StoredValue?) async throws
        -> Bool
    {
        try await change([key]) { try await $0.compareAndSet(key, expecting: expected, to: new) }
    }

    public func perform(_ step: AtomicStep) async throws -> Bool {
        try await change(step.changes.map(\.key)) { try await $0.perform(step) }
    }

    public func setLife(_ key: String, _ expires: Duration?) async throws -> Bool {
        try await change([key]) { try await $0.setLife(key, expires) }
    }

    public func remainingLife(_ key: String) async throws -> Duration?? {
        try await remote.remainingLife(key)
    }

    public func keys(prefix: String) async throws -> [String] {
        try await remote.keys(prefix: prefix)
    }

    /// The keys with this prefix and their values, from the server: copies have no list of what the server holds.
    /// Throws what `remote` throws.
    public func all(prefix: String) async throws -> [String: StoredValue] {
        try await remote.all(prefix: prefix)
    }

    /// The number of keys on the server. Throws what `remote` throws.
    public func count() async throws -> Int {
        try await remote.count()
    }

    /// Changes the server's data, then takes the copies out: here, and by a message everywhere.
    ///
    /// - Throws: what the change throws, and what publishing throws. In the latter case the change has happened, and
    ///   other processes see it after `staleness`.
    private func change<Result: Sendable>(
        _ keys: [String], _ body: (any StoreBackend) async throws -> Result
    ) async throws -> Result {
        let result: Result
        do {
            result = try await body(remote)
        } catch {
            // The change may still have happened, if only its answer was lost. No process may keep a copy of the old
            // value.
            await copies.remove(keys)
            if !(error is StoreError) { try? await publisher.publish(channel, Invalidation(of: keys).message) }
            throw error
        }
        await copies.remove(keys)
        try await publisher.publish(channel, Invalidation(of: keys).message)
        return result
    }
}
