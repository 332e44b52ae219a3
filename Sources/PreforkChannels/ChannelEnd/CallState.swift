// Calls on their way, and the tasks that wait for each reply.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// What came back.
enum CallReply: Sendable {
    /// Nil: of a kind that no process of this package sends.
    case value(CarriedValue?)
    case failure(String)
    case failed(ChannelError)
}

/// Guarded by `ChannelEnd.calls`.
struct CallState: Sendable {
    var process: UInt64 = 0
    var isClosed = false
    var consumer: ByteRingConsumer
    var generation: UInt64 = 0
    private var lastID: UInt64 = 0
    /// Nil while there is no reply.
    var pending: [UInt64: CallReply?] = [:]

    /// The process that `pending` belongs to.
    private var owner: UInt64 = 0

    init(_ ring: ByteRing) {
        consumer = ByteRingConsumer(ring)
    }

    /// Calls of this process that wait for its turn at the end stay.
    mutating func start(generation: UInt64, _ consumer: ByteRingConsumer) {
        adopt()
        process = ForkCount.current
        self.consumer = consumer
        self.generation = generation
    }

    mutating func pauseIfIdle() -> Bool {
        guard pending.isEmpty else { return false }
        process = 0
        return true
    }

    private mutating func adopt() {
        if owner == ForkCount.current { return }
        owner = ForkCount.current
        isClosed = false
        lastID = 0
        pending = [:]
    }

    mutating func begin() -> UInt64 {
        adopt()
        lastID &+= 1
        pending[lastID] = .some(nil)
        return lastID
    }
}

extension ChannelEnd {
    /// Sends a call and waits for its reply.
    func call(_ record: OutgoingRecord, until deadline: MonotonicInstant) async throws -> CallReply {
        try attach(for: .send)
        var peer = memory.generation(of: side.other)
        if try !checkPeerCanTake(), peer > 0 { peer = try await successor(until: deadline) }
        let id = calls.withLock { $0.begin() }
        defer {
            calls.withLock { _ = $0.pending.removeValue(forKey: id) }
            settleSuccession()
        }
        var header = record.header
        header.id = id
        let call = OutgoingRecord(
            header: header, bytes: record.bytes, file: record.file, luggage: record.luggage)
        try await send(call, until: deadline)
        while true {
            let epoch = waiters.epoch
            drainReplies()
            if let reply = reply(to: id) { return reply }
            do throws(ChannelError) {
                try checkCallee(peer, call)
            } catch {
                // Between the two looks it may have answered, and ended.
                drainReplies()
                if let reply = reply(to: id) { return reply }
                throw error
            }
            try await wait(.reply(id), since: epoch, until: deadline) {
                drainReplies()
                return reply(to: id) == nil
            }
        }
    }

    private func reply(to id: UInt64) -> CallReply? {
        calls.withLock { $0.pending[id] ?? nil }
    }

    /// Waits while the process at the other end is dead and has a successor to come.
    ///
    /// - Returns: the successor's generation.
    /// - Throws: as `checkPeerCanTake` and `wait`.
    private func successor(until deadline: MonotonicInstant) async throws -> UInt64 {
        while true {
            let epoch = waiters.epoch
            let generation = memory.generation(of: side.other)
            if try checkPeerCanTake() { return generation }
            try await wait(.send, since: epoch, until: deadline) { isDead(memory.generation(of: side.other)) }
        }
    }

