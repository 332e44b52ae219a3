// Whether an event loop is in a turn or waits, for the process that watches it.

package import Synchronization

/// Where a loop says when its present turn has begun: one word, twice the monotonic nanoseconds, plus one while the turn
/// lasts. A waiting loop leaves the number of its last turn, so that a watcher sees that there was one.
///
/// A watcher that has seen no turn for a while sleeps, and says so by an odd number in `watch`. The first turn of a process
/// after that rings its doorbell, once for each such number. While turns come, marks cost two stores and a load.
package final class LoopMark: @unchecked Sendable {
    // Sendable: used on one loop's thread only. The words are atomic.
    private let word: UnsafeMutablePointer<Atomic<UInt64>>
    private let watch: UnsafeMutablePointer<Atomic<UInt64>>
    private let doorbell: Int32
    private var answered: UInt64 = 0

    /// - Parameters:
    ///   - word: written by this process alone.
    ///   - watch: only read. Both stay mapped for the life of the process.
    ///   - doorbell: what `Doorbell.ring` takes.
    package init(
        _ word: UnsafeMutablePointer<Atomic<UInt64>>, watch: UnsafeMutablePointer<Atomic<UInt64>>, doorbell: Int32
    ) {
        self.word = word
        self.watch = watch
        self.doorbell = doorbell
    }

    /// A turn has begun.
    @inline(__always)
    package func begins(at instant: MonotonicInstant) {
        word.pointee.store(UInt64(clamping: instant.nanoseconds) &<< 1 | 1, ordering: .relaxed)
        let number = watch.pointee.load(ordering: .relaxed)
        if number & 1 == 1, number != answered { wakeWatcher(number) }
    }

    /// The turn is over.
    @inline(__always)
    package func waits() { word.pointee.store(word.pointee.load(ordering: .relaxed) & ~1, ordering: .relaxed) }

    @inline(never)
    private func wakeWatcher(_ number: UInt64) {
        answered = number
        Doorbell.ring(doorbell)
    }

    /// The beginning of the turn that a word speaks of. Nil while the loop waits. The word may hold anything.
    package static func turn(in word: UInt64) -> MonotonicInstant? {
        word & 1 == 1 ? MonotonicInstant(nanoseconds: Int64(word >> 1)) : nil
    }
}
