// A connection in the hands of a protocol's server, which is its only reader and writer.

package import PreforkSystem

/// Everything here belongs on the connection's loop.
extension Connection {
    package var loop: EventLoop { channel.loop }

    /// Sends what the kernel takes of two runs of bytes, by one system call.
    ///
    /// - Parameter hasMore: more follows at once, so that the kernel need not send a packet for this alone.
    /// - Returns: how many bytes were taken of both together. 0 if `waitUntilWritable` must come first.
    package func send(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer = .init(start: nil, count: 0),
        hasMore: Bool = false
    ) throws(StreamError) -> Int {
        if second.count == 0, !hasMore { return try channel.write(first) }
        return try channel.send(first.count + second.count) { fd throws(SystemError) in
            try sendBytes(to: fd, first, second, hasMore: hasMore)
        } ?? 0
    }

    /// Calls `step` with the socket, to move at most `count` bytes into it.
    ///
    /// - Returns: what `step` has returned, or nil if `waitUntilWritable` must come first.
    package func transfer(
        _ count: Int, _ step: (Int32) throws(SystemError) -> Int?
    ) throws(StreamError) -> Int? {
        try channel.send(count, by: step)
    }

    /// Waits until the kernel takes bytes again. Throws `CancellationError` also after `interruptWriting`.
    package func waitUntilWritable() async throws { try await channel.waitUntilWritable() }

    /// Whether other connections should come first now. See `giveTurn`.
    package var hasHadItsTurn: Bool { channel.hasHadItsTurn }

    /// Lets the tasks for which the kernel has news go first.
    package func giveTurn() async throws { try await channel.giveTurn(to: channel.writers) }

    /// Ends the wait of the task that reads, by a `CancellationError`. Has no effect if no task waits.
    package func interruptReading() { channel.readers.resume(.cancelled) }

    /// As `interruptReading`, for the task that writes.
    package func interruptWriting() { channel.writers.resume(.cancelled) }
}
