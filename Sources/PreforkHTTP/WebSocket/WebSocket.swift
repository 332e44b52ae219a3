// An open WebSocket: messages in and out on one connection.

import PreforkEventLoop
public import PreforkSystem

/// A WebSocket that was opened: `for try await` gives its messages, `send` sends some.
///
/// ```swift
/// for try await message in socket {
///     try await socket.send(message)
/// }
/// ```
///
/// The messages end when the peer closes with 1000, 1001 or without a code, and when this side closes. Any other end is
/// a `WebSocketError`. This follows Python's `websockets`.
///
/// Backpressure works in both directions. `send` returns when the kernel has taken the message. While further messages of
/// the peer are there already, up to 8 KiB wait to go out together, at the latest when no task of the loop can run
/// without news. A message that the handler does not take stays in the kernel after the one that was read ahead, and the
/// peer has to wait. Pings are answered, and closing is noticed, while the handler waits for a message, and also while it
/// only sends. A handler that does neither lets the peer wait for `WebSocketOptions.pingInterval` at most.
///
/// One task takes messages at a time. Any number of tasks may send: their messages do not mix.
///
/// When the worker drains, the socket is closed with 1001.
public final class WebSocket: AsyncSequence, @unchecked Sendable {
    // Sendable: everything mutable is touched on the connection's loop only, and each public operation goes there first.
    public typealias Element = WebSocketMessage

    /// Where the conversation stands.
    enum Phase {
        case open
        /// This side has sent its close frame and waits for the peer's.
        case closing
        case over(End)
    }

    /// How it ended.
    enum End {
        /// It goes on in another worker.
        case handedOver
        /// By close frames of both sides: this side's was the first.
        case closedHere
        /// By the peer's close frame.
        case closedByPeer(WebSocketCloseCode, reason: String)
        case failed(WebSocketError)
    }

    /// The application protocol that was selected, if the client has offered any that the handler speaks.
    public let subprotocol: String?
    /// The limits and times of this socket.
    public let options: WebSocketOptions
    let connection: Connection
    let loop: EventLoop
    let role: WebSocketRole
    // Unchecked exclusivity, here and below. Proof: each access is one call of a value's method or one assignment on the
    // loop's thread, and none of these methods calls code outside of the value.
    @exclusivity(unchecked) var reader: WebSocketMessageReader
    @exclusivity(unchecked) private(set) var phase = Phase.open
    /// Whether a task is taking messages.
    private(set) var isTaken = false
    /// Whether a task reads from the connection, for whichever purpose.
    private(set) var isReading = false
    /// A message that was read while the handler did not wait for one.
    @exclusivity(unchecked) private(set) var pending: WebSocketMessage?
    /// Reads while the handler does not: until one message is there, or the socket is over.
    private var readingAhead: Task<Void, Never>?
    private let aheadWaiter: WaitSlot
    /// How many messages the handler has sent since it last waited for one.
    private var sentSinceTaken = 0
    /// Frames that the kernel does not have yet.
    @exclusivity(unchecked) var output = OutputBuffer()
    /// What the output must not lose: messages whose `send` has returned, or the rest of a frame that has begun.
    var isOutputOwed = false
    var isFlushDue = false
    /// Sends what the kernel has not taken at the end of a turn.
    var flushing: Task<Void, Never>?
    /// How many tasks wait for the peer to take what they send.
    var writes = 0
    /// How often bytes have come from the peer.
    private(set) var receipts = 0
    var lastReceipt = MonotonicInstant.coarseNow
    var times = WebSocketTimes()
    /// See `handoverState`.
    var ownHandoverState: HandoverClosure?
    /// How it can move. nil if it cannot.
    var mover: WebSocketMover?
    /// What came with a socket that has moved here.
    var resumed: (version: UInt32, program: [UInt8]?)?
    /// With which code a handler that throws ends.
    var closesAfterError = WebSocketCloseCode.internalError

    /// - Parameter connection: on the calling loop, after the handshake.
    init(
        _ connection: Connection, role: WebSocketRole, subprotocol: String? = nil, _ options: WebSocketOptions
    ) {
        self.connection = connection
        self.role = role
        self.subprotocol = subprotocol
        self.options = options
        loop = connection.loop
        aheadWaiter = WaitSlot(loop: loop)
        reader = WebSocketMessageReader(
            role: role, maxSize: options.maxMessageSize, maxFragments: options.maxFragments)
    }

    /// How the peer has closed, or nil while it has not. `.noStatus` if it did without a code.
    ///
    /// On the loop only, where handlers run.
    public var closeCode: WebSocketCloseCode? {
        guard case .over(.closedByPeer(let code, _)) = phase else { return nil }
        return code
    }

    /// The peer's address. Behind a proxy, the proxy's.
    public var peer: SocketAddress { connection.peer }

    /// The messages of a socket. All iterators of a socket take from the same messages.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let socket: WebSocket

        /// - Returns: the next message, or nil when the socket was closed in order.
        /// - Throws: `WebSocketError` for any other end, `CancellationError`. A cancelled call loses no message.
        public mutating func next() async throws -> WebSocketMessage? { try await socket.next() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(socket: self) }