    /// The process that has taken the call, or will take it, must still be there. A call without a process at the other
    /// end (generation 0) is for the first one that comes.
    ///
    /// A call that a dead process had taken has failed. One that it had not taken waits for its successor, if one comes.
    private func checkCallee(_ generation: UInt64, _ call: OutgoingRecord) throws(ChannelError) {
        if calls.withLock({ $0.isClosed }) { throw error(.closed) }
        try checkPeerIsUsable()
        let callee = max(generation, 1)
        let end = call.end.load(ordering: .relaxed)
        var present = memory.generation(of: side.other)
        var (isDead, isStopping, isPast, isTaken) = (false, false, false, false)
        // A generation that changes all the time is damage, and the call may wait for its time to run out.
        for _ in 0..<100 {
            isDead = self.isDead(present)
            // In this order: what was not taken before the word was written never is.
            isStopping = memory.isStopping(side.other)
            isPast = Int64(bitPattern: memory.firstCall(of: side.other) &- end) >= 0
            isTaken = isPast || messages.ring.isTaken(upTo: end)
            let now = memory.generation(of: side.other)
            // Otherwise it may be another process that has taken it.
            if now == present { break }
            present = now
        }
        if present > callee, isPast {
            // One that was succeeded has answered what it had taken.
            if memory.succeededGenerations(of: side.other).containsAll(from: callee, before: present) { return }
            throw error(.peerDied(generation: callee))
        }
        if isDead, isTaken || memory.options.undelivered == .drop || !isFollowed(.always) {
            throw error(.peerDied(generation: present))
        }
        if isStopping, !isDead, !isTaken { throw error(.peerStopping(generation: present)) }
    }

    /// Takes all replies, wakes their waiters, and makes the other end ring for the next one.
    func drainReplies() {
        var wakesSender = false
        // A peer that sends replies without a pause must not occupy the lock and the loop.
        var left = Self.mostPassedOver
        let (done, failure) = calls.withLock { state -> ([UInt64], ChannelError?) in
            // Of a closed end the replies are its successor's, in whatever process that is.
            guard state.process == ForkCount.current, !state.isClosed,
                !state.pending.isEmpty || !state.consumer.ring.isEmpty
            else { return ([], nil) }
            var done: [UInt64] = []
            repeat {
                while left > 0 {
                    left -= 1
                    let look = state.consumer.look()
                    if look == .corrupt { return (done, error(.corrupt("a record of the replies"))) }
                    guard case .record(let header) = look else { break }
                    guard let reply = takeReply(header, state.consumer) else {
                        return (done, error(.corrupt("a reply of another kind")))
                    }
                    wakesSender = state.consumer.advance(past: header) || wakesSender
                    // Late replies, and replies to a predecessor, have no waiter.
                    guard header.generation == state.generation, let waiting = state.pending[header.id], waiting == nil
                    else { continue }
                    state.pending[header.id] = reply
                    done.append(header.id)
                }
                // Also without waiters: late replies must not fill the ring, or the other end hangs in its answers.
            } while !state.consumer.ring.consumerFallsAsleep() && left > 0
            return (done, nil)
        }
        if wakesSender { memory.ringBell(of: side.other) }
        for id in done { waiters.wakeCall(id) }
        if left == 0 { memory.ringBell(of: side) }
        if failure != nil, !memory.isCorrupt { _ = corrupt("a record of the replies") }
    }

    private func takeReply(_ header: ByteRingHeader, _ consumer: ByteRingConsumer) -> CallReply? {
        guard header.type == .reply || header.type == .failure else { return nil }
        var reply: CallReply?
        func make(_ bytes: UnsafeRawBufferPointer, _ luggage: ArrivedLuggage?) -> CallReply {
            header.type == .failure
                ? .failure(String(copying: bytes)) : .value(header.carried(.borrowed(bytes), luggage))
        }
        if header.isByFile || header.descriptorCount > 0 {
            // Replies of predecessors are skipped, so that none is half taken.
            let failure = takeOutOfBand(header, consumer, .replies, mayBeMissing: false) { header, payload, descriptors in
                let (own, luggage) = header.divide(descriptors)
                for descriptor in own { closeForeignDescriptor(descriptor) }
                reply = payload.withBytes { make($0, luggage) }
            }
            if case .failed(let error) = failure { reply = .failed(error) }
        } else {
            reply = consumer.withPayload(of: header) { make($0, nil) }
        }
        return reply
    }

    /// Answers a call without a handler's doing.
    func refuse(_ call: ByteRingHeader, _ reason: String) {
        let bytes = Array(reason.utf8.prefix(1024))
        let header = ByteRingHeader(type: .failure, generation: call.generation, id: call.id)
        // Without room for it the caller's time runs out, which it must reckon with anyway.
        _ = replies.push(OutgoingRecord(header: header, bytes: bytes), ticket: nil)
    }
}
