// An accepted connection.

public import PreforkSystem

/// A connected stream socket: the peer's address, and both directions.
///
/// It belongs to the event loop that accepted it. `serve` closes it when its handler returns or throws.
public final class Connection: Sendable {
    /// The peer's address. Unnamed for most Unix sockets.
    public let peer: SocketAddress
    /// What the peer sends. Closing it closes the connection.
    public let reader: ByteReader
    /// What is sent to the peer.
    public let writer: ByteWriter
    let channel: StreamChannel
    private let server: ConnectionSet?

    init(owning socket: Int32, peer: SocketAddress, loop: EventLoop, server: ConnectionSet? = nil) {
        self.peer = peer
        self.server = server
        channel = StreamChannel(owning: socket, kind: .socket, loop: loop)
        reader = ByteReader(channel, server: server)
        writer = ByteWriter(channel)
    }

    /// Takes over a connected stream socket, which becomes non-blocking.
    ///
    /// - Parameter loop: serves it. By default the caller's loop, or the shared one.
    public convenience init(adopting socket: Int32, on loop: EventLoop? = nil) throws(SystemError) {
        try setNonBlocking(socket)
        try setCloseOnExec(socket)
        let peer = try Socket.peerAddress(socket)
        self.init(owning: socket, peer: peer, loop: try .chosen(loop))
    }

    /// Whether the server is draining. Tell the client so with the next answer (`Connection: close` in HTTP).
    public var isDraining: Bool { server?.isDraining == true || handoverRefusal != nil }

    /// How many bytes the kernel has taken of what was written. On the loop only.
    package var writtenCount: UInt64 { channel.written }

    /// Calls `body` on the loop when the server begins to drain, or at once if it does already. On the loop only, and for
    /// one observer of each connection: the next one replaces it.
    package func onDrain(_ body: @escaping () -> Void) {
        if isDraining { body() } else { channel.drainObserver = body }
    }

    /// Closes both directions at once. Unread input makes the kernel reset the connection (see `closeGently`).
    public func close() {
        reader.close()
    }

    /// Ends the connection so that the other side gets the last answer although it may still be sending. Shuts down
    /// writing, and discards input until the other side ends too. A plain close with unread input is a reset, which can
    /// destroy an answer on its way (RFC 9112, 9.6, and nginx's lingering_close).
    ///
    /// - Parameters:
    ///   - limit: bytes to discard at most. With zero or less, no byte is read.
    ///   - timeout: how long to wait for the other side's end. With zero or less, does not wait.
    public func closeGently(limit: Int = 1 << 20, timeout: Duration = .seconds(2)) async throws {
        try await closeGently(limit: limit, within: timeout, silence: timeout, whileDraining: timeout)
    }

    /// Connects to `address`.
    ///
    /// - Parameter loop: serves the connection. By default the caller's loop, or the shared one.
    /// - Throws: `SystemError` (`connect`), or `CancellationError`.
    public static func connect(to address: SocketAddress, on loop: EventLoop? = nil) async throws -> Connection {
        let loop = try EventLoop.chosen(loop)
        guard loop.isCurrent else {
            return try await loop.run { loop in try await connect(to: address, on: loop) }
        }
        let connection = Connection(owning: try Socket.open(for: address), peer: address, loop: loop)
        let fd = connection.channel.fd
        do {
            do throws(SystemError) {
                try Socket.connect(fd, to: address)
            } catch {
                guard error.errno == .inProgress else { throw error }
                connection.channel.mustWaitToWrite()
                try await connection.channel.waitUntilWritable()
                if let errno = try Socket.pendingError(fd) {
                    throw SystemError("connect", errno, on: "\(address)")
                }
            }
            return connection
        } catch {
            connection.close()
            throw error
        }
    }
}

/// For a protocol's server, which is the connection's only reader and writer. Everything here belongs on its loop.
extension Connection {
    package var loop: EventLoop { channel.loop }

    /// As the public `closeGently`, with more limits.
    ///
    /// - Parameters:
    ///   - limit: bytes to discard at most.
    ///   - longest: how long to wait for the peer's end.
    ///   - silence: how long without a byte of the peer.
    ///   - drainLimit: as `longest`, once the server drains.
    package func closeGently(
        limit: Int = .max, within longest: Duration, silence: Duration, whileDraining drainLimit: Duration
    ) async throws {
        defer { close() }
        try await writer.finish()
        let began = MonotonicInstant.now
        var (rest, heard) = (limit, began)
        while rest > 0 {
            let now = MonotonicInstant.now
            let end = min(began + (isDraining ? min(longest, drainLimit) : longest), heard + silence)
            guard now < end else { return }
            let most = min(rest, ChunkPool.chunkSize)
            do {
                // A drain that begins meanwhile is noticed within a second.
                let chunk = try await withTimeout(min(end - now, .seconds(1))) { [reader] in
                    try await reader.read(atMost: most)
                }
                guard let chunk else { return }
                rest -= chunk.count
                heard = .now
            } catch is TimeoutError {
                continue
            } catch {
                // What fails here fails the connection, which ends anyway.
                return
            }
        }
    }

    /// Sends what the kernel takes of `bytes`.
    ///
    /// - Returns: how many bytes were taken. 0 if `waitUntilWritable` must come first.
    @inline(__always)
    package func send(_ bytes: UnsafeRawBufferPointer) throws(StreamError) -> Int { try channel.write(bytes) }

    /// Sends what the kernel takes of two runs of bytes, by one system call.
    ///
    /// - Parameter hasMore: more follows at once, so that the kernel need not send a packet for this alone.
    /// - Returns: how many bytes were taken of both together. 0 if `waitUntilWritable` must come first.
    package func send(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, hasMore: Bool
    ) throws(StreamError) -> Int {
        if second.count == 0, !hasMore { return try channel.write(first) }
        return try channel.send(first.count + second.count) { fd throws(SystemError) in
            try sendBytes(to: fd, first, second, hasMore: hasMore)
        } ?? 0
    }

    /// Calls `step` with the socket, to move some bytes into it.
    ///
    /// - Returns: what `step` has returned, or nil if `waitUntilWritable` must come first.
    package func transfer(_ step: (Int32) throws(SystemError) -> Int?) throws(StreamError) -> Int? {
        // A step may move less than it could. Only nil says that the socket is full.
        try channel.send(0, by: step)
    }

    /// The peer takes nothing: it gets a reset at the close, and the kernel forgets what it holds for it. Without that the
    /// kernel would go on to offer it, in megabytes for each connection, long after the close (tcp_orphan_retries, tcp(7)).
    package func resetAtClose() {
        // What the kernel refuses here is no worse than a plain close.
        if !channel.isClosed, !channel.isMoving { try? Socket.setResetAtClose(channel.fd) }
    }

    /// Waits until the kernel takes bytes again. Throws `CancellationError` also after `interruptWriting`.
    package func waitUntilWritable() async throws { try await channel.waitUntilWritable() }

    /// Whether other connections should come first now. See `giveTurn`.
    package var hasHadItsTurn: Bool { channel.hasHadItsTurn }

    /// Lets the tasks for which the kernel has news go first.
    package func giveTurn() async throws { try await channel.giveTurn(to: channel.writers) }

    /// Ends the wait of the task that reads, by a `CancellationError`. Has no effect if no task waits.
    package func interruptReading() { channel.interruptReading() }

    /// As `interruptReading`, for the task that writes.
    package func interruptWriting() { channel.writers.resume(.cancelled) }
}