    private func next() async throws -> WebSocketMessage? {
        guard loop.isCurrent else { return try await loop.run { _ in try await self.next() } }
        if isTaken { throw WebSocketError(.readInProgress) }
        isTaken = true
        defer { isTaken = false }
        sentSinceTaken = 0
        while true {
            if let message = pending {
                pending = nil
                return message
            }
            guard readingAhead != nil else { return try await readMessage() }
            // The connection moves while its handler reads. The task that has read ahead may have been asked before.
            if loop.stopRequest.isRequested { connection.interruptReading() }
            if await aheadWaiter.wait() == .cancelled { throw CancellationError() }
        }
    }

    /// Sends a text message.
    ///
    /// - Throws: `WebSocketError` (`.closed` and `.closedByPeer` after the end, `.lost` if the connection breaks),
    ///   `CancellationError`. If a cancelled send was half-way, the connection is lost for further ones.
    public func send(_ text: String) async throws {
        guard loop.isCurrent else { return try await loop.run { _ in try await self.send(text) } }
        try beginSending()
        var text = text
        if try !text.withUTF8({ try sendNow(.text, UnsafeRawBufferPointer($0), mayWait: true) }) { try await sendRest() }
    }

    /// Sends a binary message. Throws as `send` of a text.
    public func send(_ bytes: [UInt8]) async throws {
        guard loop.isCurrent else { return try await loop.run { _ in try await self.send(bytes) } }
        try beginSending()
        if try !bytes.withUnsafeBytes({ try sendNow(.binary, $0, mayWait: true) }) { try await sendRest() }
    }

    /// Sends a message of either kind. Throws as `send` of a text.
    public func send(_ message: WebSocketMessage) async throws {
        switch message {
        case .text(let text): try await send(text)
        case .binary(let bytes): try await send(bytes)
        }
    }

    /// Sends a ping. The answer is a sign of life, and is not waited for. The server sends pings by itself, too.
    ///
    /// - Parameter payload: at most 125 bytes.
    /// - Throws: as `send`, and `.badArgument`.
    public func ping(_ payload: [UInt8] = []) async throws {
        guard loop.isCurrent else { return try await loop.run { _ in try await self.ping(payload) } }
        guard payload.count <= WebSocketFrameHead.maxControlPayload else {
            throw WebSocketError(.badArgument("a ping with \(payload.count) bytes"))
        }
        try checkOpen()
        try await write(.ping, payload)
    }

    /// Closes: sends the close frame. The handler may return then. The peer's answer is waited for after it, for
    /// `WebSocketOptions.closeTimeout`. Messages that still come are discarded.
    ///
    /// Has no effect on a socket that is closed or closing.
    ///
    /// - Parameters:
    ///   - code: one that may be sent (`WebSocketCloseCode.maySend`).
    ///   - reason: at most 123 bytes of UTF-8.
    /// - Throws: `.badArgument`, `CancellationError`. A connection that breaks is closed, too, and no error.
    public func close(code: WebSocketCloseCode = .normal, reason: String = "") async throws {
        guard code.maySend else { throw WebSocketError(.badArgument("close code \(code)")) }
        guard reason.utf8.count <= WebSocketFrameHead.maxControlPayload - 2 else {
            throw WebSocketError(.badArgument("a close reason of \(reason.utf8.count) bytes"))
        }
        guard loop.isCurrent else {
            return try await loop.run { _ in try await self.close(code: code, reason: reason) }
        }
        try Task.checkCancellation()
        await beginClosing(code, reason)
        readAhead()
    }

    func checkOpen() throws(WebSocketError) {
        switch phase {
        case .open: return
        case .closing, .over(.closedHere): throw WebSocketError(.closed)
        case .over(.handedOver): throw WebSocketError(.handedOver)
        case .over(.closedByPeer(let code, let reason)):
            throw WebSocketError(.closedByPeer(code, reason: reason))
        case .over(.failed(let error)): throw error
        }
    }

    /// A handler that sends again without having waited for a message would not notice a close frame: then this side
    /// reads ahead.
    private func beginSending() throws {
        try checkOpen()
        try Task.checkCancellation()
        sentSinceTaken &+= 1
        if sentSinceTaken > 1 { readAhead() }
    }

    /// The connection broke, or was closed by a time limit.
    func lose(_ error: StreamError?) {
        end(connection.isHandedOver ? .handedOver : .failed(WebSocketError(.lost, error)))
    }

    /// The first end counts.
    func end(_ end: End) {
        if case .over = phase { return }
        phase = .over(end)
        stopKeepAlive()
        // A peer that has broken the protocol must be able to read why: see `finish`. The close timer runs on.
        if case .failed(let error) = end, case .violation = error.code { return }
        stopCloseTimer()
        connection.close()
    }
}

// Reading.
extension WebSocket {
    /// Reads until a message is there. After this side has begun to close, messages are discarded.
    ///
    /// - Returns: nil when the socket was closed in order.
    private func readMessage() async throws -> WebSocketMessage? {
        isReading = true
        defer { isReading = false }
        while true {
            switch readStep() {
            case .message(let message): return message
            case .control(let event): try await handle(event)
            case .violation(let violation): await fail(violation)
            case .over(let end): return try Self.outcome(of: end)
            case .more: try await receive()
            }
        }
    }

