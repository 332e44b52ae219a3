// One queue of messages for many workers.

public import PreforkCBOR
import PreforkEventLoop
public import PreforkStore
import PreforkSystem

/// A queue of messages in shared memory: any process sends, any process receives, each message goes to one receiver.
///
/// ```swift
/// let jobs = try WorkQueue<Job>(
///     name: "jobs", WorkQueueOptions(redelivery: .unacknowledged(attempts: 3)))       // before the fork
/// try runtime.run { worker in
///     try await jobs.onReceive { job in try await job.run() }
/// }
/// ```
///
/// Made before the fork, it is one queue in the supervisor and in every worker, restarted ones included. Messages come
/// out in the order they went in. A message that is delivered again comes first. A process that is killed at any
/// instruction loses no message that was sent and blocks no other process. A process that is stopped (SIGSTOP) keeps
/// the messages that it has. If it holds the queue's lock at that moment, the others get `.busy` after a second,
/// outside of workers after 100 ms.
///
/// A process that is asked to stop takes no new message: `onReceive` finishes the one in hand and returns, `deliveries`
/// ends, and `receive` in all its forms throws `.stopping`, also where it waits already. What waits in the queue is for
/// other processes. `tryReceive` does not wait and works on.
///
/// At most 256 processes receive at a time. Tasks of different loops and plain threads may use it together.
public final class WorkQueue<Message: Codable & Sendable>: Sendable {
    /// The name that was given to `init`, by which an upgrade finds the queue again.
    public let name: String
    /// The options that were given to `init`. They are the same in all processes.
    public let options: WorkQueueOptions

    let table: QueueTable
    let coding: ValueCoding<Message>
    /// Of its codec; 0 where it needs none.
    let codecNumber: UInt8
    let receivers: WorkQueueLine<Void, QueueArrival>
    let senders: WorkQueueLine<StoredValue, Void>
    let sleepers = (receiving: WorkQueueSleepers(), sending: WorkQueueSleepers())
    /// Names it among what the next image of this program is left.
    private let offer: UInt64

    /// Makes a queue: in the supervisor, before it forks; or in any process at any time, to be sent to others
    /// (`encode(to:)`) or found by them (`register(as:replacing:)`).
    ///
    /// In a program that an upgrade started, it is the queue of that name that the previous program has left, with all
    /// that is in it. Workers of that program keep receiving from it until they end. If its options differ, the upgrade
    /// is refused.
    ///
    /// - Parameters:
    ///   - name: any text. Two queues of one name are distinguished by the order in which they are made.
    ///   - codec: for messages whose type does not travel as it is (see `SharedValue`).
    /// - Throws: `WorkQueueError` `.badArgument`. `.system` if there is no memory, or fewer than three descriptors are
    ///   left.
    public init(
        name: String, _ options: WorkQueueOptions = WorkQueueOptions(), codec: any ValueCodec = CBORCodec()
    ) throws {
        try options.check(name)
        self.name = name
        self.options = options
        coding = ValueCoding(codec: codec)
        codecNumber = Message.self is any SharedValue.Type ? 0 : codec.identifier
        do throws(SystemError) {
            (table, offer) = try QueueTable.makeOrTake(
                QueueForm(
                    cellCount: UInt32(options.capacity / QueueTable.cellByteCount),
                    attempts: options.redelivery.attempts ?? 0, messageLimit: options.messageLimit),
                name: name, travels: options.travels)
        } catch {
            throw WorkQueueError(error, queue: name)
        }
        SharedHandles.add(table, of: table.identity)
        SharedObjects.add(.queue { [weak table] in table?.row(name) })
        (receivers, senders) = Self.lines(of: table, name)
    }

    /// A queue that another process has made.
    init(_ table: QueueTable, name: String, _ options: WorkQueueOptions, codec: any ValueCodec) {
        self.table = table
        self.name = name
        self.options = options
        coding = ValueCoding(codec: codec)
        codecNumber = Message.self is any SharedValue.Type ? 0 : codec.identifier
        offer = 0
        (receivers, senders) = Self.lines(of: table, name)
    }

