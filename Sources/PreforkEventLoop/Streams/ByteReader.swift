// Reading a pipe or socket: as many bytes as there are, exactly so many, or up to a delimiter.

public import PreforkSystem

/// The reading end of a pipe or socket.
///
/// On its event loop a read is a plain call that suspends only when the kernel has no data. From any other executor it
/// goes to the loop and back. Every read throws `CancellationError` at once when its task is cancelled, and
/// `StreamError` for all else. Whatever a failed read had received stays readable.
///
/// One task reads at a time. A second read meanwhile throws `.readInProgress`.
///
/// Follows tornado's PipeIOStream / BaseIOStream (`read_bytes`, `read_into`, `read_until`, `read_until_close`).
public final class ByteReader: @unchecked Sendable {
    // Sendable: everything mutable is touched on the channel's loop only, and each public operation goes there first.
    let channel: StreamChannel
    /// What `ThreadLoop.current` is on the channel's loop: to compare it keeps no object alive.
    private let thread: UnsafeMutableRawPointer
    private let server: ConnectionSet?
    // Unchecked exclusivity. Proof: each access is one call of a method that calls no code outside of the buffer and of the
    // loop's pool, on the loop's thread.
    @exclusivity(unchecked) var buffer = ReadBuffer()
    private(set) var isReading = false
    private var hasEnded = false
    private var hasReceived = false
    private var hasReceivedWhileDraining = false
    private var fullReads = 0

    init(_ channel: StreamChannel, server: ConnectionSet? = nil) {
        self.channel = channel
        thread = Unmanaged.passUnretained(channel.loop).toOpaque()
        self.server = server
    }

    /// Takes over the reading end of a pipe, a terminal, or a socket, which becomes non-blocking.
    ///
    /// - Parameters:
    ///   - descriptor: closed by this object.
    ///   - loop: serves the reads. By default the caller's loop, or the shared one.
    public convenience init(adopting descriptor: Int32, on loop: EventLoop? = nil) throws(SystemError) {
        try setNonBlocking(descriptor)
        let loop = try EventLoop.chosen(loop)
        self.init(StreamChannel(owning: descriptor, kind: .init(of: descriptor), loop: loop))
    }

    /// Takes over a non-blocking descriptor of a known kind.
    package convenience init(owning descriptor: Int32, kind: StreamKind, on loop: EventLoop) {
        self.init(StreamChannel(owning: descriptor, kind: kind, loop: loop))
    }

    /// Whether no process can send any more, or this side is closed. What was sent may still wait. On the loop only.
    package var isWriterGone: Bool {
        assertOnLoop()
        return channel.isClosed || PreforkSystem.isWriterGone(channel.fd)
    }

    /// From now on the stream ends after what has been sent so far, whichever process still holds its other end. On the
    /// loop only.
    package func endAfterWaitingBytes() {
        assertOnLoop()
        channel.endAfterWaitingBytes()
    }

    /// How many bytes have arrived and were not read. On the loop only.
    public var bufferedCount: Int { buffer.count }