    /// Waits for more bytes of the peer. What waits to be sent goes first.
    private func receive() async throws {
        do {
            if output.count > 0, try !flushNow() { try await sendRest() }
            let reader = connection.reader
            let isIdle = self.reader.isBetweenMessages
            // Without the way through the loop, and with one suspension, in the task that has the connection.
            let hasMore =
                reader.isOwnedByCurrentTask
                ? try await reader.fillAsOwner(isIdle: isIdle, mayMove: true)
                : try await reader.fill(isIdle: isIdle, mayMove: true)
            if hasMore { noteReceipt() } else { lose(nil) }
        } catch let error as StreamError {
            lose(error)
        } catch is WebSocketError {
            // The socket is over: the next step says how.
        }
    }

    private static func outcome(of end: End) throws(WebSocketError) -> WebSocketMessage? {
        switch end {
        case .closedHere, .handedOver: return nil
        case .closedByPeer(let code, _) where code.isOrderly: return nil
        case .closedByPeer(let code, let reason): throw WebSocketError(.closedByPeer(code, reason: reason))
        case .failed(let error): throw error
        }
    }

    private func noteReceipt() {
        receipts &+= 1
        lastReceipt = .coarseNow
    }

    private enum ReadStep {
        case message(WebSocketMessage)
        case control(WebSocketEvent)
        case violation(WebSocketViolation)
        /// More bytes must come.
        case more
        case over(End)
    }

    /// What the bytes that have arrived hold.
    private func readStep() -> ReadStep {
        while true {
            if case .over(let end) = phase { return .over(end) }
            if connection.reader.bufferedCount == 0 { return .more }
            do throws(WebSocketViolation) {
                var consumed = 0
                defer { connection.reader.consume(consumed) }
                let event = try connection.reader.withBufferedBytes { bytes throws(WebSocketViolation) in
                    try reader.next(bytes, consumed: &consumed)
                }
                switch event {
                case .message(let message):
                    if case .open = phase { return .message(message) }
                case .some(let control): return .control(control)
                case nil: return .more
                }
            } catch {
                return .violation(error)
            }
        }
    }

    private func handle(_ event: WebSocketEvent) async throws {
        switch event {
        case .ping(let payload):
            if case .open = phase { try await write(.pong, payload) }
        case .close(let code, let reason): await closedByPeer(code, reason)
        case .message, .pong: break
        }
    }

    private func closedByPeer(_ code: WebSocketCloseCode, _ reason: String) async {
        if case .closing = phase { return end(.closedHere) }
        phase = .closing
        armCloseTimer()
        await writeClose(code, "")
        end(.closedByPeer(code, reason: reason))
    }

    /// Tells the peer what it has broken (RFC 6455, section 7.1.7).
    private func fail(_ violation: WebSocketViolation) async {
        if case .open = phase {
            phase = .closing
            armCloseTimer()
            await writeClose(violation.code, violation.reason)
        }
        end(.failed(WebSocketError(.violation(violation.code, reason: violation.reason))))
    }

    /// Sends this side's close frame, once.
    func beginClosing(_ code: WebSocketCloseCode, _ reason: String) async {
        guard case .open = phase else { return }
        phase = .closing
        armCloseTimer()
        await writeClose(code, reason)
    }

    private func writeClose(_ code: WebSocketCloseCode, _ reason: String) async {
        // A connection that is lost has its end from `write`. A cancelled task leaves the rest to the close timer.
        try? await write(.close, WebSocketFrameHead.closePayload(code, reason))
    }

    /// Reads in the background until a message is there or the socket is over, if no other code reads.
    func readAhead() {
        guard !isReading, readingAhead == nil, pending == nil else { return }
        if case .over = phase { return }
        readingAhead = Task(executorPreference: loop.preference) { [self] in
            // An error is the socket's end, which the next call throws, too.
            pending = try? await readMessage()
            readingAhead = nil
            aheadWaiter.resume(.ready)
        }
    }

    /// Whether a sign of life of the peer would be seen.
    var canHear: Bool { pending == nil }

    /// Ends the socket after its handler: closes, waits for the peer's answer, and lets a peer that has broken the
    /// protocol read why.
    func finish(_ code: WebSocketCloseCode) async {
        await beginClosing(code, "")
        while case .closing = phase {
            pending = nil
            if let readingAhead {
                await readingAhead.value
            } else if isReading {
                // A task that the handler has left behind reads. The close timer ends that.
                break
            } else if options.closeTimeout <= .zero {
                end(.closedHere)
            } else {
                do { _ = try await readMessage() } catch { if error is CancellationError { end(.closedHere) } }
            }
        }
        if case .over(.failed(let error)) = phase, case .violation = error.code, !isReading {
            try? await connection.closeGently(timeout: Swift.min(options.closeTimeout, .seconds(2)))
        }
        stopCloseTimer()
        connection.close()
        await readingAhead?.value
        await flushing?.value
        await times.pinging?.value
    }
}
