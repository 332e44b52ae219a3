// A message that has come out of a work queue.

public import PreforkStore
import PreforkSystem
import Synchronization

/// A message and the duty to say what became of it.
///
/// A delivery that is forgotten (its last reference goes unsettled) is rejected, with `requeue`. If its process dies,
/// the next receiver that waits or checks takes the message back.
public final class Delivery<Message: Codable & Sendable>: Sendable {
    /// What the sender put into the queue.
    public let message: Message
    /// 1 at the first delivery, 2 if one receiver has had the message before and did not acknowledge it.
    public let attempt: Int

    private let table: QueueTable
    private let queue: String
    /// If nil, the queue needs no acknowledgement.
    private let ticket: QueueTicket?
    private let isSettled: Atomic<Bool>
    private let epoch = ForkCount.current

    init(_ message: Message, _ arrival: QueueArrival, of table: QueueTable, queue: String) {
        self.message = message
        attempt = arrival.attempt
        ticket = arrival.ticket
        isSettled = Atomic(arrival.ticket == nil)
        self.table = table
        self.queue = queue
    }

    deinit {
        // A child that was forked while its parent had the message is not its owner.
        guard let ticket, !isSettled.load(ordering: .relaxed), epoch == ForkCount.current else { return }
        // A queue that is busy or damaged keeps it until this process ends: deinit has no caller to tell.
        _ = try? table.settle(ticket, .requeue)
    }

    /// The message has been dealt with. No effect when it was settled before, and in a queue without redelivery.
    ///
    /// Never waits but for the queue's lock, a second at most.
    ///
    /// - Throws: `WorkQueueError` `.busy` or `.corrupt`: the message may be delivered again.
    public func acknowledge() throws {
        try settle(.acknowledge)
    }

    /// The message has not been dealt with. No effect when it was settled before, and in a queue without redelivery.
    ///
    /// - Parameter requeue: if true, the message is delivered again, before all that was sent after it, until its
    ///   attempts are used up. If false, it goes to the dead letters at once.
    /// - Throws: `WorkQueueError` `.busy` or `.corrupt`.
    public func reject(requeue: Bool) throws {
        try settle(requeue ? .requeue : .bury)
    }

    private func settle(_ settlement: QueueSettlement) throws(WorkQueueError) {
        guard let ticket, !isSettled.exchange(true, ordering: .relaxed) else { return }
        do {
            try table.settle(ticket, settlement)
        } catch {
            isSettled.store(false, ordering: .relaxed)
            throw WorkQueueError(error, queue: queue)
        }
    }
}

/// A message that was delivered as often as the queue allows, or rejected for good, and never acknowledged.
public struct DeadLetter<Message: Codable & Sendable>: Sendable {
    /// If nil, its bytes do not decode as this type.
    public let message: Message?
    /// How often it was delivered.
    public let attempts: Int
    /// The message as it lay in the queue. If nil, even its kind is unknown.
    public let stored: StoredValue?
}