    /// Calls `body` with the bytes that have arrived and were not read. They stay unread (see `consume`).
    ///
    /// With `fill`, this lets parsers read bytes in place. On the loop only. The pointer must not leave the closure.
    @inlinable
    public func withBufferedBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        return try body(bufferedBytes)
    }

    /// Marks the first `count` buffered bytes as read. On the loop only.
    ///
    /// - Parameter count: in bytes. More than `bufferedCount`, or less than 0, is a mistake of the program and ends it.
    public func consume(_ count: Int) {
        assertOnLoop()
        buffer.consume(count)
    }

    /// Waits until more bytes have arrived than are buffered now.
    ///
    /// - Returns: false when the stream has ended and no more will come.
    public func fill() async throws -> Bool {
        try await exclusively { reader in try await reader.receive(atLeast: 1) }
    }

    /// As `fill`. Unlike in `waitForMessage`, a server that drains does not end the wait: the protocol has its own way to
    /// end the connection, as a WebSocket has.
    ///
    /// - Parameter isIdle: no message is in hand meanwhile.
    /// - Parameter mayMove: the protocol's server can pack the connection as it is now (`Connection.onHandover`), with what
    ///   is buffered here. False is returned, too, when another process has it (`Connection.isHandedOver`).
    package func fill(isIdle: Bool, mayMove: Bool = false) async throws -> Bool {
        try await exclusively { reader in
            if mayMove, try await reader.moves() { return false }
            return try await reader.receive(
                atLeast: 1, isBetweenMessages: isIdle, endsWithServer: false, mayMove: mayMove)
        }
    }

    /// Waits for the first byte of a message: the call to make between messages.
    ///
    /// A server that drains must not wait for clients that keep a connection open without a request. Only the protocol
    /// knows when that is so. The protocol says so by this call.
    ///
    /// Here a connection moves to another worker on a reload, if its server resumes connections (`serve(resuming:)`).
    ///
    /// - Returns: false if the stream has ended, if `serve` must end and no byte of a message has arrived, or if another
    ///   worker has the connection now (`Connection.isHandedOver`).
    public func waitForMessage() async throws -> Bool {
        try await exclusively { reader in
            if try await reader.moves() { return false }
            while reader.buffer.count == 0 {
                if reader.hasEnded { return false }
                let hasMore = try await reader.receive(atLeast: 1, isBetweenMessages: true, mayMove: true)
                if !hasMore { return false }
            }
            return true
        }
    }

    /// Whether the calling task may wait by `stepBetweenMessages`, or call `fillAsOwner`.
    package var isOwnedByCurrentTask: Bool { channel.loop.isCurrent && channel.isOwnedByCurrentTask }

    /// What the caller of a step does next.
    package enum WaitStep {
        /// What was waited for is there.
        case arrived
        /// The stream has ended, or `serve` must end.
        case over
        /// It calls again at once.
        case again
        /// It calls `giveTurn`, and then again.
        case giveTurn
        /// It suspends itself by `park`, hands the outcome to `endWait`, and calls again.
        case wait
    }

    /// A step of `waitForMessage`, in the task that `serve` runs for the connection, if no other task reads. The caller
    /// suspends by itself: without the way to the loop, and without a frame for each function that waits.
    ///
    /// - Parameter hasLookedAgain: false at the first step of a wait.
    package func stepBetweenMessages(_ hasLookedAgain: inout Bool) throws(StreamError) -> WaitStep {
        if buffer.count > 0 { return .arrived }
        switch try stepToFill() {
        case .over(let hasArrived): return hasArrived ? .arrived : .over
        case .again: return .again
        case .giveTurn: return .giveTurn
        case .wait:
            guard mayStillSend(&hasLookedAgain) else { return .again }
            return try channel.beginIdling() ? .wait : .again
        }
    }

    /// See `WaitStep.wait`.
    package func park(_ continuation: UnsafeContinuation<WaitOutcome, Never>) { channel.parkReader(continuation) }

    /// See `WaitStep.wait`.
    package func endWait(_ outcome: WaitOutcome) throws { try channel.endIdling(outcome) }

    /// See `WaitStep.giveTurn`.
    package func giveTurn() async throws { try await channel.giveTurn(to: channel.readers) }

    /// Whether the server asks its connections to move to another process: then `moves` comes before the next step.
    package var isAskedToMove: Bool { server?.round != nil }

    /// As `fill(isIdle:)`, in the task that `serve` runs for the connection, if no other task reads: without the way to
    /// the loop, and with one suspension instead of one for each layer.
    package func fillAsOwner(isIdle: Bool, mayMove: Bool = false) async throws -> Bool {
        try Task.checkCancellation()
        while true {
            if mayMove, isAskedToMove, try await moves() { return false }
            switch try stepToFill() {
            case .over(let hasMore): return hasMore
            case .again: break
            case .giveTurn: try await channel.giveTurn(to: channel.readers)
            case .wait where mayMove: try await channel.waitForChangeWhileIdleAsOwner(endsMark: isIdle)
            case .wait: try await channel.waitUntilReadableAsOwner(isIdle: isIdle)
            }
        }
    }

    private func stepToFill() throws(StreamError) -> ReadStep {
        if hasEnded { return .over(hasArrived: false) }
        // The usual case after an answer: no buffer is taken for a read that the kernel need not be asked for.
        if channel.mustWaitToRead {
            buffer.releaseIfEmpty(to: &channel.loop.chunks)
            return .wait
        }
        if channel.mustGiveTurnToRead { return .giveTurn }
        let room = buffer.space(atLeast: 1, from: &channel.loop.chunks)
        switch try channel.read(into: room) {
        case .bytes(let count):
            buffer.commit(count)
            noteRead(count, of: room.count)
            return .over(hasArrived: true)
        case .end:
            hasEnded = true
            buffer.releaseIfEmpty(to: &channel.loop.chunks)
            return .over(hasArrived: false)
        case .wouldBlock, nil:
            buffer.releaseIfEmpty(to: &channel.loop.chunks)
            return .wait
        }
    }

    private enum ReadStep {
        case over(hasArrived: Bool)
        case again, giveTurn, wait
    }

    /// Whether a draining server still waits for the first byte of a message.
    ///
    /// - Parameter hasLookedAgain: whether the kernel was polled once more after draining had begun.
    private func mayStillSend(_ hasLookedAgain: inout Bool) -> Bool {
        guard let server, !server.maySend(isFirst: !hasReceived, hasSent: hasReceivedWhileDraining) else { return true }
        // A request that arrived a moment before the stop is still answered.
        if hasLookedAgain { hasEnded = true }
        hasLookedAgain = true
        channel.assumeReadable()
        return false
    }

    /// Reads what has arrived, or waits for something to arrive.
    ///
    /// - Parameter count: at most so many bytes. Must be above zero.
    /// - Returns: at least one byte, or nil at the end of the stream.
    /// - Throws: `.badArgument` for a count that is not above zero.
    public func read(atMost count: Int) async throws -> [UInt8]? {
        guard count > 0 else { throw StreamError(.badArgument("read(atMost: \(count))")) }
        return try await exclusively { reader in
            try await reader.ensureBytes() ? reader.take(min(count, reader.buffer.count)) : nil
        }
    }

    /// Reads `count` bytes.
    ///
    /// - Throws: `.endOfStream` if the stream ends before. The bytes that came stay readable. `.badArgument` for a
    ///   count below zero.
    public func read(exactly count: Int) async throws -> [UInt8] {
        // The count may be a peer's word, such as the length in a head.
        guard count >= 0 else { throw StreamError(.badArgument("read(exactly: \(count))")) }
        return try await exclusively { reader in
            while reader.buffer.count < count {
                guard try await reader.receive(atLeast: count - reader.buffer.count) else {
                    throw StreamError(.endOfStream)
                }
            }
            return reader.take(count)
        }
    }

    /// Reads into the caller's memory, past the buffer when that is empty.
    ///
    /// - Parameter destination: must stay valid until the call returns.
    /// - Returns: how many bytes were read, at least one, or 0 at the end of the stream.
    /// - Throws: `.badArgument` for an empty destination.
    public func read(into destination: UnsafeMutableRawBufferPointer) async throws -> Int {
        guard destination.count > 0 else { throw StreamError(.badArgument("read(into:) with an empty buffer")) }
        let target = UncheckedBuffer(destination)
        return try await exclusively { reader in try await reader.receive(into: target.bytes) }
    }

    /// Reads up to and including `delimiter`.
    ///
    /// - Parameters:
    ///   - delimiter: one byte or more.
    ///   - limit: how many bytes the result may have, delimiter included. With zero or less, no result fits.
    /// - Throws: `.limitExceeded` if no delimiter is among the first `limit` bytes, `.endOfStream` if the stream ends
    ///   first. What has come stays readable in both cases. `.badArgument` for an empty delimiter.
    public func read(until delimiter: String, limit: Int) async throws -> [UInt8] {
        try await read(until: Array(delimiter.utf8), limit: limit)
    }

    /// Reads up to and including `delimiter`, as `read(until:limit:)` with a String.
    public func read(until delimiter: [UInt8], limit: Int) async throws -> [UInt8] {
        guard !delimiter.isEmpty else { throw StreamError(.badArgument("read(until:) with an empty delimiter")) }
        return try await exclusively { reader in
            var searched = 0
            while true {
                if let offset = reader.buffer.bytes.firstOffset(of: delimiter, from: searched) {
                    guard offset + delimiter.count <= limit else { throw StreamError(.limitExceeded(limit: limit)) }
                    return reader.take(offset + delimiter.count)
                }
                guard reader.buffer.count < limit else { throw StreamError(.limitExceeded(limit: limit)) }
                // The delimiter may have arrived in part.
                searched = max(0, reader.buffer.count - delimiter.count + 1)
                guard try await reader.receive(atLeast: 1) else { throw StreamError(.endOfStream) }
            }
        }
    }

    /// Reads everything until the stream ends.
    ///
    /// - Parameter limit: how many bytes that may be, 16 MiB by default. Zero accepts only an empty stream, and a
    ///   negative limit accepts no stream.
    /// - Throws: `.limitExceeded` if more comes. The first `limit` bytes and what came with them stay readable.
    public func readToEnd(limit: Int = 16 << 20) async throws -> [UInt8] {
        try await exclusively { reader in
            while reader.buffer.count <= limit {
                if try await !reader.receive(atLeast: 1) { return reader.take(reader.buffer.count) }
            }
            throw StreamError(.limitExceeded(limit: limit))
        }
    }

    /// Calls `body` once, on the loop, when the other side has closed its end, the connection broke, or this side was
    /// closed. Late registration still calls it. Unread bytes stay readable.
    public func onClose(_ body: @escaping @Sendable () -> Void) {
        let channel = channel
        channel.loop.execute {
            // A descriptor that cannot be watched will never be seen closing before this side closes it.
            try? channel.onClose(body)
        }
    }

    /// Closes the descriptor. A read that waits throws `.closed`.
    public func close() {
        let channel = channel
        channel.loop.execute { channel.close() }
    }
}

