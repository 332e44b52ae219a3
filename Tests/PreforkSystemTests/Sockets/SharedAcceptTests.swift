// Listeners that other processes have, too, and change.

import Glibc
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2)), .serialized) struct SharedAcceptTests {
    /// The caller closes it.
    private func connect(to listener: Listener) throws -> Int32 {
        let client = try Socket.open(for: listener.address)
        try? Socket.connect(client, to: listener.address)
        return client
    }

    private func isNonBlocking(_ number: Int32) -> Bool { fcntl(number, F_GETFL) & O_NONBLOCK != 0 }

    @Test func aBlockingListenerIsSetRightAndHoldsNobody() throws {
        for endpoint in [Endpoint.tcp("127.0.0.1", 0), .unix(try temporaryPath())] {
            let listener = try Listener(endpoint)
            defer { listener.close() }
            // As a child in Python does by settimeout(None).
            #expect(fcntl(listener.descriptor, F_SETFL, 0) == 0)
            let answer = try Socket.acceptShared(listener.descriptor)
            #expect(answer.connection == nil && answer.isRepaired)
            #expect(isNonBlocking(listener.descriptor))
            #expect(try !Socket.acceptShared(listener.descriptor).isRepaired)
        }
        Socket.endSharedAccepting()
    }

    /// Between the look at the flag and the call nothing keeps another process from clearing it.
    @Test func aListenerMadeBlockingAtAnyMomentHoldsNobody() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        defer { listener.close() }
        let number = listener.descriptor
        let other = try Restless { _ = fcntl(number, F_SETFL, 0) }
        defer { other.end() }
        var repairs = 0
        var rounds = 0
        // On a busy machine the other thread may not have had its turn by then.
        while rounds < 300 || repairs == 0 && rounds < 1_000_000 {
            rounds += 1
            if rounds > 300 { sched_yield() }
            let answer = try Socket.acceptShared(number)
            #expect(answer.connection == nil)
            if answer.isRepaired { repairs += 1 }
        }
        #expect(repairs > 0)
        Socket.endSharedAccepting()
    }

    @Test func aConnectionIsTakenWhateverTheFlag() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        defer { listener.close() }
        #expect(!Socket.hasConnection(listener.descriptor))
        let client = try connect(to: listener)
        #expect(Socket.hasConnection(listener.descriptor))
        #expect(fcntl(listener.descriptor, F_SETFL, 0) == 0)
        let answer = try Socket.acceptShared(listener.descriptor)
        let socket = try #require(answer.connection?.socket)
        #expect(isNonBlocking(socket) && answer.isRepaired)
        closeDescriptor(socket)
        closeDescriptor(client)
        Socket.endSharedAccepting()
    }

    @Test func aClosedListenerIsAnError() {
        let error = #expect(throws: SystemError.self) { try Socket.acceptShared(-1) }
        #expect(error?.errno == .badDescriptor)
        #expect(Socket.hasConnection(1 << 20))
    }

    @Test(arguments: [Endpoint.tcp("127.0.0.1", 0), .tcp("::1", 0)])
    func aListenerThatWasShutDownListensAgain(endpoint: Endpoint) throws {
        let listener = try Listener(endpoint, backlog: 16)
        defer { listener.close() }
        let address = listener.address
        #expect(shutdown(listener.descriptor, Int32(SHUT_RD)) == 0)
        #expect(throws: SystemError.self) { try Socket.acceptShared(listener.descriptor) }
        #expect(listener.listenAgain())
        #expect(try Socket.localAddress(listener.descriptor) == address)
        #expect(listener.queue == ListenQueue(waiting: 0, limit: 16))
        Socket.endSharedAccepting()
    }

    @Test func theQueueOfEachListenerIsItsOwn() async throws {
        let first = try Listener(.tcp("::", 0), backlog: 16)
        let second = try Listener(.tcp("127.0.0.1", 0), backlog: 8)
        let group = try Listener(.tcp("127.0.0.1", 0), backlog: 4, sharing: .reusePort(queues: 3))
        let client = try connect(to: second)
        try await eventually("one waits") { second.queue == ListenQueue(waiting: 1, limit: 8) }
        #expect(first.queue == ListenQueue(waiting: 0, limit: 16))
        #expect(group.queue == ListenQueue(waiting: 0, limit: 12))
        closeDescriptor(client)
        for listener in [first, second, group] { listener.close() }
        #expect(second.queue == nil)
    }
}

/// A thread that does the same again and again, beside the test's.
private final class Restless: Sendable {
    private let isOver = Atomic(false)
    private let hasEnded = Atomic(false)

    init(_ body: @escaping @Sendable () -> Void) throws {
        try startThread { [self] in
            while !isOver.load(ordering: .acquiring) { body() }
            hasEnded.store(true, ordering: .releasing)
        }
    }

    func end() {
        isOver.store(true, ordering: .releasing)
        while !hasEnded.load(ordering: .acquiring) { sched_yield() }
    }
}
