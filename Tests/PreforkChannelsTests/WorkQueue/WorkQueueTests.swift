// A work queue in one process: tasks, threads, timeouts, the end.

import PreforkChannels
import PreforkEventLoop
import PreforkStore
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct WorkQueueTests {
    private func queue<Message>(
        of type: Message.Type = Int.self, capacity: Int = 65_536, _ redelivery: WorkQueueOptions.Redelivery = .none
    ) throws -> WorkQueue<Message> {
        try WorkQueue(name: "test", WorkQueueOptions(capacity: capacity, redelivery: redelivery))
    }

    private func code(_ body: () async throws -> Void) async -> WorkQueueError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? WorkQueueError)?.code
        }
    }

    @Test func aWaitingTaskGetsWhatIsSent() async throws {
        let queue = try queue()
        async let number = queue.receive().message
        try await queue.send(5)
        #expect(try await number == 5)
    }

    @Test func manyWaitingTasksGetOneMessageEach() async throws {
        let queue = try queue()
        let numbers = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 { group.addTask { try await queue.receive().message } }
            for number in 0..<50 { try await queue.send(number) }
            return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect(numbers == Set(0..<50))
    }

    @Test func aTaskOfALoopWaitsOnItsLoop() throws {
        let queue = try queue()
        // Two loops, one after the other: the line moves with those who wait.
        for _ in 0..<2 {
            let sum = try EventLoop().run {
                async let receiving = {
                    var sum = 0
                    for _ in 0..<100 { sum += try await queue.receive().message }
                    return sum
                }()
                for number in 0..<100 {
                    try await queue.send(number)
                    try await EventLoop.sleep(for: .zero)
                }
                return try await receiving
            }
            #expect(sum == 4_950)
        }
    }

    @Test func aFullQueueMakesItsSendersWaitInOrder() async throws {
        let queue = try queue(capacity: 1024)
        for number in 0..<4 { #expect(try queue.trySend(number)) }
        #expect(try !queue.trySend(4))
        #expect(await code { try await queue.send(4, timeout: .milliseconds(1)) } == .timedOut(after: .milliseconds(1)))
        #expect(await code { try queue.sendBlocking(4, timeout: .zero) } == .timedOut(after: .zero))
        let sender = Task { for number in 4..<100 { try await queue.send(number) } }
        for number in 0..<100 { #expect(try await queue.receive().message == number) }
        try await sender.value
        #expect(queue.stats.free == queue.stats.capacity)
    }

    @Test func anEmptyQueueTimesOut() async throws {
        let queue = try queue()
        #expect(try queue.tryReceive() == nil)
        #expect(
            await code { _ = try await queue.receive(timeout: .milliseconds(1)) }
                == .timedOut(after: .milliseconds(1)))
        #expect(await code { _ = try queue.receiveBlocking(timeout: .zero) } == .timedOut(after: .zero))
        try await queue.send(1)
        #expect(try await queue.receive(timeout: .zero).message == 1)
    }

    @Test func aCancelledReceiverTakesNothing() async throws {
        let queue = try queue()
        for _ in 0..<200 {
            let task = Task { try await queue.receive().message }
            await Task.yield()
            async let sending: Void = queue.send(1)
            task.cancel()
            try await sending
            do {
                #expect(try await task.value == 1)
            } catch {
                #expect(error is CancellationError)
                #expect(try queue.tryReceive()?.message == 1)
            }
            #expect(queue.count == 0)
        }
    }

    @Test func aCancelledSenderHasSentNothing() async throws {
        let queue = try queue(capacity: 1024)
        for number in 0..<4 { try await queue.send(number) }
        let sender = Task { try await queue.send(4) }
        await Task.yield()
        sender.cancel()
        await #expect(throws: CancellationError.self) { try await sender.value }
        for number in 0..<4 { #expect(try await queue.receive().message == number) }
        #expect(try queue.tryReceive() == nil)
    }

    @Test func aClosedQueueIsDrainedAndThenClosedForAll() async throws {
        let queue = try queue(of: Int.self, .unacknowledged())
        for number in 0..<3 { try await queue.send(number) }
        try queue.close()
        #expect(await code { try await queue.send(3) } == .closed)
        #expect(await code { try queue.sendBlocking(3) } == .closed)
        var seen: [Int] = []
        for try await delivery in queue.deliveries {
            seen.append(delivery.message)
            try delivery.acknowledge()
        }
        #expect(seen == [0, 1, 2])
        #expect(await code { _ = try await queue.receive() } == .closed)
        #expect(await code { _ = try queue.receiveBlocking() } == .closed)
        #expect(await code { _ = try queue.tryReceive() } == .closed)
    }

    @Test func closingWakesAllWhoWait() async throws {
        let empty = try queue()
        let full = try queue(capacity: 1024)
        while try full.trySend(0) {}
        let receivers = (0..<3).map { _ in Task { _ = try await empty.receive() } }
        let senders = (0..<3).map { _ in Task { try await full.send(1) } }
        await Task.yield()
        try empty.close()
        try full.close()
        for task in receivers + senders { #expect(await code { try await task.value } == .closed) }
    }

    @Test func aRejectedMessageComesAgainUntilItIsDead() async throws {
        let queue = try queue(of: String.self, .unacknowledged(attempts: 3))
        try await queue.send("bad")
        try await queue.send("good")
        for attempt in 1...3 {
            let delivery = try await queue.receive()
            #expect(delivery.message == "bad")
            #expect(delivery.attempt == attempt)
            try delivery.reject(requeue: true)
            // Once is enough.
            try delivery.acknowledge()
        }
        let good = try await queue.receive()
        #expect(good.message == "good")
        try good.reject(requeue: false)
        let letters = try queue.takeDeadLetters()
        #expect(letters.map(\.message) == ["bad", "good"])
        #expect(letters.map(\.attempts) == [3, 1])
        #expect(queue.stats.dead == 2)
        #expect(queue.stats.free == queue.stats.capacity)
    }

    @Test func aForgottenDeliveryComesAgain() async throws {
        let queue = try queue(of: Int.self, .unacknowledged())
        try await queue.send(1)
        do { _ = try await queue.receive() }
        let delivery = try await queue.receive()
        #expect(delivery.attempt == 2)
        try delivery.acknowledge()
    }

    @Test func aBodyThatThrowsGetsItsMessageAgain() async throws {
        struct Refused: Error {}
        let queue = try queue(of: Int.self, .unacknowledged(attempts: 2))
        for number in 0..<4 { try await queue.send(number) }
        try queue.close()
        var seen: [Int] = []
        try await queue.onReceive { number in
            seen.append(number)
            if number == 1 { throw Refused() }
        }
        #expect(seen == [0, 1, 1, 2, 3])
        #expect(try queue.takeDeadLetters().map(\.message) == [1])
    }

    @Test func withoutRedeliveryABodyThatThrowsEndsTheLoop() async throws {
        struct Refused: Error {}
        let queue = try queue()
        try await queue.send(1)
        await #expect(throws: Refused.self) { try await queue.onReceive { _ in throw Refused() } }
        #expect(queue.count == 0)
        #expect(queue.inFlight == 0)
    }

    @Test func aMessageOverTheLimitIsRefused() async throws {
        let queue = try WorkQueue<String>(name: "small", WorkQueueOptions(capacity: 4096, messageLimit: 100))
        #expect(try queue.trySend(String(repeating: "x", count: 100)))
        #expect(
            await code { try await queue.send(String(repeating: "x", count: 101)) }
                == .messageTooLarge(bytes: 101, limit: 100))
    }

    @Test func senselessOptionsAreErrors() {
        for options in [
            WorkQueueOptions(capacity: 100), WorkQueueOptions(capacity: .max), WorkQueueOptions(messageLimit: 1 << 20),
            WorkQueueOptions(messageLimit: 0), WorkQueueOptions(redelivery: .unacknowledged(attempts: 0)),
            WorkQueueOptions(redelivery: .unacknowledged(attempts: 31)),
        ] {
            #expect(throws: WorkQueueError.self) { try WorkQueue<Int>(name: "odd", options) }
        }
    }

    @Test func errorsNameTheQueue() async throws {
        let queue = try queue()
        try queue.close()
        do {
            try await queue.send(1)
        } catch {
            #expect("\(error)" == "work queue test: closed")
        }
    }

    @Test func aThreadWithoutALoopGetsMessagesToo() async throws {
        let queue = try queue()
        let back = try self.queue()
        async let thread: Void = onThread {
            for _ in 0..<1_000 { try back.sendBlocking(try queue.receiveBlocking().message) }
        }
        for number in 0..<1_000 {
            try await queue.send(number)
            #expect(try await back.receive().message == number)
        }
        try await thread
    }

    @Test func aMessageThatCannotBeReadIsADeadLetterAtOnce() async throws {
        let queue = try WorkQueue<Job>(
            name: "jobs", WorkQueueOptions(redelivery: .unacknowledged()), codec: JobCodec())
        for text in ["one", "broken", "two", "broken"] { try await queue.send(Job(text: text)) }
        try queue.close()
        #expect(try await queue.receive().message == Job(text: "one"))
        // Forgotten above, so it comes again.
        #expect(try await queue.receive(timeout: .seconds(10)).message.text == "one")
        var seen: [String] = []
        try await queue.onReceive { seen.append($0.text) }
        #expect(seen == ["one", "two"])
        let letters = try queue.takeDeadLetters()
        #expect(letters.map(\.message) == [nil, nil])
        #expect(letters.map(\.stored?.bytes) == Array(repeating: [200] + Array("broken".utf8), count: 2))
    }
}

private struct Job: Codable, Equatable {
    var text: String
}

/// Knows one type, and refuses to read one of its values.
private struct JobCodec: ValueCodec {
    struct Refused: Error {}
    let identifier: UInt8 = 200

    func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        guard let job = value as? Job else { throw Refused() }
        return Array(job.text.utf8)
    }

    func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        let job = Job(text: String(decoding: bytes, as: UTF8.self))
        guard job.text != "broken", let value = job as? Value else { throw Refused() }
        return value
    }
}
