// One of several processes that accept from one queue leaves: loops with threads of their own stand for them here.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkEventLoop

@Suite(.timeLimit(.minutes(2))) struct LeavingServerTests {
    @Test func whoFinishesARequestTakesNoConnectionFromTheOthers() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let release = StopRequest()
        // The first in the kernel's queue of sleepers, and still there after the wait for its client.
        let leaving = try await ServingLoop(listener) { try await release.wait() }
        let inFlight = try Client(port: listener.address.port ?? 0)
        try inFlight.send("held\n")
        try await eventually("it is in flight") { leaving.requests == 1 }
        leaving.stop()
        let staying = try await ServingLoop(listener)
        for number in 1...10 {
            let client = try Client(port: listener.address.port ?? 0)
            try client.send("next\n")
            try await eventually("answer \(number)") { client.hasInput }
        }
        #expect(leaving.requests == 1 && staying.requests == 10)
        release.request()
        try await eventually("the last answer") { inFlight.hasInput }
        try await leaving.waitForEnd()
        staying.stop()
        try await staying.waitForEnd()
    }

    @Test func whoLeavesTakesTheQueueWhenTheOthersLeaveToo() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let release = StopRequest()
        let leaving = try await ServingLoop(listener) { try await release.wait() }
        let inFlight = try Client(port: listener.address.port ?? 0)
        try inFlight.send("held\n")
        try await eventually("it is in flight") { leaving.requests == 1 }
        leaving.stop()
        let queued = try (1...3).map { _ in try Client(port: listener.address.port ?? 0) }
        for client in queued { try client.send("queued\n") }
        leaving.stop(.service)
        release.request()
        for client in [inFlight] + queued { try await eventually("an answer") { client.hasInput } }
        #expect(leaving.requests == 4)
        try await leaving.waitForEnd()
    }

    @Test func whoIsFullAtTheEndOfTheServiceTakesTheQueueOneByOne() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let release = StopRequest()
        let server = try await ServingLoop(listener, limit: 1) { try await release.wait() }
        let clients = try (1...4).map { _ in try Client(port: listener.address.port ?? 0) }
        for client in clients { try client.send("hello\n") }
        try await eventually("one is in flight") { server.requests == 1 }
        server.stop(.service)
        release.request()
        for client in clients { try await eventually("an answer") { client.hasInput } }
        #expect(server.requests == 4)
        try await server.waitForEnd()
    }

    /// Between connecting and asking there is a moment, in which the service's end may come.
    @Test func whoHasJustConnectedAtTheEndOfTheServiceIsAnswered() async throws {
        // The server waits half a second for the request, which a busy machine may let pass.
        for _ in 1...10 where try await answersWhoHasJustConnected() { return }
        Issue.record("the end of the service waited for no first request")
    }

    private func answersWhoHasJustConnected() async throws -> Bool {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let server = try await ServingLoop(listener)
        let idle = try Client(port: listener.address.port ?? 0)
        try idle.send("hello\n")
        try await eventually("its answer") { idle.hasInput }
        #expect(try idle.receive() == Array("hello\n".utf8))
        let client = try Client(port: listener.address.port ?? 0)
        try await eventually("it is accepted") { server.connections == 2 }
        server.stop(.service)
        // One that has had an answer is closed at once.
        try await eventually("the end of the idle one") { idle.hasInput }
        #expect(try idle.receive().isEmpty)
        try? client.send("hello\n")
        try await eventually("an answer, or the end") { client.hasInput }
        let answer = try? client.receive()
        try await server.waitForEnd()
        return answer == Array("hello\n".utf8)
    }

    /// The kernel wakes one for each connection. Here it is always the one that hears of its stop at the same time:
    /// its thread gets the processor, which it has to share with the client, when both have happened.
    @Test func theConnectionThatWokeWhoLeavesIsAnswered() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        for round in 1...20 {
            let leaving = try await ServingLoop(listener, onOneProcessor: true)
            let staying = try await ServingLoop(listener)
            let client = try await withCheckedThrowingContinuation { continuation in
                do {
                    try startThread {
                        continuation.resume(
                            with: Result {
                                try useOneProcessor()
                                let client = try Client(port: listener.address.port ?? 0)
                                leaving.stop()
                                return client
                            })
                    }
                } catch { continuation.resume(throwing: error) }
            }
            try client.send("hello\n")
            try await eventually("an answer in round \(round)") { client.hasInput }
            #expect(leaving.requests + staying.requests == 1)
            staying.stop()
            try await leaving.waitForEnd()
            try await staying.waitForEnd()
        }
    }
}

/// Lets the calling thread run on one processor only, the same for all that call this.
private func useOneProcessor() throws {
    try ProcessorAffinity.set([#require(try ProcessorAffinity.allowed().first)])
}

/// A loop with a thread of its own, which answers every line of its clients.
private final class ServingLoop: Sendable {
    private let loop: EventLoop
    private let lines = Calls()
    private let accepted = Calls()
    private let ends = Calls()

    /// How many clients it has taken.
    var connections: Int { accepted.count }
    /// How many lines have come.
    var requests: Int { lines.count }

    /// Returns when it waits for clients.
    ///
    /// - Parameter answer: done before each answer.
    init(
        _ listener: Listener, limit: Int = 100, onOneProcessor: Bool = false,
        before answer: @escaping @Sendable () async throws -> Void = {}
    ) async throws {
        loop = try EventLoop()
        // As in a worker: who has connected may ask before it is sent away.
        loop.idleLinger = .seconds(20)
        let (loop, lines, accepted, ends) = (loop, lines, accepted, ends)
        let waits = Calls()
        loop.onFirstWait = { waits.add() }
        try startThread {
            do {
                if onOneProcessor { try useOneProcessor() }
                try loop.run {
                    try await listener.serve(limit: limit) { connection in
                        accepted.add()
                        while try await connection.reader.waitForMessage() {
                            let line = try await connection.reader.read(until: "\n", limit: 100)
                            lines.add()
                            try await answer()
                            try await connection.writer.write(line)
                            if connection.isDraining { return }
                        }
                    }
                }
            } catch { Issue.record("a serving loop: \(error)") }
            ends.add()
        }
        try await eventually("it waits") { waits.count == 1 }
    }

    func stop(_ reach: StopRequest.Reach = .worker) { loop.stopRequest.request(reach) }

    func waitForEnd() async throws {
        try await eventually("its end") { self.ends.count == 1 }
    }
}
