// How bytes go out: at once if the kernel takes them, or with a deadline.

import PreforkEventLoop
import PreforkSystem

extension HTTPConnection {
    /// As nginx's lingering_time and lingering_timeout.
    private static let lingeringLimit = Duration.seconds(30)
    private static let lingeringSilence = Duration.seconds(5)
    private static let lingeringWhileDraining = Duration.seconds(2)

    /// Sends what the kernel takes of the output.
    ///
    /// - Returns: whether that is all.
    func flushNow() throws -> Bool {
        flushesNow()
        if output.count == 0 { return true }
        do throws(StreamError) {
            let sent = try connection.send(output.bytes)
            noteSent(sent)
            output.removeFirst(sent)
        } catch {
            isBroken = true
            throw error
        }
        return output.count == 0
    }

    private func noteSent(_ count: Int) {
        sendCount += 1
        writeProgress.bytes += count
    }

    /// Sends the output, and `bytes` behind it, waiting for the client to take them.
    ///
    /// - Parameter hasMore: more follows at once.
    func flush(with bytes: [UInt8] = [], hasMore: Bool = false) async throws {
        // Another task of this request already sends it.
        if isFlushing { return }
        isFlushing = true
        defer { isFlushing = false }
        flushesNow()
        var offset = 0
        while true {
            if connection.hasHadItsTurn { try await connection.giveTurn() }
            do throws(StreamError) {
                let count = output.count
                let sent = try bytes.withUnsafeBufferPointer { bytes throws(StreamError) in
                    let rest = UnsafeRawBufferPointer(bytes).part(offset..<bytes.count)
                    return try connection.send(output.bytes, rest, hasMore: hasMore)
                }
                noteSent(sent)
                output.removeFirst(min(sent, count))
                offset += sent - min(sent, count)
            } catch {
                isBroken = true
                throw error
            }
            if output.count == 0, offset == bytes.count { return }
            try await waitToWrite()
        }
    }

    /// Moves bytes into the socket by `step`, behind the output.
    func transfer(_ count: Int, _ step: (Int32, Int) throws(SystemError) -> Int?) async throws {
        try await flush(hasMore: count > 0)
        guard !isFlushing else { throw HTTPError(.requestEnded) }
        isFlushing = true
        defer { isFlushing = false }
        var rest = count
        while rest > 0 {
            if connection.hasHadItsTurn { try await connection.giveTurn() }
            let moved: Int?
            do throws(StreamError) {
                moved = try connection.transfer { socket throws(SystemError) in try step(socket, rest) }
            } catch {
                isBroken = true
                throw error
            }
            guard let moved else {
                try await waitToWrite()
                continue
            }
            // The file has become shorter than it was.
            guard moved > 0 else { throw HTTPError(.wrongLength(expected: count)) }
            noteSent(moved)
            if served != nil { served?.bodyBytes += moved }
            rest -= min(moved, rest)
        }
    }

    /// Ends the connection behind a response while the client may still be sending. A client that reads the response only
    /// when all is sent gets it, too, if it sends for no longer than `lingeringLimit`.
    func closeGently() async throws {
        try await connection.closeGently(
            within: Self.lingeringLimit, silence: Self.lingeringSilence, whileDraining: Self.lingeringWhileDraining)
    }

    private func waitToWrite() async throws {
        let began = MonotonicInstant.now
        let limit = min(server.options.writeTimeout, allowance(writeProgress))
        expiry = nil
        let timer = loop.call(after: limit) { [self] in expire(.write) }
        defer {
            timer.cancel()
            writeProgress.waited += .now - began
        }
        do {
            try await connection.waitUntilWritable()
        } catch {
            isBroken = true
            if expiry == .write {
                connection.resetAtClose()
                throw HTTPError(.writeTimeout)
            }
            throw error
        }
    }

    /// How long the server still waits for the client, by its rate so far.
    func allowance(_ progress: Progress) -> Duration {
        let rate = server.options.minimumRate
        guard rate > 0 else { return .seconds(1 << 32) }
        // By seconds: the product with nanoseconds could not be counted.
        return server.options.grace + .seconds(progress.bytes / rate) - progress.waited
    }
}
