// Epochs that show whether a key was invalidated since a read of it began.

import Synchronization

/// Counters of invalidations: a read that began before one must not be kept after it.
///
/// Keys share a fixed number of counters, so that a cache of many keys needs no memory for each: two keys with one
/// counter only mean that a fill is given up that could have been kept.
struct InvalidationEpochs: ~Copyable, Sendable {
    private let counters = Mutex([UInt64](repeating: 0, count: 1_024))

    func epoch(of key: String) -> UInt64 {
        counters.withLock { $0[Self.index(key)] }
    }

    func advance(_ key: String) {
        counters.withLock { $0[Self.index(key)] &+= 1 }
    }

    func advanceAll() {
        counters.withLock { counters in
            for index in counters.indices { counters[index] &+= 1 }
        }
    }

    private static func index(_ key: String) -> Int {
        Int(truncatingIfNeeded: UInt(bitPattern: key.hashValue) % 1_024)
    }
}
