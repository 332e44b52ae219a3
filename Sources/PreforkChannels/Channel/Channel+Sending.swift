// Sending messages.

import PreforkEventLoop
public import PreforkStore
import PreforkSystem

extension Channel {
    /// Sends a message. While the ring is full, it waits behind the senders of this process that wait already.
    ///
    /// Returns when the message is in the ring, not when it has been received.
    ///
    /// - Throws: `ChannelError`: `.closed`, `.peerDied` if it would have to wait for a process that is dead and has no
    ///   successor to come, `.tooLarge`, `.endInUse`, `.corrupt`, `.busy`, `.system`. `CancellationError` if the task was
    ///   cancelled while it waited. What the codec throws. In all cases nothing was sent.
    @inlinable
    public func send(_ message: Message) async throws {
        // As `send(_:_:)` below, whose frame would cost the most frequent form three hundredths of its messages. The end
        // is asked for once: each time costs a hundredth.
        let end = sendingEnd
        do {
            if let record = try trySend(message, at: end, passing: []) {
                try await end.sendLater(record, timeout: nil)
            } else if end.isTurnOver {
                await end.giveTurn()
            }
        } catch {
            throw await end.failure(error)
        }
    }

    /// As `send`, for at most `timeout`, which then throws `.timedOut`.
    @inlinable
    public func send(_ message: Message, timeout: Duration) async throws {
        try await send(timeout) { try trySend(message, passing: []) }
    }

    /// Sends a message if that is possible without waiting.
    ///
    /// - Returns: false when the ring is full, or others wait for room.
    /// - Throws: as `send`, without `.peerDied`.
    @inlinable
    public func trySend(_ message: Message) throws -> Bool {
        try trySend(message, passing: []) == nil
    }

    /// As `send`, for plain threads: blocks the thread.
    ///
    /// - Parameter timeout: after it, `.timedOut` is thrown. If nil, it waits without a limit.
    /// - Throws: as `send`, and `.onEventLoop` on a loop's thread.
    public func sendBlocking(_ message: Message, timeout: Duration? = nil) throws {
        if EventLoop.current != nil { throw sendingEnd.error(.onEventLoop) }
        if let record = try trySend(message, passing: []) {
            try sendingEnd.sendBlocking(record, until: timeout.map { .now + $0 })
        }
    }

    /// Sends a message with descriptors. They stay the caller's, and must stay open until this returns. The other end
    /// gets copies, by `receivePassed()`. Any other way of receiving closes them.
    ///
    /// - Parameter descriptors: at most 253, or 252 with a message that is larger than a quarter of the ring.
    ///   Descriptors of handles inside of the message count, too (a channel has 7, a queue 3, a store 2).
    /// - Throws: as `send`, and `.tooManyDescriptors`.
    @inlinable
    public func send(_ message: Message, passing descriptors: [Int32]) async throws {
        try await send(nil) { try trySend(message, passing: descriptors) }
    }

    /// Tries, then waits for room, or lets other tasks run when this one has sent for long without waiting.
    @inlinable
    func send(_ timeout: Duration?, _ attempt: () throws -> OutgoingRecord?) async throws {
        do {
            if let record = try attempt() {
                try await sendingEnd.sendLater(record, timeout: timeout)
            } else if sendingEnd.isTurnOver {
                await sendingEnd.giveTurn()
            }
        } catch {
            throw await sendingEnd.failure(error)
        }
    }

    /// - Returns: the message that must wait. If nil, it is sent.
    @inlinable
    func trySend(_ message: Message, passing descriptors: [Int32]) throws -> OutgoingRecord? {
        try trySend(message, at: sendingEnd, passing: descriptors)
    }

    /// - Parameter end: `sendingEnd`.
    @inlinable
    func trySend(_ message: Message, at end: ChannelEnd, passing descriptors: [Int32]) throws -> OutgoingRecord? {
        // Handles of other channels, which travel with a message, are inside of types that need a codec.
        if !isDirect { return try trySendCoded(message, passing: descriptors) }
        // The most frequent type by itself: where the compiler knows it, no closure is left between it and the ring.
        if Message.self == [UInt8].self {
            return try unsafeBitCast(message, to: [UInt8].self).withUnsafeBytes { bytes in
                try end.trySend(.bytes, bytes, passing: descriptors)
            }
        }
        var record: OutgoingRecord?
        var failure: ChannelError?
        // The codec has done its work when the closure is called: it never runs under a lock.
        try encode(message) { kind, bytes in
            do throws(ChannelError) {
                record = try end.trySend(kind, bytes, passing: descriptors)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return record
    }

    /// As above, for a message that its codec may have handles in.
    @usableFromInline
    func trySendCoded(_ message: Message, passing descriptors: [Int32]) throws -> OutgoingRecord? {
        let end = sendingEnd
        var record: OutgoingRecord?
        var failure: ChannelError?
        try pack(message) { kind, bytes, luggage in
            do throws(ChannelError) {
                record = try end.trySend(kind, bytes, passing: descriptors, with: luggage)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return record
    }
}
