// Descriptors that arrive with a message.

import PreforkStore
import PreforkSystem
import Synchronization

/// A file descriptor that has come from another process. It is close-on-exec, and closed when this object goes, unless
/// it was taken before.
public final class PassedDescriptor: Sendable {
    private let owned: Mutex<Int32?>

    init(owning number: Int32) {
        owned = Mutex(number)
    }

    deinit {
        close()
    }

    /// The descriptor's number, which this object keeps. If nil, it was taken or closed.
    public var number: Int32? { owned.withLock { $0 } }

    /// Gives the descriptor to the caller, who must close it. If nil, it was taken or closed before.
    public func take() -> Int32? {
        owned.withLock { owned in
            defer { owned = nil }
            return owned
        }
    }

    /// Closes it now. A second call has no effect.
    public func close() {
        if let number = take() { closeForeignDescriptor(number) }
    }
}

extension Channel {
    /// A message and what was passed with it.
    public struct Passed: Sendable {
        /// The message that came with the descriptors.
        public let message: Message
        /// In the order in which they were sent. Empty for a message without descriptors.
        public let descriptors: [PassedDescriptor]
    }

    /// As `receive`, with the descriptors.
    ///
    /// - Parameter timeout: nil waits without a limit.
    /// - Throws: as `receive`. `.system` with EMFILE if this process has no room for the descriptors: the message
    ///   stays, and can be received once there is room.
    public func receivePassed(timeout: Duration? = nil) async throws -> Passed {
        do { return try await nextPassed(timeout) } catch { throw await end.failure(error) }
    }

    private func nextPassed(_ timeout: Duration?) async throws -> Passed {
        let end = end
        let deadline = timeout.map { MonotonicInstant.now + $0 }
        while true {
            let epoch = end.waiters.epoch
            try end.checkStop()
            try await end.waitWhilePaused()
            var taken: (value: CarriedValue?, descriptors: [PassedDescriptor]) = (nil, [])
            let isTaken = try end.take(.message) { header, payload, numbers in
                let (own, luggage) = header.divide(numbers)
                taken.descriptors = own.map { PassedDescriptor(owning: $0) }
                taken.value = header.carried(payload, luggage)
            }
            if isTaken { return Passed(message: try message(taken.value), descriptors: taken.descriptors) }
            try await end.wait(.receive, since: epoch, until: deadline) { end.mustWaitToReceive(.message) }
        }
    }

    /// - Parameter value: nil for a kind that no process of this package sends.
    func message(_ carried: CarriedValue?) throws -> Message {
        try decode(carried.map { UndecodedMessage($0.value.kind, TakenPayload($0.value.bytes), $0.luggage) })
    }
}
