// One way out of an end: a ring, the socket beside it, and the senders of this process in order.

import PreforkStore
import PreforkSystem
import Synchronization

/// A message on its way into a ring, in a form that can wait.
@usableFromInline
final class OutgoingRecord: Sendable {
    let header: ByteRingHeader
    /// What goes into the ring. Empty if there is a file.
    let bytes: [UInt8]
    /// The payload of a message that is too large for the ring.
    let file: PayloadFile?
    /// Descriptors that travel with it. They belong to the sender, and stay open until it is sent.
    let descriptors: [Int32]
    /// Descriptors of handles inside of the message, which travel behind those.
    let luggage: Luggage.Packing
    /// The ring's position behind it, once it is there.
    let end = Atomic<UInt64>(0)

    init(
        header: ByteRingHeader, bytes: [UInt8], file: PayloadFile? = nil, descriptors: [Int32] = [],
        luggage: Luggage.Packing = Luggage.Packing()
    ) {
        self.header = header
        self.bytes = bytes
        self.file = file
        self.descriptors = descriptors
        self.luggage = luggage
    }

    /// Whether it needs a packet beside the ring.
    var isOutOfBand: Bool { file != nil || !descriptors.isEmpty || !luggage.descriptors.isEmpty }
}

/// Pushes records. A sender that must wait takes a place in a queue. The others stand behind it.
final class SendingLane: Sendable {
    struct State {
        var process: UInt64 = 0
        var producer: ByteRingProducer
        var generation: UInt64 = 0
        var isClosed = false
        var queue: [UInt64] = []
        /// The process that the tickets belong to.
        var queueOwner: UInt64 = 0
        var packets: UInt64 = 0

        /// Sends nothing from now on, unless a sender of this process waits.
        mutating func pauseIfIdle() -> Bool {
            guard queue.isEmpty else { return false }
            process = 0
            return true
        }
    }

    enum Outcome: Sendable {
        case done
        /// No room, or others wait already.
        case full
        case mustAttach
        case failed(ChannelError)
    }

    private let memory: ChannelMemory
    private let lane: ChannelMemory.Lane
    private let side: EndSide
    let ring: ByteRing
    let pool: PayloadPool
    let state: Mutex<State>

    init(_ memory: ChannelMemory, _ lane: ChannelMemory.Lane, from side: EndSide) {
        self.memory = memory
        self.lane = lane
        self.side = side
        ring = memory.ring(lane, from: side)
        pool = PayloadPool(memory, lane, from: side)
        state = Mutex(State(producer: ByteRingProducer(ring)))
    }

    func start(generation: UInt64) {
        state.withLock { state in
            // Senders that wait for this process's turn at the end keep their places.
            let queue = state.queueOwner == ForkCount.current ? state.queue : []
            state = State(
                process: ForkCount.current, producer: ByteRingProducer(ring), generation: generation, queue: queue,
                queueOwner: ForkCount.current)
        }
    }

    func close() {
        state.withLock { $0.isClosed = true }
    }

    /// Writes a record into the ring, if there is room and no sender waits.
    ///
    /// - Parameter bytes: at most `ring.payloadLimit`.
    @inline(__always)
    func push(_ header: ByteRingHeader, _ bytes: UnsafeRawBufferPointer) -> Outcome {
        let pushed = state.withLock { state -> (Outcome, wakes: Bool) in
            if let refusal = refusal(state, ticket: nil) { return (refusal, false) }
            return push(header, bytes, &state)
        }
        if pushed.wakes { memory.ringBell(of: side.other) }
        return pushed.0
    }

    /// As `push`, for any kind of record and for a sender with a place in the queue.
    func push(_ record: OutgoingRecord, ticket: UInt64?) -> Outcome {
        let pushed = state.withLock { state -> (Outcome, wakes: Bool) in
            if let refusal = refusal(state, ticket: ticket) { return (refusal, false) }
            let pushed =
                record.isOutOfBand
                ? pushOutOfBand(record, &state) : record.bytes.withUnsafeBytes { push(record.header, $0, &state) }
            if case .done = pushed.0 { record.end.store(state.producer.tail, ordering: .relaxed) }
            return pushed
        }
        if pushed.wakes { memory.ringBell(of: side.other) }
        return pushed.0
    }

    private func refusal(_ state: borrowing State, ticket: UInt64?) -> Outcome? {
        guard state.process == ForkCount.current else { return .mustAttach }
        if state.isClosed || memory.isClosed(side.other) { return .failed(ChannelError(.closed, channel: memory.name)) }
        if memory.isCorrupt { return .failed(ChannelError(.corrupt("found before"), channel: memory.name)) }
        if !state.queue.isEmpty, state.queue[0] != ticket { return .full }
        return nil
    }

    @inline(__always)
    private func push(
        _ header: ByteRingHeader, _ bytes: UnsafeRawBufferPointer, _ state: inout State
    ) -> (Outcome, wakes: Bool) {
        var header = header
        // A reply bears its caller's generation.
        if lane == .messages { header.generation = state.generation }
        switch state.producer.push(header, bytes) {
        case .done(let wakes): return (.done, wakes)
        case .full: return (.full, false)
        case .corrupt:
            memory.markCorrupt()
            return (.failed(ChannelError(.corrupt("positions of a ring"), channel: memory.name)), false)
        }
    }

    /// The packet first, then the record: a sender that is killed in between leaves a packet without a record, and the
    /// next packet's number is higher.
    private func pushOutOfBand(_ record: OutgoingRecord, _ state: inout State) -> (Outcome, wakes: Bool) {
        guard ring.hasRoom(for: OutOfBandReference.byteCount + record.bytes.count) else { return (.full, false) }
        state.packets &+= 1
        let reference = OutOfBandReference(
            packet: state.generation << 32 | state.packets, fileByteCount: record.file?.byteCount ?? 0,
            slot: record.file?.slot, luggageCount: record.luggage.descriptors.count)
        do throws(SystemError) {
            var descriptors = record.descriptors + record.luggage.descriptors
            if let slot = reference.slot { pool.give(slot, packet: reference.packet) }
            if let file = record.file { descriptors.insert(file.number, at: 0) }
            let socket = memory.socket(lane, of: side)
            if try !DescriptorPassing.send(reference.packet, passing: descriptors, to: socket) {
                guard ring.isEmpty else {
                    if let slot = reference.slot { pool.takeBack(slot) }
                    return (.full, false)
                }
                // Every packet that belongs to a record has been taken by now, so there is room. The exception:
                // hundreds of senders were killed between packet and record. Then no receiver will ever make room.
                guard try DescriptorPassing.send(reference.packet, passing: descriptors, to: socket) else {
                    throw SystemError("sendmsg", .noBufferSpace, on: "socket \(socket)")
                }
            }
        } catch {
            if let slot = reference.slot { pool.takeBack(slot) }
            return (.failed(ChannelError(.system(error), channel: memory.name)), false)
        }
        var header = record.header
        header.isByFile = record.file != nil
        header.descriptorCount = record.descriptors.count + record.luggage.descriptors.count
        let payload = reference.bytes + record.bytes
        return payload.withUnsafeBytes { push(header, $0, &state) }
    }
}

extension DescriptorPassing {
    fileprivate static func send(
        _ word: UInt64, passing descriptors: [Int32], to socket: Int32
    ) throws(SystemError) -> Bool {
        try withUnsafeBytes(of: word) { (bytes) throws(SystemError) in
            try send(bytes, passing: descriptors, to: socket)
        }
    }
}
