// The stores of this process.

import PreforkSystem
import Synchronization

/// Knows every store of the process, so that a new worker can repair them after the death of a predecessor.
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

    /// The store of this process whose memory is that file.
    static func table(of identity: FileIdentity) -> StoreTable? {
        stores.withLock { $0.compactMap(\.table) }.first { FileIdentity(of: $0.file.descriptor.number) == identity }
    }

    /// Makes the list, in a process whose children will look at it.
    package static func prepare() { stores.withLock { _ = $0.count } }

    /// Repairs what a killed process has left in any store, and wakes processes that may have missed its last change.
    ///
    /// Waits for no lock. For a process with a worker's privileges, after it has dropped all others: it reads and
    /// writes memory that workers write. A supervisor must not call it.
    package static func repairAll() {
        let tables = stores.withLock { $0.compactMap(\.table) }
        // A process without a store finds its word at its first lock.
        if !tables.isEmpty { LockOwner.prepare() }
        for table in tables {
            table.repair()
            table.wakeAllSleepers()
        }
    }

    /// Frees every store lock whose word names this process. Must be called only where no call of a store is in
    /// progress on this thread.
    ///
    /// A compromised process can write that a sibling has a lock, and only that sibling knows better. A sibling that
    /// takes the lock itself corrects the word. This function is for a sibling that does not.
    package static func disownAll() {
        for table in stores.withLock({ $0.compactMap(\.table) }) { table.disownLocks() }
    }
}
