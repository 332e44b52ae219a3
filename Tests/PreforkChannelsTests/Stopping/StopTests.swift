// What waits for messages when a stop is requested, on a loop of its own: the process of the tests goes on.

import PreforkEventLoop
import PreforkStore
import PreforkTestSupport
import Testing

@testable import PreforkChannels

@Suite(.timeLimit(.minutes(2)))
struct StopTests {
    private func queueCode(_ body: () async throws -> Void) async -> WorkQueueError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? WorkQueueError)?.code
        }
    }

    /// Runs `body` on a loop whose stop is requested as soon as `isWaiting` holds.
    private func stopped<Answer: Sendable>(
        when isWaiting: @escaping @Sendable () -> Bool, _ body: @escaping @Sendable () async throws -> Answer
    ) async throws -> Answer {
        try await onLoop {
            let stop = EventLoop.current!.stopRequest
            return try await withThrowingTaskGroup(of: Answer?.self) { group in
                group.addTask { try await body() }
                group.addTask {
                    try await eventually("somebody waits") { isWaiting() }
                    stop.request()
                    return nil
                }
                var answer: Answer?
                for try await result in group { answer = result ?? answer }
                return answer!  // the first task has returned it, or the loop above has thrown
            }
        }
    }

    @Test func aReceiverOfAQueueIsToldAndOneThatComesLaterToo() async throws {
        let queue = try WorkQueue<Int>(name: "stop")
        let codes = try await stopped(when: { queue.receivers.waiterCount == 2 }) {
            async let other = queueCode { _ = try await queue.receive(timeout: .seconds(60)) }
            let first = await queueCode { _ = try await queue.receive() }
            try await queue.send(1)
            return [first, await other, await queueCode { _ = try await queue.receive() }]
        }
        #expect(codes == [.stopping, .stopping, .stopping])
        // It is for others, and for those who do not wait.
        #expect(try queue.tryReceive()?.message == 1)
    }

    @Test func theLoopsOfAQueueEndAfterTheMessageInHand() async throws {
        let queue = try WorkQueue<Int>(name: "stop", WorkQueueOptions(redelivery: .unacknowledged()))
        for number in 0..<2 { try await queue.send(number) }
        try await stopped(when: { queue.inFlight == 1 }) {
            try await queue.onReceive { _ in try await EventLoop.current?.stopRequest.wait() }
        }
        #expect(queue.stats.acknowledged == 1)
        #expect(queue.count == 1)
        let seen = try await stopped(when: { queue.receivers.waiterCount == 1 }) {
            var seen: [Int] = []
            for try await delivery in queue.deliveries {
                seen.append(delivery.message)
                try delivery.acknowledge()
            }
            return seen
        }
        #expect(seen == [1])
    }

    @Test func aSenderStillGetsRoom() async throws {
        let queue = try WorkQueue<Int>(name: "stop", WorkQueueOptions(capacity: 1024))
        while try queue.trySend(0) {}
        try await stopped(when: { queue.senders.waiterCount == 1 }) {
            async let sent: Void = queue.send(1)
            try await EventLoop.current?.stopRequest.wait()
            _ = try queue.tryReceive()
            try await sent
        }
    }

    @Test func aReceiverOfAChannelIsToldAndWhatArrivesStays() async throws {
        let (near, far) = try Channel<Int>.both()
        let codes = try await stopped(when: { near.end.waiters.hasAny }) {
            let first = await code { _ = try await near.receive() }
            try await far.send(1)
            return [
                first, await code { _ = try await near.receive() },
                await code { _ = try await near.receive(timeout: .seconds(60)) },
                await code { _ = try await near.receiveCall() },
            ]
        }
        #expect(codes == [.stopping, .stopping, .stopping, .stopping])
        #expect(try near.tryReceive() == 1)
    }

    @Test func theMessagesOfAChannelEnd() async throws {
        let (near, far) = try Channel<Int>.both()
        try await far.send(7)
        let seen = try await stopped(when: { near.end.waiters.hasAny }) {
            var seen: [Int] = []
            for try await message in near.messages { seen.append(message) }
            return seen
        }
        #expect(seen == [7])
    }

    @Test func aCallStillGetsItsAnswer() async throws {
        let (near, far) = try Channel<Int>.both()
        let answer = try await stopped(when: { near.end.waiters.hasAny }) {
            async let answer = near.call(20, timeout: .seconds(60))
            async let call = onLoop { try await far.receiveCall() }
            let received = try await call
            try await EventLoop.current?.stopRequest.wait()
            try await received.reply(received.message + 1)
            return try await answer
        }
        #expect(answer == 21)
    }

    @Test func subscriptionsAndWatchesEnd() async throws {
        let store = try SharedStore()
        let count = try await onLoop {
            let loop = EventLoop.current!
            let messages = try store.subscribe("news", as: Int.self)
            let values = try store.watch("key", as: Int.self)
            let events = try await store.subscribe("news")
            return try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask { try await messages.reduce(0) { count, _ in count + 1 } }
                group.addTask { try await values.reduce(0) { count, _ in count + 1 } }
                group.addTask { try await events.reduce(0) { count, _ in count + 1 } }
                // Each has run to where it waits by then: there is one thread.
                loop.call(after: .milliseconds(1)) { loop.stopRequest.request() }
                return try await group.reduce(0, +)
            }
        }
        // The watch has begun with the present value.
        #expect(count == 1)
    }
}
