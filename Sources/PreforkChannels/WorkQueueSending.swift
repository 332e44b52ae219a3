// Into a work queue.

import PreforkEventLoop
import PreforkStore
import PreforkSystem

extension WorkQueue {
    /// Sends a message; waits while the queue is full.
    ///
    /// When it returns, the message is in the queue and outlives this process. From any process and task.
    ///
    /// - Throws: `WorkQueueError` `.closed`, `.messageTooLarge`, `.busy`, `.corrupt`; what the codec throws;
    ///   `CancellationError`, also while it waits. In all cases nothing was sent.
    public func send(_ message: Message) async throws {
        try await send(message, within: nil)
    }

    /// Sends a message; waits while the queue is full, but not longer than `timeout`.
    ///
    /// - Throws: as `send`, and `.timedOut`.
    public func send(_ message: Message, timeout: Duration) async throws {
        try await send(message, within: timeout)
    }

    private func send(_ message: Message, within timeout: Duration?) async throws {
        try Task.checkCancellation()
        guard let value = try sendNow(message) else { return }
        try await senders.wait(for: value, timeout: timeout) { _ in nil }
    }

    /// Sends a message if there is room now.
    ///
    /// - Returns: false when the queue is full.
    /// - Throws: as `send`, without `CancellationError`.
    public func trySend(_ message: Message) throws -> Bool {
        try sendNow(message) == nil
    }

    /// Sends a message; blocks the calling thread while the queue is full. Not for an event loop's thread, which has
    /// more to do.
    ///
    /// - Parameter timeout: nil waits for ever.
    /// - Throws: as `send`, and `.timedOut`, without `CancellationError`.
    public func sendBlocking(_ message: Message, timeout: Duration? = nil) throws {
        guard let value = try sendNow(message) else { return }
        let deadline = timeout.map { MonotonicInstant.now + $0 } ?? .distantFuture
        try sleepers.sending.with(bell: table.sendersBell.descriptor.number) { sleeper in
            while true {
                let isSent = try value.bytes.withUnsafeBytes {
                    try table.send(value.kind, $0, sleeping: true, queue: name)
                }
                if isSent { return }
                if let timeout, MonotonicInstant.now >= deadline {
                    throw WorkQueueError(.timedOut(after: timeout), queue: name)
                }
                try sleeper.sleep(until: deadline)
            }
        }
    }

    /// - Returns: nil when it is sent; else the message as bytes, which finds no room.
    private func sendNow(_ message: Message) throws -> StoredValue? {
        var outcome: Result<StoredValue?, any Error> = .success(nil)
        try coding.encode(message) { kind, bytes in
            outcome = Result {
                guard bytes.count <= options.messageLimit else {
                    throw WorkQueueError(
                        .messageTooLarge(bytes: bytes.count, limit: options.messageLimit), queue: name)
                }
                if try table.send(kind, bytes, sleeping: false, queue: name) { return nil }
                // Receivers that died with large messages may hold the room.
                if table.counters.inFlight > 0, try mapped({ () throws(QueueTable.Failure) in
                    try table.reclaim(onlyBusy: true)
                }) > 0, try table.send(kind, bytes, sleeping: false, queue: name) {
                    return nil
                }
                return StoredValue(kind: kind, bytes: Array(bytes))
            }
        }
        return try outcome.get()
    }
}
