// The writing side of a ring.

import Synchronization

/// Writes records. One at a time for each ring: threads of a process must agree by another lock.
struct ByteRingProducer: Sendable {
    enum Outcome: Equatable, Sendable {
        /// It is there. `wakesConsumer`: the consumer sleeps and must be woken now.
        case done(wakesConsumer: Bool)
        case full
        /// The shared positions are invalid.
        case corrupt
    }

    let ring: ByteRing
    /// The producer's private position, behind everything that it has written: the word in shared memory is only ever
    /// written.
    private(set) var tail: UInt64
    /// As last seen: the consumer's line is only read when this one says that there is no room.
    private var head: UInt64
    /// How many records it and its predecessors have written.
    private var sent: UInt64

    /// Continues where the last producer of this ring, alive or killed, has stopped.
    init(_ ring: ByteRing) {
        self.ring = ring
        tail = ring.tail.pointee.load(ordering: .acquiring)
        head = ring.head.pointee.load(ordering: .acquiring)
        // What a killed predecessor has counted and not written.
        sent = (head == tail ? ring.taken : ring.sent).pointee.load(ordering: .relaxed)
    }

    /// Writes one record.
    ///
    /// - Parameter payload: at most `ring.payloadLimit` bytes. Its count becomes the header's length.
    mutating func push(_ header: ByteRingHeader, _ payload: UnsafeRawBufferPointer) -> Outcome {
        // A channel puts whatever is longer beside the ring (`ChannelEnd.outgoing`) and cuts its own refusals.
        precondition(payload.count <= ring.payloadLimit, "a record of \(payload.count) bytes > \(ring.payloadLimit)")
        let span = ByteRingHeader.span(payload.count)
        let needed = ring.needed(span, at: tail)
        guard let used = ring.used(tail: tail, head: head) else { return .corrupt }
        if ring.capacity &- used < needed {
            head = ring.head.pointee.load(ordering: .acquiring)
            guard let used = ring.used(tail: tail, head: head) else { return .corrupt }
            if ring.capacity &- used < needed { return .full }
        }
        var offset = ring.offset(tail)
        if needed > span {
            ring.memory.storeBytes(of: ByteRingHeader.pad, toByteOffset: offset, as: UInt64.self)
            offset = 0
        }
        var header = header
        header.length = payload.count
        let place = ring.memory + offset
        place.storeBytes(of: header.word, as: UInt64.self)
        place.storeBytes(of: header.generation, toByteOffset: ByteRingWord.generation, as: UInt64.self)
        place.storeBytes(of: header.id, toByteOffset: ByteRingWord.id, as: UInt64.self)
        if let bytes = payload.baseAddress {
            (place + ByteRingHeader.byteCount).copyMemory(from: bytes, byteCount: payload.count)
        }
        tail &+= UInt64(needed)
        sent &+= 1
        ring.sent.pointee.store(sent, ordering: .relaxed)
        ring.tail.pointee.store(tail, ordering: .sequentiallyConsistent)
        return .done(wakesConsumer: ring.wakeConsumer())
    }
}
