// futex(2): sleeping until a word of shared memory changes.

import CPrefork
package import Synchronization

/// A word of shared memory on which one thread sleeps and another process wakes it: one system call on each side, where a
/// bell takes the sleeper four. Epoll cannot wait for it.
///
/// The kernel compares the lower half of the word.
package enum FutexWord {
    /// No wait is longer. A sibling that overwrites the word takes the wake-up away: a sleeper looks at what else it
    /// waits for, and sleeps again.
    package static let longestWait = Duration.milliseconds(10)

    /// Blocks the thread while the word is `expected`, for at most `limit`, and no longer than `longestWait`. It can return
    /// earlier, for example at a signal.
    package static func wait(_ word: UnsafeMutablePointer<Atomic<UInt64>>, while expected: UInt64, atMost limit: Duration) {
        let nanoseconds = min(limit, longestWait).saturatedNanoseconds
        if nanoseconds > 0 { cprefork_futex_wait(word, UInt32(truncatingIfNeeded: expected), nanoseconds) }
    }

    /// Wakes one thread that sleeps on the word, in any process.
    package static func wake(_ word: UnsafeMutablePointer<Atomic<UInt64>>) {
        cprefork_futex_wake(word)
    }
}
