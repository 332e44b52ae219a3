// Shared locks that a crash must not keep.

import CPrefork

/// While this object lives, the crash handler of this process checks the locks. If the process holds one, it ends at
/// once and no backtracer runs, because other processes wait for the lock.
///
/// In a process with more than 256 places, the handler does not check the rest. Their locks are free when the
/// backtracer is done, at most 10 s later (`PREFORK_CRASH_TIMEOUT`).
package final class NotedLocks: Sendable {
    private let number: Int32

    /// - Parameters:
    ///   - first: a lock's word, mapped as long as the object lives.
    ///   - stride: bytes from one lock to the next.
    package init(at first: UnsafeRawPointer, count: Int = 1, stride: Int = SharedLock.byteCount) {
        number = cprefork_remember_locks(first, UInt32(clamping: count), UInt32(clamping: stride))
    }

    deinit {
        cprefork_forget_locks(number)
    }
}
