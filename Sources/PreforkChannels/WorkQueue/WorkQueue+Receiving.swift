// Out of a work queue.

import PreforkEventLoop
import PreforkStore
import PreforkSystem

extension WorkQueue {
    /// The next message. Waits until there is one.
    ///
    /// While it waits, the end of every other receiving process is an event: its unacknowledged messages come back at
    /// once. From any process and task. A cancelled wait has taken nothing.
    ///
    /// - Throws: `WorkQueueError` `.closed`, `.stopping`, `.undecodable`, `.tooManyReceivers`, `.busy`, `.corrupt`.
    ///   `CancellationError`.
    public func receive() async throws -> Delivery<Message> {
        try Task.checkCancellation()
        try await giveWay()
        try checkStop()
        if let arrival = try table.receive(sleeping: false, queue: name) { return try delivery(of: arrival) }
        return try await wait(timeout: nil)
    }

    /// The next message. Waits until there is one, but not longer than `timeout`.
    ///
    /// - Throws: as `receive`, and `.timedOut`.
    public func receive(timeout: Duration) async throws -> Delivery<Message> {
        try Task.checkCancellation()
        try checkStop()
        if let arrival = try table.receive(sleeping: false, queue: name) { return try delivery(of: arrival) }
        return try await wait(timeout: timeout)
    }

    /// In the main process of a service: for as long as the supervisor has more to do than to run what is received.
    private func giveWay() async throws {
        if DrivenLoops.isTurnOver { try await EventLoop.sleep(for: .zero) }
        while DrivenLoops.isTakingPaused { try await EventLoop.sleep(for: .milliseconds(20)) }
    }

    /// - Throws: `.stopping` when this process takes no new work any more.
    private func checkStop() throws(WorkQueueError) {
        if EventLoop.isStoppingHere { throw WorkQueueError(.stopping, queue: name) }
    }

    private func wait(timeout: Duration?) async throws -> Delivery<Message> {
        let table = table
        let isWatching = options.redelivery != .none
        let arrival = try await receivers.wait(for: (), timeout: timeout) { loop in
            isWatching ? WorkQueueOwners(of: table, on: loop) : nil
        }
        return try delivery(of: arrival)
    }

    /// The next message if there is one now, else nil.
    ///
    /// A call that finds nothing looks for messages of dead processes, which reads /proc for each process that has
    /// some.
    ///
    /// - Throws: as `receive`, without `CancellationError` and `.stopping`: a process that stops can still take
    ///   messages by this.
    public func tryReceive() throws -> Delivery<Message>? {
        if let arrival = try table.receive(sleeping: false, queue: name) { return try delivery(of: arrival) }
        guard table.counters.inFlight > 0,
            try mapped({ () throws(QueueTable.Failure) in try table.reclaim(onlyBusy: true) }) > 0
        else { return nil }
        return try table.receive(sleeping: false, queue: name).map(delivery)
    }

    /// The next message. Blocks the calling thread until there is one. Not for an event loop's thread, which has other
    /// work.
    ///
    /// - Parameter timeout: nil waits without a limit.
    /// - Throws: as `receive`, and `.timedOut`, without `CancellationError`.
    public func receiveBlocking(timeout: Duration? = nil) throws -> Delivery<Message> {
        try checkStop()
        if let arrival = try table.receive(sleeping: false, queue: name) { return try delivery(of: arrival) }
        let deadline = timeout.map { MonotonicInstant.now + $0 } ?? .distantFuture
        let arrival = try sleepers.receiving.with(bell: table.receiversBell.descriptor.number, queue: name) { sleeper in
            // Before the look: a stop that comes after it rings.
            let stop = sleeper.observeStop()
            defer { withExtendedLifetime(stop) {} }
            while true {
                ProcessStop.readSignals()
                try checkStop()
                if let arrival = try table.receive(sleeping: true, queue: name) { return arrival }
                // After the flag is up, so that a receiver that comes now rings the bell.
                if try mapped({ () throws(QueueTable.Failure) in try sleeper.look(at: table) }) { continue }
                if let timeout, MonotonicInstant.now >= deadline {
                    throw WorkQueueError(.timedOut(after: timeout), queue: name)
                }
                try sleeper.sleep(until: deadline)
            }
        }
        return try delivery(of: arrival)
    }

    /// Every message from now on, until the queue is closed and empty or this process is asked to stop. Cancelling the
    /// task ends it with `CancellationError`.
    public var deliveries: Deliveries { Deliveries(queue: self) }

    /// Deliveries of a work queue. Several may run beside each other. Each message goes to one of them.
    public struct Deliveries: AsyncSequence, Sendable {
        let queue: WorkQueue

        public func makeAsyncIterator() -> Iterator { Iterator(queue: queue) }

        /// Receives one delivery for each `next()`. It ends when the queue is closed and empty, or this process is
        /// asked to stop.
        public struct Iterator: AsyncIteratorProtocol {
            let queue: WorkQueue

            public func next() async throws -> Delivery<Message>? {
                do {
                    return try await queue.receive()
                } catch let error as WorkQueueError where error.code == .closed || error.code == .stopping {
                    return nil
                }
            }
        }
    }

    /// Calls `body` with one message after another, until the queue is closed and empty, or this process is asked to
    /// stop: then it returns after the message in hand.
    ///
    /// The message is acknowledged when `body` returns. When it throws, the message is delivered again, here or
    /// elsewhere, until its attempts are used up. Then it is a dead letter. A message of another type is a dead letter
    /// at once. Run it in several tasks to have several messages in work.
    ///
    /// - Throws: `CancellationError` when the task is cancelled: a message whose `body` throws because of that counts
    ///   as an attempt, too. In a queue without redelivery, what `body` throws: the message is gone. Otherwise as
    ///   `receive`, without `.closed`, `.stopping` and `.undecodable`.
    public func onReceive(_ body: (Message) async throws -> Void) async throws {
        while true {
            let delivery: Delivery<Message>
            do {
                delivery = try await receive()
            } catch let error as WorkQueueError {
                if case .undecodable = error.code { continue }
                if error.code == .closed || error.code == .stopping { return }
                throw error
            }
            do {
                try await body(delivery.message)
            } catch {
                if options.redelivery == .none { throw error }
                try delivery.reject(requeue: true)
                continue
            }
            try delivery.acknowledge()
        }
    }

    func decode(_ arrival: QueueArrival) throws -> Message {
        guard let kind = arrival.kind else {
            throw WorkQueueError(WorkQueueError.Code.corrupt("a message's kind"), queue: name)
        }
        return try arrival.bytes.withUnsafeBytes { try coding.decode(kind, $0) }
    }

    private func delivery(of arrival: QueueArrival) throws -> Delivery<Message> {
        do {
            return Delivery(try decode(arrival), arrival, of: table, queue: name)
        } catch {
            // No other process can read it either.
            if let ticket = arrival.ticket {
                try mapped { () throws(QueueTable.Failure) in _ = try table.settle(ticket, .bury) }
            }
            throw WorkQueueError(.undecodable("\(error)"), queue: name)
        }
    }
}
