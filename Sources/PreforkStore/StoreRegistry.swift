// The stores of this process.

import Synchronization

/// Knows every store of the process, for whoever has to put them in order after another process was killed.
package enum StoreRegistry {
    private struct Entry: Sendable {
        weak var table: StoreTable?
    }

    private static let stores = Mutex<[Entry]>([])

    static func add(_ table: StoreTable) {
        stores.withLock { stores in
            stores.removeAll { $0.table == nil }
            stores.append(Entry(table: table))
        }
    }

    /// Puts in order what a killed process has left in any store, and wakes those who may have missed its last change.
    package static func repairAll() {
        for table in stores.withLock({ $0.compactMap(\.table) }) {
            table.repair()
            table.wakeAllSleepers()
        }
    }
}
