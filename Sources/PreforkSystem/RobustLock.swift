// A lock between processes that outlives its owner.

import CPrefork
import Glibc

/// A mutex in memory that several processes share (pthread_mutexattr_setrobust(3)). When its owner is killed, the
/// kernel hands it to the next one who asks, with the news that the owner died.
///
/// A value without an owner of its own: the lock lives where `memory` points, in a mapping that is never unmapped while
/// any process may be inside of a call (a robust lock's owner list points into it).
///
/// `Synchronization.Mutex` must not be used for this: its futex is private to one process.
package struct RobustLock: @unchecked Sendable {
    // Sendable: the memory is shared on purpose, and only the C library touches it.
    private let memory: UnsafeMutableRawPointer

    /// How many bytes a lock takes in a layout.
    package static let byteCount = Int(CPREFORK_LOCK_BYTES)

    /// The lock at `memory`, which has been made by `make` in this process or an ancestor.
    ///
    /// - Parameter memory: `byteCount` bytes, aligned to 8, mapped shared.
    package init(at memory: UnsafeMutableRawPointer) {
        self.memory = memory
    }

    /// Makes a lock, before any other process knows of it.
    package static func make(at memory: UnsafeMutableRawPointer) throws(SystemError) -> RobustLock {
        try check(cprefork_lock_init(memory), "pthread_mutex_init")
        return RobustLock(at: memory)
    }

    /// What there is to know of a lock that one has just got.
    package enum Acquisition: Equatable, Sendable {
        case clean
        /// The last owner died inside. Put in order what it may have left, then call `declareRecovered` before
        /// unlocking: a lock that is unlocked without is unusable for ever.
        case ownerDied
    }

    /// Takes the lock. Not recursive, and for the thread that took it to unlock: no suspension in between.
    ///
    /// - Parameter timeout: in nanoseconds; negative waits for ever, 0 only tries.
    /// - Throws: ETIMEDOUT or EBUSY when somebody else holds it so long, for example a process that is stopped;
    ///   ENOTRECOVERABLE when somebody has unlocked it without `declareRecovered`.
    package func lock(timeout: Int64 = -1) throws(SystemError) -> Acquisition {
        let error = cprefork_try_lock(memory)
        return error == 0 ? .clean : try finishLocking(error, timeout)
    }

    /// Takes the lock if nobody else has it; why it is not to be had is for `lock` to say.
    ///
    /// - Returns: nil when it was not taken.
    package func tryLock() -> Acquisition? {
        let error = cprefork_try_lock(memory)
        if error == 0 { return .clean }
        return error == EOWNERDEAD ? .ownerDied : nil
    }

    private func finishLocking(_ first: Int32, _ timeout: Int64) throws(SystemError) -> Acquisition {
        let error = first == EBUSY && timeout != 0 ? cprefork_lock(memory, timeout) : first
        if error == EOWNERDEAD { return .ownerDied }
        try Self.check(error, "pthread_mutex_clocklock")
        return .clean
    }

    package func declareRecovered() {
        _ = cprefork_lock_recovered(memory)
    }

    package func unlock() {
        _ = cprefork_unlock(memory)
    }

    private static func check(_ error: Int32, _ call: String) throws(SystemError) {
        if error != 0 { throw SystemError(call, Errno(rawValue: error)) }
    }
}
