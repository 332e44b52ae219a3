// Request and reply.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

extension Channel {
    /// Sends a message as a call and waits for the other end's answer.
    ///
    /// Calls arrive in order with the messages of this sender. At the other end, `onCall` or `receiveCall()` answers a
    /// call. An end that has never asked for calls refuses them. Each call is handled at most once. If a call fails
    /// here, it is not known whether the other end handled it.
    ///
    /// - Parameter timeout: for sending, handling and the answer together. An answer that comes later is thrown away.
    /// When the called process is asked to stop, it answers the calls that it has taken. A call that it has not taken
    /// waits for its successor. If there will be no successor, as at the end of the service, the call fails at once
    /// with `.peerStopping`.
    ///
    /// When the called process dies, the calls that it had taken fail at once with `.peerDied`. Others, and calls that are
    /// made after its death, wait for the next process of its slot (a worker, a managed process that is restarted). With
    /// `ChannelOptions.Undelivered.drop`, those wait that are made after it. As soon as no next process will come, they
    /// fail, too.
    ///
    /// - Throws: as `send`. `.timedOut`. `.peerDied`: the called process has died. `.peerStopping`: the call was not
    ///   handled and never will be. `.callFailed` if its handler has thrown, or the other end does not answer calls.
    public func call(_ message: Message, timeout: Duration) async throws -> Message {
        do { return try await reply(to: message, timeout) } catch { throw await sendingEnd.failure(error) }
    }

    private func reply(to message: Message, _ timeout: Duration) async throws -> Message {
        let end = sendingEnd
        let packed = try packed(message)
        let record = try packed.value.bytes.withUnsafeBytes { bytes in
            try end.outgoing(
                .init(type: .call, kind: packed.value.kind.rawValue), bytes, with: packed.luggage, on: end.messages)
        }
        switch try await end.call(record, until: .now + timeout) {
        case .value(let value): return try self.message(value)
        case .failure(let reason): throw end.error(.callFailed(reason))
        case .failed(let error): throw error
        }
    }

    /// Receives the next call, or waits for it. Active mode.
    ///
    /// Messages and calls come out in the order in which they were sent: a message in front of a call must be received
    /// first, by `receive`, and the other way round.
    ///
    /// - Parameter timeout: nil waits without a limit.
    /// - Throws: as `receive`.
    public func receiveCall(timeout: Duration? = nil) async throws -> ChannelCall<Message> {
        do { return try await nextCall(timeout) } catch { throw await end.failure(error) }
    }

    private func nextCall(_ timeout: Duration?) async throws -> ChannelCall<Message> {
        let end = end
        let deadline = timeout.map { MonotonicInstant.now + $0 }
        try end.answerCalls()
        while true {
            let epoch = end.waiters.epoch
            try end.checkStop()
            try await end.waitWhilePaused()
            if let (header, value) = try end.takeCopy(.call) { return try call(header, value) }
            try await end.wait(.receive, since: epoch, until: deadline) { end.mustWaitToReceive(.call) }
        }
    }

    func call(_ header: ByteRingHeader, _ value: CarriedValue?) throws -> ChannelCall<Message> {
        do {
            return ChannelCall(message: try message(value), channel: self, id: header.id, generation: header.generation)
        } catch {
            end.refuse(header, "\(error)")
            end.answered(.init(generation: header.generation, id: header.id))
            throw error
        }
    }

    func packed(_ message: Message) throws -> (value: StoredValue, luggage: Luggage.Packing) {
        var packed: (value: StoredValue, luggage: Luggage.Packing)?
        try pack(message) { packed = (StoredValue(kind: $0, bytes: Array($1)), $2) }
        return packed!  // `encode` has called its argument: it throws otherwise
    }
}

/// A call that waits for its answer.
public struct ChannelCall<Message: Codable & Sendable>: Sendable {
    /// What the caller sent.
    public let message: Message
    let channel: Channel<Message>
    let id: UInt64
    let generation: UInt64

    /// Answers the call, and waits while the ring to the caller is full. Call it once: the other end throws away a
    /// second answer, and one that comes too late.
    ///
    /// - Throws: as `Channel.send`.
    public func reply(_ message: Message) async throws {
        let (value, luggage) = try channel.packed(message)
        try await reply(.reply, value, luggage)
    }

    /// Lets the call fail at the other end with `.callFailed`.
    ///
    /// - Parameter reason: at most 1,024 bytes of it arrive.
    public func fail(_ reason: String) async throws {
        try await reply(.failure, StoredValue(kind: .string, bytes: Array(reason.utf8.prefix(1024))))
    }

    private func reply(
        _ type: ByteRingHeader.Kind, _ value: StoredValue, _ luggage: Luggage.Packing = Luggage.Packing()
    ) async throws {
        let end = channel.end
        defer { end.answered(.init(generation: generation, id: id)) }
        let header = ByteRingHeader(type: type, kind: value.kind.rawValue, generation: generation, id: id)
        let record = try value.bytes.withUnsafeBytes { try end.outgoing(header, $0, with: luggage, on: end.replies) }
        // The caller may be gone. The answer is then dropped.
        guard end.memory.generation(of: end.side.other) == generation else { return }
        try await end.send(record, until: nil, on: end.replies)
    }
}

extension ChannelEnd {
    /// From now on calls are no longer refused.
    func answerCalls() throws(ChannelError) {
        try attach()
        receiving.withLock {
            $0.adopt()
            $0.answersCalls = true
        }
    }

    /// Takes the next record as a copy, without the descriptors that it was sent with.
    func takeCopy(_ wanted: Wanted) throws(ChannelError) -> (ByteRingHeader, CarriedValue?)? {
        var copy: (ByteRingHeader, CarriedValue?)?
        _ = try take(wanted) { header, payload, descriptors in
            let (own, luggage) = header.divide(descriptors)
            for descriptor in own { closeForeignDescriptor(descriptor) }
            copy = (header, header.carried(payload, luggage))
        }
        return copy
    }

}
