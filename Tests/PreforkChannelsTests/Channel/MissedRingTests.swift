// Sleepers whose ring never comes: a sibling has taken it away, or died between its change and the ring.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkChannels
@testable import PreforkStore

@Suite(.timeLimit(.minutes(2))) struct MissedRingTests {
    /// Takes the wish to be woken away, so that the sender does not ring.
    private func silence(_ ring: ByteRing) {
        ring.asleep.pointee.store(0, ordering: .sequentiallyConsistent)
    }

    private func sleeps(_ ring: ByteRing) -> Bool { ring.asleep.pointee.load(ordering: .sequentiallyConsistent) == 1 }

    @Test func aTaskAtAChannelGetsItsMessageAllTheSame() async throws {
        let (near, far) = try Channel<Int>.both()
        // Coming to an end rings, too.
        try near.attach()
        let ring = near.core.memory.ring(.messages, from: .creator)
        async let received = far.receive()
        try await eventually("it sleeps") { !far.end.waiters.isEmpty && sleeps(ring) }
        silence(ring)
        #expect(try near.trySend(7))
        #expect(try await received == 7)
    }

    @Test func aThreadAtAChannelGetsItsMessageAllTheSame() async throws {
        let (near, far) = try Channel<Int>.both()
        // Coming to an end rings, too.
        try near.attach()
        let ring = near.core.memory.ring(.messages, from: .creator)
        let received = Log<Int>()
        try startThread { if let number = try? far.receiveBlocking() { received.add(number) } }
        try await eventually("it sleeps") { far.end.waiters.hasLeader && sleeps(ring) }
        silence(ring)
        #expect(try near.trySend(7))
        try await eventually("it has the message") { received.all == [7] }
    }

    @Test func aThreadsTimeoutIsItsOwn() throws {
        let (_, far) = try Channel<Int>.both()
        let start = MonotonicInstant.now
        let error = #expect(throws: ChannelError.self) { try far.receiveBlocking(timeout: .milliseconds(1_200)) }
        #expect(error?.code == .timedOut)
        #expect(MonotonicInstant.now - start >= .milliseconds(1_200))
    }

    @Test func aCallGetsItsReplyAllTheSame() async throws {
        let (near, far) = try Channel<Int>.both()
        async let answer = near.call(1, timeout: .seconds(60))
        let call = try await far.receiveCall()
        let ring = near.core.memory.ring(.replies, from: .peer)
        try await eventually("it sleeps") { !near.end.waiters.isEmpty && sleeps(ring) }
        silence(ring)
        try await call.reply(call.message + 1)
        #expect(try await answer == 2)
    }

    @Test func aReceiverOfAQueueGetsItsMessageAllTheSame() async throws {
        let queue = try WorkQueue<Int>(name: "test")
        async let number = queue.receive().message
        try await eventually("it sleeps") { queue.receivers.waiterCount == 1 && queue.table[.receiversSleep] != 0 }
        queue.table[.receiversSleep] = 0
        #expect(try queue.trySend(7))
        #expect(try await number == 7)
    }

    @Test func aThreadAtAQueueGetsItsMessageAllTheSame() async throws {
        let queue = try WorkQueue<Int>(name: "test")
        let received = Log<Int>()
        try startThread { if let delivery = try? queue.receiveBlocking() { received.add(delivery.message) } }
        try await eventually("it sleeps") { queue.table[.receiversSleep] != 0 }
        queue.table[.receiversSleep] = 0
        #expect(try queue.trySend(7))
        try await eventually("it has the message") { received.all == [7] }
    }

    @Test func aSubscriberGetsItsMessageAllTheSame() async throws {
        let store = try SharedStore()
        let messages = try store.subscribe("news", as: Int.self)
        async let first: StoreMessage<Int>? = {
            var iterator = messages.makeAsyncIterator()
            return try await iterator.next()
        }()
        try await eventually("it sleeps") { store.table.memory[Header.sleepers] != 0 }
        store.table.memory[Header.sleepers] = 0
        try store.publish("news", 7)
        #expect(try await first == .message(7))
    }

    /// All processes share the open file: everything that a sibling can do to a bell.
    @Test func bellsThatASiblingSpoilsLoseNoMessage() async throws {
        let (near, far) = try Channel<Int>.both()
        let store = try SharedStore()
        let messages = try store.subscribe("news", as: Int.self)
        let numbers = [far.core.memory.bell(of: .peer), far.core.memory.bell(of: .creator), store.descriptors.bell]
        let spoiler = Spoiler(numbers)
        defer { spoiler.end() }
        try startThread { spoiler.run() }
        async let published: [StoreMessage<Int>?] = {
            var iterator = messages.makeAsyncIterator()
            var received: [StoreMessage<Int>?] = []
            for _ in 0..<20 { received.append(try await iterator.next()) }
            return received
        }()
        for number in 0..<20 {
            async let received = far.receive()
            try await EventLoop.sleep(for: .milliseconds(1))
            try store.publish("news", number)
            try await near.send(number)
            #expect(try await received == number)
        }
        #expect(try await published == (0..<20).map { .message($0) })
    }
}

/// Takes rings away, and O_NONBLOCK, as fast as it can.
private final class Spoiler: Sendable {
    private let numbers: [Int32]
    private let calls = Log<Bool>()
    private let ended = Log<Bool>()

    init(_ numbers: [Int32]) {
        self.numbers = numbers.map { dup($0) }
    }

    func run() {
        while calls.all.isEmpty {
            for number in numbers {
                _ = fcntl(number, F_SETFL, 0)
                if let bell = try? Bell(adopting: Descriptor(owning: dup(number))) { bell.clear() }
            }
        }
        for number in numbers { close(number) }
        ended.add(true)
    }

    func end() {
        calls.add(true)
        while ended.all.isEmpty { usleep(1_000) }
    }
}
