// Watching a key.

import PreforkEventLoop
public import PreforkStore

/// The values of one key: an `AsyncSequence` that begins with the present value and continues with each change. An
/// element is nil if the key is not there.
///
/// The latest value is what counts: of several changes that come faster than they are read, only the last is seen, but
/// that one always, also when the process that made it was killed right afterwards. An expiry is seen when its time
/// comes.
public final class StoreValues<Value: Codable & Sendable>: AsyncSequence, Sendable {
    public typealias Element = Value?
    private let source: StoreSource<Value?>

    init(_ store: SharedStore, _ key: String) throws {
        _ = try store.contains(key)
        let table = store.table
        let bytes = Array(key.utf8)
        let coding = ValueCoding<Value>(codec: store.codec)
        var last: StoreObservation?
        source = StoreSource(table, on: try EventLoop.chosen(), wish: table.sleepWish(forKey: bytes)) {
            let seen = table.observe(bytes)
            if let last, last.isSame(as: seen) { return .nothing(within: seen.remainingLife) }
            last = seen
            return .element(
                try seen.value.map { stored in
                    try stored.bytes.withUnsafeBytes { try coding.decode(stored.kind, $0) }
                })
        }
    }

    deinit {
        source.end()
    }

    /// Ends the sequence, also for a task that waits for its next element. A second call has no effect.
    public func unsubscribe() {
        source.end()
    }

    /// Waits for changes of the key. Only one task at a time may call `next()`.
    public struct Iterator: AsyncIteratorProtocol {
        let values: StoreValues

        /// - Throws: `CancellationError`. `ValueMismatch` or the codec's error for a value of another type, after which
        ///   the sequence continues.
        public mutating func next() async throws -> Value?? {
            try await values.source.next()
        }
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(values: self)
    }
}

extension SharedStore {
    /// Watches a key, whether it is there or not.
    ///
    /// - Throws: `StoreError` `.badKey`, or `.system` if no loop can be made.
    public func watch<Value: Codable & Sendable>(
        _ key: String, as type: Value.Type = Value.self
    ) throws -> StoreValues<Value> {
        try StoreValues(self, key)
    }
}
