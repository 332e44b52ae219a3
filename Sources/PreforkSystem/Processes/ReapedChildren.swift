// News of each child that was collected.

import Synchronization

/// What a supervisor does whenever a child is gone for good, whichever of its parts has collected the child: its process
/// ID may be another process's from then on.
package enum ReapedChildren {
    private static let observer = Mutex<(@Sendable (Int32) -> Void)?>(nil)

    /// - Parameter body: called with the process ID, on the thread that has collected the child. It replaces the one
    ///   before.
    package static func observe(_ body: @escaping @Sendable (Int32) -> Void) {
        observer.withLock { $0 = body }
    }

    static func tell(_ pid: Int32) {
        observer.withLock { $0 }?(pid)
    }
}
