// The reading side of a ring.

import Synchronization

/// Takes records. One at a time for each ring.
///
/// Whatever it reads may have been written by a process gone mad: every number is checked before it is used.
struct ByteRingConsumer: Sendable {
    enum Look: Equatable, Sendable {
        case empty
        case record(ByteRingHeader)
        /// Positions or a header that no producer writes. There is no way on from here.
        case corrupt
    }

    let ring: ByteRing
    /// The consumer's private position: the word in shared memory is only ever written.
    private(set) var head: UInt64
    /// As last seen.
    private var tail: UInt64
    /// How many records it and its predecessors have taken.
    private var taken: UInt64

    /// Continues where the last consumer of this ring, alive or killed, has stopped.
    init(_ ring: ByteRing) {
        self.ring = ring
        head = ring.head.pointee.load(ordering: .acquiring)
        tail = head
        taken = ring.taken.pointee.load(ordering: .relaxed)
    }

    /// The position behind everything that has been written so far.
    var end: UInt64 { ring.tail.pointee.load(ordering: .acquiring) }

    /// Throws away everything that waits.
    mutating func skipAll() {
        head = end
        tail = head
        taken = ring.sent.pointee.load(ordering: .relaxed)
        ring.taken.pointee.store(taken, ordering: .relaxed)
        ring.head.pointee.store(head, ordering: .sequentiallyConsistent)
    }

    /// Moves behind the record that `look` has just described, without freeing it: `free` does that for all records at
    /// once.
    mutating func pass(_ header: ByteRingHeader) {
        head &+= UInt64(header.span)
        taken &+= 1
    }

    /// Frees everything that was passed.
    func free() {
        ring.taken.pointee.store(taken, ordering: .relaxed)
        ring.head.pointee.store(head, ordering: .sequentiallyConsistent)
    }

    /// The next record's header. The record stays.
    mutating func look() -> Look {
        if head == tail {
            tail = ring.tail.pointee.load(ordering: .acquiring)
            if head == tail { return .empty }
        }
        guard var used = ring.used(tail: tail, head: head) else { return .corrupt }
        var word = ring.memory.load(fromByteOffset: ring.offset(head), as: UInt64.self)
        if word == ByteRingHeader.pad {
            let contiguous = ring.capacity &- ring.offset(head)
            // The record behind a pad is committed with it.
            guard contiguous < used else { return .corrupt }
            head &+= UInt64(contiguous)
            used &-= contiguous
            word = ring.memory.load(as: UInt64.self)
        }
        let offset = ring.offset(head)
        guard var header = ByteRingHeader(word: word), header.length <= ring.payloadLimit, header.span <= used,
            header.span <= ring.capacity &- offset
        else { return .corrupt }
        header.generation = ring.memory.load(fromByteOffset: offset &+ ByteRingWord.generation, as: UInt64.self)
        header.id = ring.memory.load(fromByteOffset: offset &+ ByteRingWord.id, as: UInt64.self)
        return .record(header)
    }

    /// Calls `body` with the payload of the record that `look` has just described. Its bytes may change under the
    /// reader if the producer has gone mad, never its place.
    func withPayload<Result>(of header: ByteRingHeader, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        // In bounds: `look` has checked the length against the ring.
        let start = ring.memory + ring.offset(head) + ByteRingHeader.byteCount
        return body(UnsafeRawBufferPointer(start: start, count: header.length))
    }

    /// Frees the record that `look` has just described.
    ///
    /// - Returns: true when the producer waits for room and must be woken now.
    mutating func advance(past header: ByteRingHeader) -> Bool {
        head &+= UInt64(header.span)
        taken &+= 1
        ring.taken.pointee.store(taken, ordering: .relaxed)
        ring.head.pointee.store(head, ordering: .sequentiallyConsistent)
        return ring.takeSleeper(ring.waiting)
    }
}
