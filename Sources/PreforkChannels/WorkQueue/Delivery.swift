// A message that has come out of a work queue.

public import PreforkStore
import PreforkSystem
import Synchronization

/// A message and the duty to say what became of it.
///
/// A delivery that is forgotten (its last reference goes without a word) is rejected, with `requeue`. One whose process
/// dies is taken back by the next receiver who waits or looks.
public final class Delivery<Message: Codable & Sendable>: Sendable {
    /// What the sender put into the queue.
    public let message: Message
    /// 1 at the first delivery, 2 when somebody has had it before and did not acknowledge it.
    public let attempt: Int

    private let table: QueueTable
    private let queue: String
    /// nil: the queue does not ask what became of it.
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
        // A queue that is busy or damaged keeps it until this process ends: there is nobody here to tell.
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
    /// - Parameter requeue: true: it is delivered again, before all that was sent after it, until its attempts are used
    ///   up; false: it goes to the dead letters at once.
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
    /// nil when its bytes are none of this type's.
    public let message: Message?
    /// How often it was delivered.
    public let attempts: Int
    /// What was sent, as it lay in the queue; nil when even its kind is unknown.
    public let stored: StoredValue?
}
