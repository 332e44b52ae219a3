// The times of a WebSocket: pings, silent peers, peers that take nothing, closing, and the worker's end.

import PreforkEventLoop
import PreforkSystem

/// The timers of one socket, and what they compare.
struct WebSocketTimes {
    fileprivate var keepAlive: ScheduledCall?
    /// The ping that waits for its answer: `WebSocket.receipts` then, and when the patience with it ends.
    fileprivate var ping: (receipts: Int, deadline: MonotonicInstant)?
    fileprivate var writeWatch: ScheduledCall?
    fileprivate var writtenAtLook: UInt64 = 0
    fileprivate var lastProgress = MonotonicInstant(nanoseconds: 0)
    fileprivate var close: ScheduledCall?
    fileprivate(set) var pinging: Task<Void, Never>?
}

extension WebSocket {
    /// Starts the pings, and observes the worker's end.
    func startTimers() {
        if options.pingInterval > .zero { keepAlive(after: firstLook()) }
        connection.onDrain { [weak self] in self?.drain() }
    }

    /// How long the answer to a ping may still take. nil if no answer is waited for.
    var pingPatience: Duration? {
        guard let ping = times.ping, ping.receipts == receipts else { return nil }
        return Swift.max(.zero, ping.deadline - .now)
    }

    /// Continues the times of a socket that was in another worker.
    func continueTimes(silence: Duration, patience: Duration?) {
        lastReceipt = .coarseNow + (.zero - Swift.min(silence, Swift.max(.zero, options.pingInterval)))
        if let patience, options.pongTimeout > .zero {
            times.ping = (receipts, .now + Swift.min(patience, options.pongTimeout))
        }
    }

    private func firstLook() -> Duration {
        if let patience = pingPatience { return Swift.min(patience, options.pingInterval) }
        return Swift.max(.zero, options.pingInterval - (.coarseNow - lastReceipt))
    }

    func stopKeepAlive() {
        times.keepAlive?.cancel()
        times.writeWatch?.cancel()
        (times.keepAlive, times.writeWatch) = (nil, nil)
    }

    func stopCloseTimer() {
        times.close?.cancel()
        times.close = nil
    }

    /// The server ends: it sends no more messages. What the peer still sends is discarded until its close frame.
    private func drain() {
        guard case .open = phase else { return }
        closeInBackground(drainCode)
    }

    private func closeInBackground(_ code: WebSocketCloseCode) {
        // Ended at the latest by the close timer, which closes the connection under it.
        Task(executorPreference: loop.preference) { [self] in
            await beginClosing(code, "")
            readAhead()
        }
    }

    private func keepAlive(after delay: Duration) {
        times.keepAlive = loop.call(after: delay) { [weak self] in self?.checkAlive() }
    }

    private func checkAlive() {
        guard case .open = phase else { return }
        if let ping = times.ping, ping.receipts == receipts {
            // The answer may wait behind a message that the handler has not taken.
            let rest = canHear ? ping.deadline - .now : options.pongTimeout
            guard rest <= .zero else { return keepAlive(after: Swift.min(rest, options.pingInterval)) }
            return end(.failed(WebSocketError(.timedOut)))
        }
        times.ping = nil
        let silence = MonotonicInstant.coarseNow - lastReceipt
        guard silence >= options.pingInterval else { return keepAlive(after: options.pingInterval - silence) }
        if options.pongTimeout > .zero { times.ping = (receipts, .now + options.pongTimeout) }
        sendPing()
        readAhead()
        let next = options.pongTimeout > .zero ? Swift.min(options.pongTimeout, options.pingInterval) : options.pingInterval
        keepAlive(after: next)
    }

    private func sendPing() {
        guard times.pinging == nil else { return }
        times.pinging = Task(executorPreference: loop.preference) { [self] in
            // What fails is the socket's end by itself.
            try? await ping()
            times.pinging = nil
        }
    }

    /// Called at each write: makes sure that a timer looks at the progress of writes. It runs while there are writes, and
    /// a server that answers at once arms it once in a while, not for each message.
    func watchWrites() {
        guard options.sendTimeout > .zero, times.writeWatch == nil else { return }
        times.writtenAtLook = connection.writtenCount
        times.lastProgress = .now
        lookAtWritesLater()
    }

    private func lookAtWritesLater() {
        times.writeWatch = loop.call(after: options.sendTimeout.part(of: 2)) { [weak self] in self?.lookAtWrites() }
    }

    private func lookAtWrites() {
        times.writeWatch = nil
        guard writes > 0 else { return }
        let (written, now) = (connection.writtenCount, MonotonicInstant.now)
        if written != times.writtenAtLook {
            (times.writtenAtLook, times.lastProgress) = (written, now)
        } else if now - times.lastProgress >= options.sendTimeout {
            connection.resetAtClose()
            return end(.failed(WebSocketError(.timedOut)))
        }
        lookAtWritesLater()
    }

    /// From the first close frame on the connection has an end, whatever the peer does.
    func armCloseTimer() {
        guard times.close == nil else { return }
        let limit = Swift.max(options.closeTimeout, .milliseconds(100))
        times.close = loop.call(after: limit) { [weak self] in
            self?.end(.failed(WebSocketError(.timedOut)))
            self?.connection.close()
        }
    }
}