// How reads are made. All of it runs on the loop.
extension ByteReader {
    /// Runs one read on the loop, and no second one at the same time.
    func exclusively<Success: Sendable>(
        _ body: @escaping @Sendable (ByteReader) async throws -> Success
    ) async throws -> Success {
        guard channel.loop.isCurrent else {
            return try await channel.loop.run { _ in try await self.exclusively(body) }
        }
        if isReading { throw StreamError(.readInProgress) }
        try Task.checkCancellation()
        isReading = true
        defer { isReading = false }
        return try await body(self)
    }

    /// - Returns: false when nothing is buffered and the stream has ended.
    func ensureBytes() async throws -> Bool {
        if buffer.count > 0 { return true }
        return try await receive(atLeast: 1)
    }

    /// Adds bytes to the buffer, waiting for the first of them.
    ///
    /// - Parameters:
    ///   - wanted: room is made for so many bytes, but fewer may come.
    ///   - isBetweenMessages: no message has begun.
    ///   - endsWithServer: a server that drains ends a wait between messages.
    ///   - mayMove: the connection may move while it waits.
    /// - Returns: false at the end.
    func receive(
        atLeast wanted: Int, isBetweenMessages: Bool = false, endsWithServer: Bool = true, mayMove: Bool = false
    ) async throws -> Bool {
        var hasLookedAgain = false
        while !hasEnded {
            // Grown step by step, whatever was announced: memory follows what has really been sent.
            let wanted = min(wanted, max(ChunkPool.chunkSize, buffer.count))
            if channel.hasHadItsTurn { try await channel.giveTurn(to: channel.readers) }
            let room = buffer.space(atLeast: wanted, from: &channel.loop.chunks)
            switch try channel.read(into: room) {
            case .bytes(let count):
                buffer.commit(count)
                noteRead(count, of: room.count)
                return true
            case .end:
                hasEnded = true
            case .wouldBlock, nil:
                if mayMove, try await moves() {
                    break
                } else if endsWithServer {
                    try await waitForBytes(isIdle: isBetweenMessages || !hasReceived, hasLookedAgain: &hasLookedAgain)
                } else {
                    buffer.releaseIfEmpty(to: &channel.loop.chunks)
                    if mayMove {
                        try await channel.waitForChangeWhileIdle(endsMark: isBetweenMessages)
                    } else {
                        try await channel.waitUntilReadable(isIdle: isBetweenMessages)
                    }
                }
            }
        }
        buffer.releaseIfEmpty(to: &channel.loop.chunks)
        return false
    }

