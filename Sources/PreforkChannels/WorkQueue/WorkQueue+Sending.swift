// Into a work queue.

import PreforkEventLoop
import PreforkStore
import PreforkSystem

extension WorkQueue {
    /// Sends a message. Waits while the queue is full.
    ///
    /// When it returns, the message is in the queue and outlives this process. From any process and task.
    ///
    /// - Throws: `WorkQueueError` `.closed`, `.messageTooLarge`, `.busy`, `.corrupt`. What the codec throws.
    ///   `CancellationError`, also while it waits. In all cases nothing was sent.
    public func send(_ message: Message) async throws {
        try Task.checkCancellation()
        guard let value = try sendNow(message) else { return }
        try await senders.wait(for: value, timeout: nil) { _ in nil }
    }

    /// Sends a message. Waits while the queue is full, but not longer than `timeout`.
    ///
    /// - Throws: as `send`, and `.timedOut`.
    public func send(_ message: Message, timeout: Duration) async throws {
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

    /// Sends a message. Blocks the calling thread while the queue is full. Not for an event loop's thread, which has
    /// other work.
    ///
    /// - Parameter timeout: nil waits without a limit.
    /// - Throws: as `send`, and `.timedOut`, without `CancellationError`.
    public func sendBlocking(_ message: Message, timeout: Duration? = nil) throws {
        guard let value = try sendNow(message) else { return }
        let deadline = timeout.map { MonotonicInstant.now + $0 } ?? .distantFuture
        try sleepers.sending.with(bell: table.sendersBell.descriptor.number, queue: name) { sleeper in
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

    /// - Returns: nil if it is sent, else the message as bytes, which finds no room.
    private func sendNow(_ message: Message) throws -> StoredValue? {
        var outcome: Result<StoredValue?, WorkQueueError> = .success(nil)
        try coding.encode(message) { [table, name] kind, bytes in
            outcome = Result { () throws(WorkQueueError) in try table.sendNow(kind, bytes, queue: name) }
        }
        return try outcome.get()
    }
}

extension QueueTable {
    /// - Returns: nil if it is sent, else the message, which finds no room.
    func sendNow(
        _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer, queue: String
    ) throws(WorkQueueError) -> StoredValue? {
        guard bytes.count <= messageLimit else {
            throw WorkQueueError(.messageTooLarge(bytes: bytes.count, limit: messageLimit), queue: queue)
        }
        if try send(kind, bytes, sleeping: false, queue: queue) { return nil }
        // Without redelivery, the room of a receiver that died while it copied a large message comes back.
        if attempts == 0, counters.inFlight > 0, (try? reclaim(onlyBusy: true)) ?? 0 > 0,
            try send(kind, bytes, sleeping: false, queue: queue)
        {
            return nil
        }
        return StoredValue(kind: kind, bytes: Array(bytes))
    }
}
