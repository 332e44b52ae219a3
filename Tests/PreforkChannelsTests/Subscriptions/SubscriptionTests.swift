// Publishing, subscribing and watching in one process.

import PreforkChannels
import PreforkEventLoop
import PreforkStore
import PreforkTestSupport
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct SubscriptionTests {
    private struct Settings: Codable, Equatable {
        var limit: Int
        var name: String
    }

    @Test func messagesArriveInOrderAlsoAtTheirPublisher() async throws {
        let store = try SharedStore()
        let messages = try store.subscribe("news", as: Int.self)
        for number in 0..<100 { try store.publish("news", number) }
        var iterator = messages.makeAsyncIterator()
        for number in 0..<100 { #expect(try await iterator.next() == .message(number)) }
    }

    @Test func aWaitingSubscriberIsWoken() async throws {
        let store = try SharedStore()
        let messages = try store.subscribe("settings", as: Settings.self)
        async let first: StoreMessage<Settings>? = {
            var iterator = messages.makeAsyncIterator()
            return try await iterator.next()
        }()
        try await EventLoop.sleep(for: .milliseconds(1))
        try store.publish("other", 1)
        try store.publish("settings", Settings(limit: 3, name: "x"))
        #expect(try await first == .message(Settings(limit: 3, name: "x")))
    }

    @Test func callbacksAreCalledOneAfterTheOtherUntilUnsubscribed() async throws {
        let store = try SharedStore()
        let received = Mutex<[String]>([])
        let subscription = try store.onSubscriberReceive("news") { (text: String) in
            received.withLock { $0.append(text) }
            try? await EventLoop.sleep(for: .microseconds(100))
            received.withLock { $0.append("end of \(text)") }
        }
        try store.publish("news", "a")
        try store.publish("news", "b")
        try await eventually("the callbacks have run") {
            received.withLock { $0 == ["a", "end of a", "b", "end of b"] }
        }
        subscription.unsubscribe()
        try store.publish("news", "c")
        let second = Mutex<[String]>([])
        let other = try store.onSubscriberReceive("news") { (text: String) in second.withLock { $0.append(text) } }
        try store.publish("news", "d")
        try await eventually("the callbacks have run") { second.withLock { $0 == ["d"] } }
        #expect(received.withLock { $0.count } == 4)
        other.unsubscribe()
    }

    @Test func aSlowSubscriberLearnsHowMuchItLost() async throws {
        let store = try SharedStore(capacity: .init(entries: 10, bytes: 64 << 10, publishLog: 1))
        let messages = try store.subscribe("news", as: Int.self)
        for number in 1...1_000 {
            try store.publish("news", number)
            try store.publish("noise", "of another channel")
        }
        var iterator = messages.makeAsyncIterator()
        guard case .lagged(let lost)? = try await iterator.next() else { throw Unexpected() }
        #expect(lost > 500)
        for number in lost + 1...1_000 { #expect(try await iterator.next() == .message(number)) }
    }

    @Test func aMessageOfAnotherTypeIsAnErrorAndTheSequenceGoesOn() async throws {
        let store = try SharedStore()
        let messages = try store.subscribe("numbers", as: Int.self)
        try store.publish("numbers", "seven")
        try store.publish("numbers", 7)
        var iterator = messages.makeAsyncIterator()
        await #expect(throws: ValueMismatch.self) { try await iterator.next() }
        #expect(try await iterator.next() == .message(7))
    }

    @Test func aNamedSubscriptionGoesOnWhereItsPredecessorWas() async throws {
        let store = try SharedStore()
        var first: StoreMessages<Int>? = try store.subscribe("news", from: .resuming(as: "me"))
        for number in 1...5 { try store.publish("news", number) }
        var iterator = first?.makeAsyncIterator()
        for number in 1...3 { #expect(try await iterator?.next() == .message(number)) }
        iterator = nil
        first = nil
        try store.publish("news", 6)
        let second: StoreMessages<Int> = try store.subscribe("news", from: .resuming(as: "me"))
        var next = second.makeAsyncIterator()
        for number in 4...6 { #expect(try await next.next() == .message(number)) }
    }

    @Test func cancellingAndUnsubscribingEndAWait() async throws {
        let store = try SharedStore()
        let messages = try store.subscribe("silence", as: Int.self)
        let waiting = Task {
            var iterator = messages.makeAsyncIterator()
            return try await iterator.next()
        }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        let again = Task {
            var iterator = messages.makeAsyncIterator()
            return try await iterator.next()
        }
        try await EventLoop.sleep(for: .milliseconds(1))
        messages.unsubscribe()
        #expect(try await again.value == nil)
    }

    @Test func aWatcherSeesTheFirstAndEveryLastValue() async throws {
        let store = try SharedStore()
        let values = try store.watch("limit", as: Int.self)
        var iterator = values.makeAsyncIterator()
        #expect(try await iterator.next() == .some(nil))
        try store.set("limit", 1)
        try store.set("limit", 2)
        #expect(try await iterator.next() == 2)
        async let next = { var iterator = values.makeAsyncIterator(); return try await iterator.next() }()
        try await EventLoop.sleep(for: .milliseconds(1))
        try store.set("other", 5)
        try store.increment("limit", by: 40)
        #expect(try await next == 42)
        var step = AtomicStep()
        step.set("limit", 7)
        step.delete("other")
        _ = try store.perform(step)
        #expect(try await iterator.next() == 7)
        try store.delete("limit")
        #expect(try await iterator.next() == .some(nil))
    }

    @Test func aWatcherSeesAnExpiry() async throws {
        let store = try SharedStore()
        try store.set("lease", "mine")
        let values = try store.watch("lease", as: String.self)
        var iterator = values.makeAsyncIterator()
        #expect(try await iterator.next() == "mine")
        #expect(try store.setLife("lease", .milliseconds(20)))
        #expect(try await iterator.next() == .some(nil))
    }

    @Test func manyWatchersAndSubscribersOfOneProcessShareTheBell() async throws {
        let store = try SharedStore()
        let count = Mutex(0)
        var subscriptions: [StoreSubscription] = []
        for _ in 0..<64 {
            subscriptions.append(
                try store.onSubscriberReceive("news") { (_: Int) in count.withLock { $0 += 1 } })
        }
        for number in 0..<50 { try store.publish("news", number) }
        try await eventually("the callbacks have run") { count.withLock { $0 == 64 * 50 } }
        subscriptions.forEach { $0.unsubscribe() }
    }

    private struct Unexpected: Error {}
}