    private static func lines(
        of table: QueueTable, _ name: String
    ) -> (receivers: WorkQueueLine<Void, QueueArrival>, senders: WorkQueueLine<StoredValue, Void>) {
        let error: @Sendable (WorkQueueError.Code) -> WorkQueueError = { WorkQueueError($0, queue: name) }
        let receivers = WorkQueueLine<Void, QueueArrival>(
            of: table, bell: table.receiversBell.descriptor.number, endsAtStop: true, error: error
        ) {
            try table.receive(sleeping: true, queue: name)
        }
        let senders = WorkQueueLine<StoredValue, Void>(
            of: table, bell: table.sendersBell.descriptor.number, endsAtStop: false, error: error
        ) { value in
            try value.bytes.withUnsafeBytes { try table.send(value.kind, $0, sleeping: true, queue: name) } ? () : nil
        }
        return (receivers, senders)
    }

    deinit {
        Handover.withdraw(offer)
        SharedHandles.forgetDead(table.identity)
        receivers.leave()
        senders.leave()
    }

    /// How many messages wait for a receiver.
    public var count: Int { table.counters.ready }

    /// How many messages have been delivered and not been settled yet.
    public var inFlight: Int { table.counters.inFlight }

    /// Counters of the queue in all processes since it was made, at this moment. Takes no lock.
    public var stats: WorkQueueStatistics { WorkQueueStatistics(table.counters) }

    /// Ends the queue in all processes. Senders get `.closed`, waiting ones, too. Receivers get what is left, then
    /// `.closed`: as soon as no message is left and no other process has one that could still come back.
    ///
    /// - Throws: `WorkQueueError` `.busy` or `.corrupt`.
    public func close() throws {
        try mapped { () throws(QueueTable.Failure) in try table.close() }
    }

    /// Takes back what dead processes have not acknowledged. Waiting receivers do so by themselves. This call is for a
    /// supervisor whose workers are all gone or busy.
    ///
    /// - Returns: how many messages were taken back. Messages whose attempts are used up are now dead letters.
    /// - Throws: `WorkQueueError` `.busy` or `.corrupt`.
    @discardableResult
    public func reclaim() throws -> Int {
        try mapped { () throws(QueueTable.Failure) in try table.reclaim() }
    }

    /// Takes all dead letters out of the queue, the oldest message first. Dead letters that are not taken are kept as
    /// long as they fill no more than a quarter of the queue. Then the oldest are dropped and counted.
    ///
    /// - Throws: `WorkQueueError` `.busy` or `.corrupt`, unless some have been taken already: those are returned.
    public func takeDeadLetters() throws -> [DeadLetter<Message>] {
        var letters: [DeadLetter<Message>] = []
        do {
            var patience = QueueTable.patience
            // No more often than there can be dead letters, whatever the memory says.
            for _ in 0..<table.cellLimit {
                let arrival = try mapped { () throws(QueueTable.Failure) in try table.takeDeadLetter(&patience) }
                guard let arrival else { break }
                let stored = arrival.kind.map { StoredValue(kind: $0, bytes: arrival.bytes) }
                letters.append(
                    DeadLetter(message: try? decode(arrival), attempts: arrival.attempt, stored: stored))
            }
        } catch {
            if letters.isEmpty { throw error }
        }
        return letters
    }

    func mapped<Answer>(_ body: () throws(QueueTable.Failure) -> Answer) throws(WorkQueueError) -> Answer {
        do {
            return try body()
        } catch {
            throw WorkQueueError(error, queue: name)
        }
    }
}

extension QueueTable {
    /// - Returns: false when there is no room.
    func send(
        _ kind: ValueKind, _ bytes: UnsafeRawBufferPointer, sleeping: Bool, queue: String
    ) throws(WorkQueueError) -> Bool {
        let outcome: QueueSending
        do {
            outcome = try put(kind, bytes, sleeping: sleeping)
        } catch {
            throw WorkQueueError(error, queue: queue)
        }
        switch outcome {
        case .sent: return true
        case .full: return false
        case .closed: throw WorkQueueError(.closed, queue: queue)
        }
    }

    /// - Returns: nil when there is no message.
    func receive(sleeping: Bool, queue: String) throws(WorkQueueError) -> QueueArrival? {
        let outcome: QueueReceiving
        do {
            outcome = try take(sleeping: sleeping)
        } catch {
            throw WorkQueueError(error, queue: queue)
        }
        switch outcome {
        case .message(let arrival): return arrival
        case .empty: return nil
        case .closed: throw WorkQueueError(.closed, queue: queue)
        }
    }
}
