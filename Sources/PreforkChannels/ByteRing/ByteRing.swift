// A ring of records between one producer and one consumer in two processes: its layout.

import PreforkSystem
import Synchronization

/// The shared words and the memory of one ring.
///
/// ```
/// bytes      word                   written by                 ordering
///   0        tail                   producer                   seq_cst; the commit of all before it
///   8        records sent           producer                   relaxed; for operators only
///  64        head                   consumer                   seq_cst; frees all before it
///  72        records taken          consumer                   relaxed; for operators only
/// 128        consumer is asleep     both (see `ConsumerSleep`)         seq_cst
/// 192        producer is waiting    both (1: producer, 0: consumer)   seq_cst
/// ```
///
/// Tail and head only grow. They are positions in an endless stream of which the memory shows the last `capacity`
/// bytes. A producer that is killed before it stores the tail has written nothing. A consumer that is killed before it
/// stores the head has taken nothing.
///
/// A value that does not own the memory: its creator must keep the mapping.
struct ByteRing: @unchecked Sendable {
    // Sendable: the words are atomic. The producer writes the memory above the tail it has stored, and the consumer
    // reads below it.
    private let control: UnsafeMutableRawPointer
    let memory: UnsafeMutableRawPointer
    let capacity: Int

    /// Bytes of the words above.
    static let controlByteCount = 256

    /// The longest payload that goes through the ring: two of that size and a pad always fit into an empty ring.
    var payloadLimit: Int { capacity / 4 }

    /// - Parameters:
    ///   - control: `controlByteCount` bytes, aligned to 64, mapped shared, zero at first.
    ///   - memory: `capacity` bytes, aligned to 8, mapped shared.
    ///   - capacity: a power of two, at least 256.
    init(control: UnsafeMutableRawPointer, memory: UnsafeMutableRawPointer, capacity: Int) {
        // Computed by `ChannelMemory` from checked options, and never read from shared memory.
        precondition(capacity >= 256 && capacity & (capacity - 1) == 0, "a ring of \(capacity) bytes")
        self.control = control
        self.memory = memory
        self.capacity = capacity
    }

    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (control + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    var tail: UnsafeMutablePointer<Atomic<UInt64>> { word(0) }
    var head: UnsafeMutablePointer<Atomic<UInt64>> { word(64) }
    var sent: UnsafeMutablePointer<Atomic<UInt64>> { word(8) }
    var taken: UnsafeMutablePointer<Atomic<UInt64>> { word(72) }
    var asleep: UnsafeMutablePointer<Atomic<UInt64>> { word(128) }
    var waiting: UnsafeMutablePointer<Atomic<UInt64>> { word(192) }

    /// How many bytes wait, or nil if no correct producer and consumer can have stored the two positions.
    func used(tail: UInt64, head: UInt64) -> Int? {
        let used = tail &- head
        guard used <= UInt64(capacity), used & 7 == 0, head & 7 == 0 else { return nil }
        return Int(truncatingIfNeeded: used)
    }

    func offset(_ position: UInt64) -> Int {
        Int(truncatingIfNeeded: position) & (capacity &- 1)
    }

    /// Whether something waits to be taken. Any process may ask.
    var isEmpty: Bool {
        tail.pointee.load(ordering: .sequentiallyConsistent) == head.pointee.load(ordering: .sequentiallyConsistent)
    }

    /// How much waits, for operators. Any process may ask. The numbers are bounded by the ring, whatever stands in it.
    ///
    /// A process that was killed between its two stores leaves the count of records one off, until the next process is
    /// at that end of an empty ring.
    var waitingRecords: (count: Int, bytes: Int) {
        let head = head.pointee.load(ordering: .acquiring)
        let taken = taken.pointee.load(ordering: .relaxed)
        let sent = sent.pointee.load(ordering: .relaxed)
        guard let bytes = used(tail: tail.pointee.load(ordering: .acquiring), head: head), bytes > 0 else { return (0, 0) }
        let count = Int(clamping: sent &- taken)
        return (min(max(1, count), max(1, bytes / ByteRingHeader.byteCount)), bytes)
    }

    /// Whether the record that ends at `position` was taken. Any process may ask.
    func isTaken(upTo position: UInt64) -> Bool {
        Int64(bitPattern: head.pointee.load(ordering: .sequentiallyConsistent) &- position) >= 0
    }

    /// What is in front of it was taken. Any process may ask.
    var takenPosition: UInt64 { head.pointee.load(ordering: .sequentiallyConsistent) }

    /// Whether a payload of `length` bytes would fit now. Any process may call it. It also returns true for a corrupt
    /// ring, which the push will detect.
    func hasRoom(for length: Int) -> Bool {
        let head = head.pointee.load(ordering: .sequentiallyConsistent)
        let tail = tail.pointee.load(ordering: .sequentiallyConsistent)
        guard let used = used(tail: tail, head: head) else { return true }
        return capacity &- used >= needed(ByteRingHeader.span(length), at: tail)
    }

    /// Bytes that a record of `span` takes at `position`, with the pad that it may need in front.
    func needed(_ span: Int, at position: UInt64) -> Int {
        let contiguous = capacity &- offset(position)
        return span <= contiguous ? span : contiguous &+ span
    }

    // Sleep: the side that wants to sleep stores its flag and then checks again. The other side stores its position and
    // then checks the flag. All four are sequentially consistent, so that one of the two sees the other.

    /// The consumer is about to sleep.
    ///
    /// - Returns: false when there is something to take: it must not sleep.
    func consumerFallsAsleep() -> Bool {
        asleep.pointee.store(ConsumerSleep.atBell, ordering: .sequentiallyConsistent)
        return isEmpty
    }

    /// The consumer that has just fallen asleep, a thread, sleeps on the word itself. It does not hear its bell.
    ///
    /// - Returns: false when it was woken meanwhile.
    func consumerSleepsOnWord() -> Bool {
        asleep.pointee.compareExchange(
            expected: ConsumerSleep.atBell, desired: ConsumerSleep.onWord, ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// From now on it hears its bell.
    ///
    /// - Returns: false when it was woken meanwhile.
    func consumerSleepsAtBell() -> Bool {
        asleep.pointee.compareExchange(
            expected: ConsumerSleep.onWord, desired: ConsumerSleep.atBell, ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// Wakes a consumer that sleeps on the word.
    ///
    /// - Returns: true when it sleeps at its bell, and the caller must ring.
    func wakeConsumer() -> Bool {
        if asleep.pointee.load(ordering: .sequentiallyConsistent) == 0 { return false }
        switch asleep.pointee.exchange(0, ordering: .sequentiallyConsistent) {
        case 0: return false
        case ConsumerSleep.onWord:
            FutexWord.wake(asleep)
            return false
        default: return true
        }
    }

    /// The producer is about to wait for `length` bytes.
    ///
    /// - Returns: false when there is room: it must not wait.
    func producerFallsAsleep(needing length: Int) -> Bool {
        waiting.pointee.store(1, ordering: .sequentiallyConsistent)
        return !hasRoom(for: length)
    }

    /// Whether the one whose flag it is slept. Clears the flag.
    func takeSleeper(_ flag: UnsafeMutablePointer<Atomic<UInt64>>) -> Bool {
        flag.pointee.load(ordering: .sequentiallyConsistent) != 0
            && flag.pointee.exchange(0, ordering: .sequentiallyConsistent) != 0
    }
}

/// The values of `ByteRing.asleep`, beside 0 for a consumer that is awake.
enum ConsumerSleep {
    static let atBell: UInt64 = 1
    static let onWord: UInt64 = 2
}
