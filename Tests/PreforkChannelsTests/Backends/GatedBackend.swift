// A store whose answers a test can hold back or spoil.

import PreforkBackendSuite
import PreforkChannels
import PreforkStore
import Synchronization

/// Open at first. While closed, every caller waits.
final class Gate: Sendable {
    private struct State {
        var isOpen = true
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var waitingCount: Int { state.withLock { $0.waiting.count } }

    func close() {
        state.withLock { $0.isOpen = false }
    }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

struct Spoiled: Error {}

/// A `MemoryBackend` behind gates.
final class GatedBackend: StoreBackend, PubSubBackend {
    let memory: MemoryBackend
    /// Between reading a value and handing it out.
    let afterLoad = Gate()
    /// Before a value is stored.
    let beforeStore = Gate()
    /// Everything throws, but changes still happen.
    let isSpoiled = Mutex(false)

    init(_ memory: MemoryBackend = MemoryBackend()) {
        self.memory = memory
    }

    var capabilities: BackendCapabilities { memory.capabilities }

    private func spoil<Value>(_ value: Value) throws -> Value {
        if isSpoiled.withLock({ $0 }) { throw Spoiled() }
        return value
    }

    func load(_ key: String) async throws -> StoredValue? {
        let value = try await memory.load(key)
        await afterLoad.pass()
        return try spoil(value)
    }

    func store(_ key: String, _ value: StoredValue, expires: Duration?, if condition: StoreCondition) async throws
        -> Bool
    {
        await beforeStore.pass()
        return try spoil(try await memory.store(key, value, expires: expires, if: condition))
    }

    func load(_ keys: [String]) async throws -> [String: StoredValue] { try spoil(try await memory.load(keys)) }
    func remove(_ key: String) async throws -> Bool { try spoil(try await memory.remove(key)) }
    func increment(_ key: String, by amount: Int64) async throws -> Int64 {
        try spoil(try await memory.increment(key, by: amount))
    }
    func compareAndSet(_ key: String, expecting expected: StoredValue?, to new: StoredValue?) async throws -> Bool {
        try spoil(try await memory.compareAndSet(key, expecting: expected, to: new))
    }
    func perform(_ step: AtomicStep) async throws -> Bool { try spoil(try await memory.perform(step)) }
    func remainingLife(_ key: String) async throws -> Duration?? { try spoil(try await memory.remainingLife(key)) }
    func setLife(_ key: String, _ expires: Duration?) async throws -> Bool {
        try spoil(try await memory.setLife(key, expires))
    }
    func keys(prefix: String) async throws -> [String] { try spoil(try await memory.keys(prefix: prefix)) }
    func all(prefix: String) async throws -> [String: StoredValue] { try spoil(try await memory.all(prefix: prefix)) }
    func count() async throws -> Int { try spoil(try await memory.count()) }
    func publish(_ channel: String, _ value: StoredValue) async throws { try await memory.publish(channel, value) }
    func subscribe(_ channel: String) async throws -> any PublishedEvents { try await memory.subscribe(channel) }
}
