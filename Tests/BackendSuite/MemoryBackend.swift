// A store and publish / subscribe in the memory of one process: what the checks are checked against.

public import PreforkChannels
public import PreforkStore
import Synchronization

/// As simple as it can be. Not fast, not shared.
public final class MemoryBackend: StoreBackend, PubSubBackend {
    private struct Entry {
        var value: StoredValue
        var end: ContinuousClock.Instant?
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var subscribers:
            [Int: (channel: String, continuation: AsyncThrowingStream<PublishedEvent, any Error>.Continuation)] = [:]
        var nextID = 0

        mutating func entry(_ key: String) throws -> Entry? {
            guard 1...65_535 ~= key.utf8.count else {
                throw StoreError(.badKey(bytes: key.utf8.count, limit: 65_535), key: key)
            }
            if let end = entries[key]?.end, end <= .now { entries[key] = nil }
            return entries[key]
        }

        mutating func live() throws -> [String: Entry] {
            for key in entries.keys { _ = try entry(key) }
            return entries
        }

        mutating func sum(_ key: String, _ amount: Int64) throws -> Int64 {
            guard let entry = try entry(key) else { return amount }
            guard entry.value.kind == .integer, let number = try? entry.value.number else {
                throw StoreError(.mismatch(ValueMismatch(stored: entry.value.kind, asked: "Int64")), key: key)
            }
            let (sum, isTooLarge) = number.addingReportingOverflow(amount)
            if isTooLarge { throw StoreError(.overflow, key: key) }
            return sum
        }
    }

    private let state = Mutex(State())

    public init() {}

    public var capabilities: BackendCapabilities { [.consistentScan, .deliversToAll] }

    public func load(_ key: String) async throws -> StoredValue? {
        try state.withLock { try $0.entry(key)?.value }
    }

    public func load(_ keys: [String]) async throws -> [String: StoredValue] {
        try state.withLock { state in
            var found: [String: StoredValue] = [:]
            for key in keys { found[key] = try state.entry(key)?.value }
            return found
        }
    }

    public func store(
        _ key: String, _ value: StoredValue, expires: Duration?, if condition: StoreCondition
    ) async throws -> Bool {
        let end = try Self.end(expires)
        return try state.withLock { state in
            let isThere = try state.entry(key) != nil
            if condition == .ifAbsent && isThere || condition == .ifPresent && !isThere { return false }
            state.entries[key] = Entry(value: value, end: end)
            return true
        }
    }

    public func remove(_ key: String) async throws -> Bool {
        try state.withLock { state in
            defer { state.entries[key] = nil }
            return try state.entry(key) != nil
        }
    }

    public func increment(_ key: String, by amount: Int64) async throws -> Int64 {
        try state.withLock { state in
            let sum = try state.sum(key, amount)
            state.entries[key] = Entry(value: StoredValue(sum), end: state.entries[key]?.end)
            return sum
        }
    }

    public func compareAndSet(_ key: String, expecting expected: StoredValue?, to new: StoredValue?) async throws
        -> Bool
    {
        try state.withLock { state in
            guard try state.entry(key)?.value == expected else { return false }
            state.entries[key] = new.map { Entry(value: $0) }
            return true
        }
    }

    public func perform(_ step: AtomicStep) async throws -> Bool {
        let keys = Set((step.changes.map(\.key) + step.requirements.map(\.key)))
        guard !step.changes.isEmpty, Set(step.changes.map(\.key)).count == step.changes.count,
            keys.count <= AtomicStep.maximumKeys
        else { throw StoreError(.badStep("empty, twice or too large")) }
        return try state.withLock { state in
            for (key, value) in step.requirements where try state.entry(key)?.value != value { return false }
            var next = state
            for (key, change) in step.changes {
                _ = try state.entry(key)
                switch change {
                case .set(let value, let expires): next.entries[key] = Entry(value: value, end: try Self.end(expires))
                case .increment(let amount):
                    next.entries[key] = Entry(
                        value: StoredValue(try state.sum(key, amount)), end: state.entries[key]?.end)
                case .delete: next.entries[key] = nil
                }
            }
            state = next
            return true
        }
    }

    public func remainingLife(_ key: String) async throws -> Duration?? {
        try state.withLock { state in
            guard let entry = try state.entry(key) else { return .none }
            return .some(entry.end.map { $0 - .now })
        }
    }

    public func setLife(_ key: String, _ expires: Duration?) async throws -> Bool {
        let end = try Self.end(expires)
        return try state.withLock { state in
            guard try state.entry(key) != nil else { return false }
            state.entries[key]?.end = end
            return true
        }
    }

    public func keys(prefix: String) async throws -> [String] {
        try state.withLock { try $0.live().keys.filter { $0.utf8.starts(with: prefix.utf8) } }
    }

    public func all(prefix: String) async throws -> [String: StoredValue] {
        try state.withLock { try $0.live().filter { $0.key.utf8.starts(with: prefix.utf8) }.mapValues(\.value) }
    }

    public func count() async throws -> Int {
        try state.withLock { try $0.live().count }
    }

    private static func end(_ expires: Duration?) throws -> ContinuousClock.Instant? {
        if let expires, expires <= .zero { throw StoreError(.badArgument("an expiry must be above zero")) }
        return expires.map { .now + $0 }
    }

    public func publish(_ channel: String, _ value: StoredValue) async throws {
        emit(.message(value)) { $0 == channel }
    }

    /// Tells every subscriber that it has missed something.
    public func loseConnection() {
        emit(.lagged(nil)) { _ in true }
    }

    private func emit(_ event: PublishedEvent, where isWanted: (String) -> Bool) {
        state.withLock { state in
            for id in state.subscribers.keys.sorted() {
                if let (channel, continuation) = state.subscribers[id], isWanted(channel) { continuation.yield(event) }
            }
        }
    }

    public func subscribe(_ channel: String) async throws -> any PublishedEvents {
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: PublishedEvent.self)
        let id = state.withLock { state in
            state.nextID += 1
            state.subscribers[state.nextID] = (channel, continuation)
            return state.nextID
        }
        return MemoryEvents(stream: stream) { [weak self] in
            self?.state.withLock { _ = $0.subscribers.removeValue(forKey: id) }
            continuation.finish()
        }
    }
}

private final class MemoryEvents: PublishedEvents {
    typealias Element = PublishedEvent
    typealias Failure = any Error

    private let stream: AsyncThrowingStream<PublishedEvent, any Error>
    private let end: @Sendable () -> Void
    private let hasEnded = Mutex(false)

    init(stream: AsyncThrowingStream<PublishedEvent, any Error>, end: @escaping @Sendable () -> Void) {
        self.stream = stream
        self.end = end
    }

    func unsubscribe() async {
        hasEnded.withLock { $0 = true }
        end()
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        let events: MemoryEvents

        mutating func next() async throws -> PublishedEvent? {
            if events.hasEnded.withLock({ $0 }) { return nil }
            var iterator = events.stream.makeAsyncIterator()
            return try await iterator.next(isolation: #isolation)
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(events: self)
    }
}
