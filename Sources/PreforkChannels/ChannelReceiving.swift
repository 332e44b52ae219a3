// Receiving messages when the program asks for them.

import PreforkEventLoop
import PreforkStore
import PreforkSystem

extension Channel {
    /// Receives the next message; waits for it.
    ///
    /// The death of the other end's process is thrown as `.peerDied`, once, after everything it had sent; the next call
    /// waits for its successor.
    ///
    /// - Throws: `ChannelError`: `.closed`, `.peerDied`, `.modeConflict`, `.decode` (that message is gone), `.endInUse`,
    ///   `.corrupt`, `.busy`, `.system` (the message stays); `CancellationError` when it was cancelled while it waited.
    public func receive() async throws -> Message {
        if let message = try tryReceive() { return message }
        return try await receive(until: nil)
    }

    /// As `receive`, for at most `timeout`, which then throws `.timedOut`.
    public func receive(timeout: Duration) async throws -> Message {
        if let message = try tryReceive() { return message }
        return try await receive(until: .now + timeout)
    }

    /// The next message if it is there.
    ///
    /// - Throws: as `receive`; `.peerDied` only when the death is known from an earlier wait or by a successor.
    public func tryReceive() throws -> Message? {
        var taken = TakenMessage<Message>.nothing
        let end = end
        guard try end.take(.message, { header, bytes, descriptors in
            taken = take(header, bytes)
            for descriptor in descriptors { closeDescriptor(descriptor) }
        }) else { return nil }
        return try decode(taken, end)
    }

    /// As `receive`, for plain threads: blocks the thread.
    ///
    /// - Parameter timeout: nil waits for ever; after it `.timedOut` is thrown.
    /// - Throws: as `receive`, and `.onEventLoop` on a loop's thread.
    public func receiveBlocking(timeout: Duration? = nil) throws -> Message {
        if EventLoop.current != nil { throw end.error(.onEventLoop) }
        let deadline = timeout.map { MonotonicInstant.now + $0 }
        while true {
            let epoch = end.waiters.epoch
            if let message = try tryReceive() { return message }
            try end.waitBlocking(.receive, since: epoch, until: deadline) { end.mustWaitToReceive(.message) }
        }
    }

    private func receive(until deadline: MonotonicInstant?) async throws -> Message {
        let end = end
        while true {
            let epoch = end.waiters.epoch
            if let message = try tryReceive() { return message }
            try await end.wait(.receive, since: epoch, until: deadline) { end.mustWaitToReceive(.message) }
        }
    }

    // MARK: Bytes to messages

    /// Copies what is needed out of the shared memory. Runs under the end's lock.
    @inline(__always)
    func take(_ header: ByteRingHeader, _ bytes: UnsafeRawBufferPointer) -> TakenMessage<Message> {
        guard let kind = ValueKind(rawValue: header.kind) else { return .unknown(header.kind) }
        guard isDirect else { return .bytes(StoredValue(kind: kind, bytes: Array(bytes))) }
        do {
            return .message(try coding.decode(kind, bytes))
        } catch {
            return .failed(error)
        }
    }

    @inline(__always)
    func decode(_ taken: TakenMessage<Message>, _ end: ChannelEnd) throws -> Message {
        switch taken {
        case .message(let message): return message
        case .bytes(let value):
            do {
                return try value.bytes.withUnsafeBytes { try coding.decode(value.kind, $0) }
            } catch {
                throw end.error(.decode("\(error)"))
            }
        case .failed(let error): throw end.error(.decode("\(error)"))
        case .unknown(let kind): throw end.error(.decode("a value of kind \(kind)"))
        case .nothing: throw end.error(.decode("nothing"))
        }
    }
}

/// A message between the ring and its receiver.
enum TakenMessage<Message> {
    case nothing
    case message(Message)
    /// For a codec, which runs when the lock is released.
    case bytes(StoredValue)
    case unknown(UInt8)
    case failed(any Error)
}
