// The time that one call may wait for locks, all of them together.

import CPrefork
import Synchronization

/// The time that an operation has for all locks that it takes, also for those that a recovery takes on its way. It
/// begins with the first wait: an operation that finds its locks free does not ask for the time.
package struct LockPatience: Sendable {
    /// In nanoseconds, all waits of the call together. 0: never waits.
    private let limit: Int64
    private var deadline: Int64 = 0

    /// No lock is waited for.
    package static let none = LockPatience(limit: 0)

    /// The limit of a process that is not a worker: a supervisor must answer its operator and reap its workers.
    package static let limitOutsideOfWorkers: Int64 = 100_000_000

    /// FUTEX_WAIT is never longer: the kernel does not report an owner's death, so waiters check for it.
    private static let longestSlice: Int64 = 10_000_000

    private static let waitsLong = Atomic<Bool>(false)

    /// This process is a worker, a managed process or a child of one, so it waits as long as the caller allows. A
    /// program that is started by execve(2) begins without it.
    package static func allowLongWaits() {
        waitsLong.store(true, ordering: .relaxed)
    }

    /// - Parameter limit: in nanoseconds, at most 100 ms outside of workers.
    package init(limit: Int64) {
        let longest = Self.waitsLong.load(ordering: .relaxed) ? .max : Self.limitOutsideOfWorkers
        self.limit = max(0, min(limit, longest))
    }

    package var neverWaits: Bool { limit == 0 }

    /// Whether a word that was invalid all that time may be given up. The owner of an overwritten word needs less time
    /// to finish.
    var isLong: Bool { limit >= 10_000_000 }

    /// How long the next wait may be, or nil when the time is over.
    package mutating func nextSlice() -> Int64? {
        if limit == 0 { return nil }
        let now = cprefork_monotonic_nanoseconds()
        if deadline == 0 {
            let (sum, overflow) = now.addingReportingOverflow(limit)
            deadline = overflow ? .max : sum
        }
        let left = deadline - now
        return left > 0 ? min(left, Self.longestSlice) : nil
    }

    /// Tells the processor that it spins.
    package static func pause() { cprefork_pause() }

    /// Whether the time is over. Begins it if it has not begun.
    package mutating func isOver() -> Bool { nextSlice() == nil }
}