    /// - Parameters:
    ///   - isIdle: no message has begun, so that a draining server need not wait for this one.
    ///   - hasLookedAgain: whether the kernel was polled once more after draining had begun.
    private func waitForBytes(isIdle: Bool, hasLookedAgain: inout Bool) async throws {
        buffer.releaseIfEmpty(to: &channel.loop.chunks)
        guard isIdle, server != nil else { return try await channel.waitUntilReadable() }
        if mayStillSend(&hasLookedAgain) { try await channel.waitForChangeWhileIdle() }
    }

    /// Moves the connection, if this process gives its connections away now.
    ///
    /// - Returns: whether another process has it. Nothing can be read here then.
    package func moves() async throws -> Bool {
        guard let round = server?.round, !hasEnded,
            round.offer(channel, unread: buffer.bytes, hasReceived: hasReceived)
        else { return false }
        guard try await channel.waitForAnswer() else { return false }
        buffer.consume(buffer.count)
        buffer.releaseIfEmpty(to: &channel.loop.chunks)
        hasEnded = true
        return true
    }

    /// Goes on where another process has stopped.
    func resume(unread: [UInt8], hasReceived: Bool) {
        buffer.prepend(unread[...], from: &channel.loop.chunks)
        self.hasReceived = hasReceived
    }

