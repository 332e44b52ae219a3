// The copies of a near cache, and the rule by which they come and go.

import PreforkStore
import Synchronization

/// Copies of remote values in a local store. Its failures are counted and never thrown: without a copy one asks the
/// server.
final class LocalCopies: Sendable {
    let epochs = InvalidationEpochs()
    let statistics = Mutex(NearCache.Statistics())
    private let store: any StoreBackend
    private let prefix: String
    private let staleness: Duration
    /// Whether messages come: without them, copies are neither read nor made.
    private let isListening = Mutex(true)

    init(in store: any StoreBackend, prefix: String, staleness: Duration) {
        self.store = store
        self.prefix = prefix
        self.staleness = staleness
    }

    func load(_ key: String) async -> StoredValue? {
        let copy = isListening.withLock { $0 } ? try? await store.load(prefix + key) : nil
        count { if copy == nil { $0.misses += 1 } else { $0.hits += 1 } }
        return copy
    }

    /// Keeps a copy of a value that was read from the server since `epoch`.
    ///
    /// The message that the value has changed may come at any time. Before the copy is made, the epoch shows it. While
    /// the copy is made, the epoch shows it afterwards, and the copy is removed again. In between, other readers may
    /// see a value that was right when their read began.
    func fill(_ key: String, _ value: StoredValue, life: Duration?, ifStillIn epoch: UInt64) async {
        guard isListening.withLock({ $0 }), epochs.epoch(of: key) == epoch else {
            return count { $0.discardedFills += 1 }
        }
        let life = min(life ?? staleness, staleness)
        guard life > .zero else { return }
        do {
            _ = try await store.store(prefix + key, value, expires: life, if: .always)
        } catch {
            count { $0.localFailures += 1 }
        }
        if epochs.epoch(of: key) != epoch || !isListening.withLock({ $0 }) {
            count { $0.discardedFills += 1 }
            await removeCopy(key)
        }
    }

    /// Removes the copies. Reads that are under way keep no copy.
    func remove(_ keys: [String]) async {
        for key in keys {
            // First: a fill that comes between the two finds a new epoch.
            epochs.advance(key)
            await removeCopy(key)
        }
        count { $0.invalidations += keys.count }
    }

    func removeAll() async {
        epochs.advanceAll()
        count { $0.resets += 1 }
        do {
            for name in try await store.keys(prefix: prefix) {
                await removeCopy(String(decoding: name.utf8.dropFirst(prefix.utf8.count), as: UTF8.self))
            }
        } catch {
            count { $0.localFailures += 1 }
        }
    }

    /// Follows the messages until they end. Then no copies are kept any more.
    func follow(_ events: any PublishedEvents) async {
        do {
            for try await event in events {
                if case .message(let value) = event, let invalidation = Invalidation(value) {
                    await remove(invalidation.keys)
                } else {
                    // Lagged, or a message from another sender: its meaning is unknown.
                    await removeAll()
                }
            }
        } catch {
            // The server refuses, or this task was cancelled: no message comes any more, either way.
        }
        isListening.withLock { $0 = false }
        await removeAll()
    }

    /// Tried twice: a busy store is a matter of a moment.
    private func removeCopy(_ key: String) async {
        for _ in 0..<2 {
            if (try? await store.remove(prefix + key)) != nil { return }
            count { $0.localFailures += 1 }
        }
    }

    private func count(_ body: (inout NearCache.Statistics) -> Void) {
        statistics.withLock { body(&$0) }
    }
}
