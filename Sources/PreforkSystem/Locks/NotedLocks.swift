// Shared locks that a crash must not keep.

import CPrefork

/// As long as this object lives, a crash of this process looks at the locks: where it holds one, it ends at once and no
/// backtracer runs, because other processes wait for the lock.
///
/// Of more than 256 places in a process the others are not looked at: their locks are free when the backtracer is done,
/// 10 s later at most (`PREFORK_CRASH_TIMEOUT`).
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