    private func receive(into destination: UnsafeMutableRawBufferPointer) async throws -> Int {
        if buffer.count > 0 {
            let count = min(buffer.count, destination.count)
            destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer.bytes.prefix(count)))
            buffer.consume(count)
            return count
        }
        var hasLookedAgain = false
        while !hasEnded {
            if channel.hasHadItsTurn { try await channel.giveTurn(to: channel.readers) }
            switch try channel.read(into: destination) {
            case .bytes(let count):
                noteRead(count, of: destination.count)
                return count
            case .end:
                hasEnded = true
            case .wouldBlock, nil:
                try await waitForBytes(isIdle: !hasReceived, hasLookedAgain: &hasLookedAgain)
            }
        }
        return 0
    }

    /// A writer that keeps filling what it is offered gets a larger pipe and a larger buffer: fewer wake-ups for both.
    private func noteRead(_ count: Int, of room: Int) {
        hasReceived = true
        if let server, server.isDraining { hasReceivedWhileDraining = true }
        guard count == room, fullReads < 4, channel.kind == .pipe else { return }
        fullReads += 1
        guard fullReads == 4 else { return }
        channel.enlargePipe()
        buffer.becomeLarge()
    }

    func take(_ count: Int) -> [UInt8] {
        let bytes = [UInt8](buffer.bytes.prefix(count))
        buffer.consume(count)
        return bytes
    }

    @usableFromInline
    var bufferedBytes: UnsafeRawBufferPointer {
        assertOnLoop()
        return buffer.bytes
    }

    private func assertOnLoop() {
        // The program's code decides which thread calls, not its input. Continuing would be a data race.
        precondition(ThreadLoop.current == thread, "buffered bytes are looked at on the reader's own event loop")
    }
}

/// Proof: the caller of `read(into:)` keeps the memory valid until the call returns, and awaits it.
private struct UncheckedBuffer: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ bytes: UnsafeMutableRawBufferPointer) {
        self.bytes = bytes
    }
}
