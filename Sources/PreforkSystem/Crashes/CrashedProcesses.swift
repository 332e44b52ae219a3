// Processes that have crashed and have not ended yet.

import Glibc
package import Synchronization

/// Words in which supervisors name children that have crashed: the Swift runtime's backtracer or a core file can keep
/// such a process alive for seconds, although it runs no more code of the program. `ProcessIdentity.isAlive` reports it
/// as dead, so that its channel ends, deliveries and leases are released. Locks are not released, because it is unknown
/// which data the crash has torn.
package enum CrashedProcesses {
    /// How many a supervisor can name. Of more than that, the others are alive until they end.
    package static let wordCount = 3

    private struct Table: @unchecked Sendable {
        // Sendable: atomic words, mapped as long as the table is in the list.
        let words: UnsafeMutablePointer<Atomic<UInt64>>
    }

    private static let tables = Mutex<[Table]>([])

    /// Makes `isAlive` consult the words from now on.
    ///
    /// - Parameter words: `wordCount` of them, each a process ID or 0, mapped until `forget`.
    package static func watch(_ words: UnsafeMutablePointer<Atomic<UInt64>>) {
        tables.withLock { $0.append(Table(words: words)) }
    }

    package static func forget(_ words: UnsafeMutablePointer<Atomic<UInt64>>) {
        tables.withLock { $0.removeAll { $0.words == words } }
    }

    static func contains(_ pid: Int32) -> Bool {
        tables.withLock { tables in
            tables.contains { table in
                (0..<wordCount).contains { table.words[$0].load(ordering: .relaxed) == UInt64(pid) }
            }
        }
    }
}
