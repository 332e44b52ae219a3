// Sending: at once, or in a queue until there is room.

public import PreforkStore
import PreforkSystem

extension ChannelEnd {
    /// A record in a form that can wait. A large one goes into a memory file.
    ///
    /// - Throws: `.tooLarge`, `.tooManyDescriptors`, `.system`.
    func outgoing(
        _ header: ByteRingHeader, _ bytes: UnsafeRawBufferPointer, passing descriptors: [Int32] = [],
        with luggage: Luggage.Packing = Luggage.Packing(), on lane: SendingLane
    ) throws(ChannelError) -> OutgoingRecord {
        guard bytes.count <= memory.options.messageLimit else {
            throw error(.tooLarge(bytes: bytes.count, limit: memory.options.messageLimit))
        }
        let descriptorCount = descriptors.count + luggage.descriptors.count
        let limit = lane.ring.payloadLimit - (descriptorCount == 0 ? 0 : OutOfBandReference.byteCount)
        let isLarge = bytes.count > limit
        let descriptorLimit = DescriptorPassing.limit - (isLarge ? 1 : 0)
        guard descriptorCount <= descriptorLimit else {
            throw error(.tooManyDescriptors(count: descriptorCount, limit: descriptorLimit))
        }
        guard isLarge else {
            return OutgoingRecord(
                header: header, bytes: Array(bytes), file: nil, descriptors: descriptors, luggage: luggage)
        }
        do throws(SystemError) {
            return OutgoingRecord(
                header: header, bytes: [], file: try lane.pool.file(with: bytes), descriptors: descriptors,
                luggage: luggage)
        } catch {
            throw ChannelError(.system(error), channel: memory.name)
        }
    }

    /// As below, with what goes along with the message.
    func trySend(
        _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer, passing descriptors: [Int32], with luggage: Luggage.Packing
    ) throws(ChannelError) -> OutgoingRecord? {
        if luggage.descriptors.isEmpty { return try trySend(kind, bytes, passing: descriptors) }
        let header = ByteRingHeader(type: .message, kind: kind.rawValue)
        let record = try outgoing(header, bytes, passing: descriptors, with: luggage, on: messages)
        return try push(record, ticket: nil, on: messages) ? nil : record
    }

    /// Sends at once or not at all.
    ///
    /// - Returns: the record that must wait, if there is no room. If nil, it is sent.
    @usableFromInline
    func trySend(
        _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer, passing descriptors: [Int32]
    ) throws(ChannelError) -> OutgoingRecord? {
        let header = ByteRingHeader(type: .message, kind: kind.rawValue)
        if bytes.count <= messages.ring.payloadLimit, descriptors.isEmpty {
            switch messages.push(header, bytes) {
            case .done: return nil
            case .failed(let error): throw error
            case .full, .mustAttach: break
            }
        }
        return try trySendSlowly(header, bytes, descriptors)
    }

    private func trySendSlowly(
        _ header: ByteRingHeader, _ bytes: UnsafeRawBufferPointer, _ descriptors: [Int32]
    ) throws(ChannelError) -> OutgoingRecord? {
        let record = try outgoing(header, bytes, passing: descriptors, on: messages)
        return try push(record, ticket: nil, on: messages) ? nil : record
    }

    /// - Returns: false when there is no room.
    func push(_ record: OutgoingRecord, ticket: UInt64?, on lane: SendingLane) throws(ChannelError) -> Bool {
        while true {
            switch lane.push(record, ticket: ticket) {
            case .done: return true
            case .full: return false
            case .mustAttach: if try !attach(for: .send) { return false }
            case .failed(let error): throw error
            }
        }
    }

    /// Sends, and waits for room behind earlier senders.
    func send(
        _ record: OutgoingRecord, until deadline: MonotonicInstant?, on lane: SendingLane? = nil
    ) async throws {
        let lane = lane ?? messages
        if try push(record, ticket: nil, on: lane) { return }
        let ticket = waiters.newTicket()
        lane.joinQueue(ticket)
        defer {
            if lane.leaveQueue(ticket) { waiters.wakeAll() }
            settleSuccession()
        }
        var maySpill = true
        var sawSomething = false
        while true {
            let epoch = waiters.epoch
            if try push(record, ticket: ticket, on: lane) { return }
            // One that stops still takes the answers to its own calls.
            if lane === replies { try checkPeerListens() } else { try checkPeerCanTake() }
            if maySpill, spill() { continue }
            // A record that is there and cannot be taken, for want of a descriptor, must not be tried again and again.
            maySpill = maySpill && !sawSomething
            try await wait(.send, since: epoch, until: deadline) {
                let mustWait = lane.mustWait(record, ticket: ticket)
                sawSomething = maySpill && canSpill()
                return mustWait && !sawSomething
            }
        }
    }

    /// As `send`, for a plain thread.
    func sendBlocking(_ record: OutgoingRecord, until deadline: MonotonicInstant?) throws(ChannelError) {
        if try push(record, ticket: nil, on: messages) { return }
        let ticket = waiters.newTicket()
        messages.joinQueue(ticket)
        defer { if messages.leaveQueue(ticket) { wakeLocally() } }
        while true {
            let epoch = waiters.epoch
            if try push(record, ticket: ticket, on: messages) { return }
            try checkPeerCanTake()
            try waitBlocking(.send, since: epoch, until: deadline) { messages.mustWait(record, ticket: ticket) }
        }
    }

    /// Sends later what could not be sent at once.
    @usableFromInline
    func sendLater(_ record: OutgoingRecord, timeout: Duration?) async throws {
        try await send(record, until: timeout.map { .now + $0 })
    }
}
