// Receiving messages when the program asks for them.

import PreforkEventLoop
public import PreforkStore
import PreforkSystem

extension Channel {
    /// Receives the next message, or waits for it.
    ///
    /// The death of the other end's process is thrown as `.peerDied`, once, after everything that it had sent. The next
    /// call waits for its successor. When this process is asked to stop, `.stopping` is thrown, also to calls that wait
    /// already: messages that arrive later are for a successor. A `call` that was made still gets its answer.
    ///
    /// - Throws: `ChannelError`: `.closed`, `.stopping`, `.peerDied`, `.modeConflict`, `.decode` (that message is
    ///   gone), `.endInUse`, `.corrupt`, `.busy`, `.system` (the message stays). `CancellationError` if it was
    ///   cancelled while it waited. `.notAChannel`, `WorkQueueError` `.notAQueue` or `StoreError` `.notAStore` for an
    ///   invalid handle inside of the message (that message is gone).
    @inlinable
    public func receive() async throws -> Message {
        // Not by `receive(timeout:)`: a frame more in the most frequent form.
        let end = end
        do {
            if let message = try take(from: end, unlessStopping: true) {
                if end.isTurnOver { await end.giveTurn() }
                return message
            }
            return try await receiveLater(timeout: nil)
        } catch {
            throw await end.failure(error)
        }
    }

    /// As `receive`, for at most `timeout`, which then throws `.timedOut`.
    @inlinable
    public func receive(timeout: Duration) async throws -> Message {
        let end = end
        do {
            if let message = try take(from: end, unlessStopping: true) {
                if end.isTurnOver { await end.giveTurn() }
                return message
            }
            return try await receiveLater(timeout: timeout)
        } catch {
            throw await end.failure(error)
        }
    }

    /// The next message if it is there.
    ///
    /// - Throws: as `receive`, without `.stopping`: a process that stops can still take messages by this. `.peerDied`
    ///   only if the death is known from an earlier wait or by a successor.
    @inlinable
    public func tryReceive() throws -> Message? { try take(from: end, unlessStopping: false) }

    /// One call into the end for both: to look it up and keep it alive costs a tenth of a message. The end asks for the
    /// stop: the compiler (6.3.1) crashes in clients when an inlinable async function does that behind a condition.
    @inlinable
    func take(from end: ChannelEnd, unlessStopping: Bool) throws -> Message? {
        var message: Message?
        var other: UndecodedMessage?
        let taken = try end.takeMessage(unlessStopping: unlessStopping) { kind, payload, luggage in
            // Runs under the end's lock: a codec, of which it is not known what it does, must wait.
            guard isDirect else { return other = UndecodedMessage(kind, payload, luggage) }
            do {
                message = try read(kind, payload)
            } catch {
                other = UndecodedMessage(kind, error)
            }
        }
        guard taken else { return nil }
        if let message { return message }
        return try decode(other)
    }

    /// As `receive`, for plain threads: blocks the thread.
    ///
    /// - Parameter timeout: after it, `.timedOut` is thrown. If nil, it waits without a limit.
    /// - Throws: as `receive`, and `.onEventLoop` on a loop's thread.
    public func receiveBlocking(timeout: Duration? = nil) throws -> Message {
        if EventLoop.current != nil { throw end.error(.onEventLoop) }
        let deadline = timeout.map { MonotonicInstant.now + $0 }
        while true {
            let epoch = end.waiters.epoch
            ProcessStop.readSignals()
            try end.checkStop()
            if let message = try tryReceive() { return message }
            try end.waitBlocking(.receive, since: epoch, until: deadline) { end.mustWaitToReceive(.message) }
        }
    }

    @usableFromInline
    func receiveLater(timeout: Duration?) async throws -> Message {
        let end = end
        let deadline = timeout.map { MonotonicInstant.now + $0 }
        while true {
            let epoch = end.waiters.epoch
            try end.checkStop()
            try await end.waitWhilePaused()
            if let message = try tryReceive() { return message }
            try await end.wait(.receive, since: epoch, until: deadline) { end.mustWaitToReceive(.message) }
        }
    }

    /// The most frequent types by themselves: where the compiler knows the type, nothing else is left of this.
    @inlinable
    func read(_ kind: ValueKind, _ payload: TakenPayload) throws -> Message {
        if Message.self == [UInt8].self, kind == .bytes {
            switch payload {
            case .borrowed(let bytes): return unsafeBitCast(Array(bytes), to: Message.self)
            case .owned(let bytes): return unsafeBitCast(bytes, to: Message.self)
            }
        }
        if Message.self == String.self, kind == .string {
            return payload.withBytes { unsafeBitCast(String(copying: $0), to: Message.self) }
        }
        return try payload.withBytes { try decode(kind, $0) }
    }

    @usableFromInline
    func decode(_ message: UndecodedMessage?) throws -> Message {
        guard let message else { throw end.error(.decode("\(UndecodedMessage.Missing())")) }
        if let error = message.error { throw end.error(.decode("\(error)")) }
        return try unpack(message.luggage, message.kind, message.bytes)
    }
}

extension String {
    /// The text in `bytes`, with replacements for invalid UTF-8. They are copied first: `String(decoding:)` checks
    /// first and copies then, so that a malicious sender could slip in unchecked bytes.
    @inlinable
    init(copying bytes: UnsafeRawBufferPointer) {
        self.init(unsafeUninitializedCapacity: bytes.count) { buffer in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: bytes)
            return bytes.count
        }
    }
}

/// A message between the ring and its codec, which runs when the lock is released.
@usableFromInline
struct UndecodedMessage: Sendable {
    struct Missing: Error {}

    let kind: ValueKind
    var bytes: [UInt8] = []
    var luggage: ArrivedLuggage?
    /// Why it cannot be read.
    var error: (any Error)?

    @usableFromInline
    init(_ kind: ValueKind, _ payload: TakenPayload, _ luggage: ArrivedLuggage?) {
        self.kind = kind
        self.luggage = luggage
        bytes = payload.array
    }

    @usableFromInline
    init(_ kind: ValueKind, _ error: any Error) {
        self.kind = kind
        self.error = error
    }
}

extension ChannelEnd {
    /// Until it is known whether another image of the program takes this process over: what was not taken is for that
    /// one.
    func waitWhilePaused() async throws {
        while DrivenLoops.isTakingPaused { try await EventLoop.sleep(for: .milliseconds(20)) }
    }

    /// Takes the next message, without its descriptors.
    @usableFromInline
    func takeMessage(
        unlessStopping: Bool, _ body: (ValueKind, TakenPayload, ArrivedLuggage?) -> Void
    ) throws(ChannelError) -> Bool {
        if unlessStopping {
            try checkStop()
            if DrivenLoops.isTakingPaused { return false }
        }
        var isUnknown = false
        let taken = try take(.message) { header, payload, descriptors in
            var luggage: ArrivedLuggage?
            if !descriptors.isEmpty {
                let parts = header.divide(descriptors)
                for descriptor in parts.own { closeForeignDescriptor(descriptor) }
                luggage = parts.luggage
            }
            if let kind = ValueKind(rawValue: header.kind) { body(kind, payload, luggage) } else { isUnknown = true }
        }
        if isUnknown { throw error(.decode("a value of an unknown kind")) }
        return taken
    }
}
