// Options of a work queue: its size and its guarantees.

/// Settings of a `WorkQueue`, fixed when it is made.
public struct WorkQueueOptions: Hashable, Sendable {
    /// What happens to a message that its receiver does not acknowledge.
    public struct Redelivery: Hashable, Sendable {
        private enum Kind: Hashable {
            case none
            case unacknowledged(attempts: Int)
        }

        private let kind: Kind

        /// A message is gone from the queue when it is received: at most once. `acknowledge` and `reject` do nothing.
        public static let none = Redelivery(kind: .none)

        /// A message whose receiver is killed, rejects it or forgets it goes to another receiver: at least once.
        ///
        /// - Parameter attempts: how often it is delivered, 1 to 30. A message that has failed so often goes to the
        ///   dead letters.
        public static func unacknowledged(attempts: Int = 3) -> Redelivery {
            Redelivery(kind: .unacknowledged(attempts: attempts))
        }

        /// If nil, there is no redelivery.
        var attempts: Int? {
            if case .unacknowledged(let attempts) = kind { attempts } else { nil }
        }
    }

    /// Room for messages, in bytes: 1 KiB to 256 GiB. A message takes whole cells of 256 bytes. Recovery after a death
    /// inside the queue takes time for each cell, in which the others wait.
    public var capacity: Int
    /// What happens to a message that its receiver does not acknowledge.
    public var redelivery: Redelivery
    /// The largest message, in bytes of its coded form: 1 to a quarter of the capacity.
    public var messageLimit: Int
    /// As `ChannelOptions.travels`.
    public var travels: Bool?

    /// - Parameter messageLimit: if nil, 64 KiB, or a quarter of the capacity if that is less.
    public init(capacity: Int = 1 << 20, redelivery: Redelivery = .none, messageLimit: Int? = nil) {
        self.capacity = capacity
        self.redelivery = redelivery
        self.messageLimit = messageLimit ?? min(65_536, capacity / 4)
    }

    /// - Throws: `.badArgument`.
    func check(_ name: String) throws(WorkQueueError) {
        guard (1024...1 << 38).contains(capacity) else {
            throw WorkQueueError(
                .badArgument("a capacity of \(capacity) bytes is not within 1 KiB to 256 GiB"), queue: name)
        }
        guard (1...capacity / 4).contains(messageLimit) else {
            throw WorkQueueError(
                .badArgument("a message limit of \(messageLimit) bytes is not within 1 byte to 1/4 of the capacity"),
                queue: name)
        }
        if let attempts = redelivery.attempts, !(1...30).contains(attempts) {
            throw WorkQueueError(.badArgument("\(attempts) attempts are not within 1 to 30"), queue: name)
        }
    }
}
