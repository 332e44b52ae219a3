// Why an operation of a work queue failed.

import PreforkStore
public import PreforkSystem

/// An operation on a `WorkQueue` failed.
public struct WorkQueueError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The queue is closed. For a receiver, this also means that no message will come any more.
        case closed
        /// This process was asked to stop: it takes no new message. Nothing was received.
        case stopping
        /// Nothing was sent or received within the time.
        case timedOut(after: Duration)
        /// The message is larger than the queue takes.
        case messageTooLarge(bytes: Int, limit: Int)
        /// The queue's lock could not be taken within a second (100 ms in a process that is no worker): its owner is
        /// stopped, or the machine is overloaded. Nothing has happened. Try again.
        case busy
        /// The shared memory holds what no process of this package has written.
        case corrupt(String)
        /// More processes receive than a queue can tell apart.
        case tooManyReceivers(limit: Int)
        /// A message of another type than the queue's. It is among the dead letters, or gone if the queue has no
        /// redelivery.
        case undecodable(String)
        /// A message or a name has led to something that is not a queue, for the reason given.
        case notAQueue(String)
        /// The queue cannot be sent to another process.
        case cannotTravel(String)
        /// A queue of that name is registered.
        case duplicateName
        /// No queue of that name is registered.
        case unknownName
        /// As many names as the processes of a service can share are taken.
        case tooManyNames(limit: Int)
        /// Options that make no sense.
        case badArgument(String)
        /// A system call failed.
        case system(SystemError)
    }

    /// What went wrong.
    public let code: Code
    /// The queue's name.
    public let queue: String

    init(_ code: Code, queue: String) {
        self.code = code
        self.queue = queue
    }

    init(_ failure: QueueTable.Failure, queue: String) {
        let code: Code =
            switch failure {
            case .busy: .busy
            case .corrupt(let what): .corrupt(what)
            case .tooManyOwners: .tooManyReceivers(limit: QueueTable.maximumOwners)
            }
        self.init(code, queue: queue)
    }

    init(_ error: SystemError, queue: String) {
        self.init(.system(error), queue: queue)
    }
}

extension WorkQueueError: CustomStringConvertible {
    public var description: String {
        let text =
            switch code {
            case .closed: "closed"
            case .stopping: "this process is stopping"
            case .timedOut(let timeout): "not within \(timeout)"
            case .messageTooLarge(let bytes, let limit): "a message of \(bytes) bytes exceeds the limit of \(limit)"
            case .busy: "could not take the lock in time"
            case .corrupt(let what): "damaged shared memory: \(what)"
            case .tooManyReceivers(let limit): "more than \(limit) processes receive"
            case .undecodable(let reason): "a message of another type: \(reason)"
            case .notAQueue(let reason): "not a queue: \(Escaping.brief(reason))"
            case .cannotTravel(let reason): reason
            case .duplicateName: "a queue of this name is registered"
            case .unknownName: "no queue of this name is registered"
            case .tooManyNames(let limit): "\(limit) names are taken"
            case .badArgument(let reason): reason
            case .system(let error): "\(error)"
            }
        return "work queue \(Escaping.brief(queue)): \(text)"
    }
}
