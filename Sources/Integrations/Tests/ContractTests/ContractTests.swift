// What each server keeps in Prefork's workers.

import Glibc
import Testing

@Suite("Servers of other packages in workers", .serialized, .timeLimit(.minutes(5)))
struct ContractTests {
    static let subjects: [Subject] = [
        .http("nio-server"), .http("hummingbird-server"), .http("router-server"), .http("application-server"),
        .http("types-server"), .http("lifecycle-server"), .http("flyingfox-server"),
        .http("client-server", needsUpstream: true),
        Subject(product: "grpc-server") { try GRPCCaller(port: $0, keepsConnection: $1) },
    ]

    @Test("All workers answer", arguments: subjects)
    func allAnswer(subject: Subject) async throws {
        let server = try await RunningServer(subject, workers: 3)
        try await server.waitUntilAllAnswer(server.program.workers)
        try await server.stop()
    }

    @Test("A killed worker is replaced, and the others serve on", arguments: subjects)
    func killed(subject: Subject) async throws {
        let server = try await RunningServer(subject, workers: 2)
        let load = try await Load(subject, port: server.port)
        try await load.waitForMore(20)
        let before = server.program.workers
        let victim = try #require(before.first)
        kill(victim, SIGKILL)
        try await eventually("a successor\n\(server.program.errors)") {
            let now = server.program.workers
            return now.count == 2 && !now.contains(victim)
        }
        // Requests whose connection died with it may fail. Later requests may not.
        _ = await load.end()
        let after = try await Load(subject, port: server.port)
        try await server.waitUntilAllAnswer(server.program.workers)
        let outcome = await after.end()
        #expect(outcome.failures == [])
        try await server.stop()
    }

    @Test("A request in hand is answered before a stop", arguments: subjects)
    func drains(subject: Subject) async throws {
        let server = try await RunningServer(subject, workers: 2)
        let caller = try await subject.makeCaller(server.port, true)
        let answer = Task { try await caller.ask(.slow) }
        try await eventually("a slow request in hand\n\(server.program.errors)") {
            server.program.output.contains("slow request in hand")
        }
        server.program.send(SIGTERM)
        #expect(try await answer.value == "slow")
        await caller.close()
        #expect(try await server.program.waitForExit() == 0)
        #expect(!server.program.isAnybodyLeft)
    }

    @Test("A request that has crashed a worker is refused while it is in quarantine",
        .disabled("it was in flight and not known to be executing, so that its crash does not count"),
        arguments: [.http("nio-server"), .http("hummingbird-server"), .http("flyingfox-server")] as [Subject])
    func refuses(subject: Subject) async throws {
        let server = try await RunningServer(subject, workers: 1, environment: ["PREFORK_QUARANTINE": "1/300s"])
        let caller = try await subject.makeCaller(server.port, true)
        let lost = Task { try await caller.ask(.slow) }
        try await eventually("a slow request in hand\n\(server.program.errors)") {
            server.program.output.contains("slow request in hand")
        }
        let victim = try #require(server.program.workers.first)
        kill(victim, SIGSEGV)
        await #expect(throws: CallError.self) { try await lost.value }
        try await eventually("a successor\n\(server.program.errors)") {
            server.program.workers.count == 1 && !server.program.workers.contains(victim)
        }
        let next = try await subject.makeCaller(server.port, true)
        #expect(try await next.ask(.who) == "\(server.program.workers.first ?? 0)")
        let refused = await #expect(throws: CallError.self) { try await next.ask(.slow) }
        #expect(refused?.description.contains("status 503") == true, "\(String(describing: refused))")
        // Another request of the same client is answered, by the same worker.
        #expect(try await next.ask(.who) == "\(server.program.workers.first ?? 0)")
        #expect(server.program.errors.contains("is in quarantine"))
        try await server.stop()
    }

    @Test("Reloads under load lose no request", arguments: subjects)
    func reloads(subject: Subject) async throws {
        let server = try await RunningServer(subject, workers: 2)
        let load = try await Load(subject, port: server.port)
        for _ in 1...3 {
            try await load.waitForMore(50)
            let before = server.program.workers
            server.program.send(SIGHUP)
            try await eventually("only new workers: \(before), \(server.program.workers)\n\(server.program.errors)") {
                let now = server.program.workers
                return now.count == 2 && now.isDisjoint(with: before)
            }
        }
        try await load.waitForMore(50)
        let outcome = await load.end()
        #expect(outcome.failures == [])
        try await server.stop()
        // Where a client may ask again, the server's own count says whether an answer was lost.
        let begun = server.program.output.split(separator: "\n").filter { $0.hasPrefix("calls begun: ") }
            .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        if subject.product == "grpc-server" {
            #expect(begun.count == 8, "two workers in each of four generations")
            #expect(begun.reduce(0, +) == outcome.answered)
        }
    }
}

/// A server that answers, and what it needs beside it.
struct RunningServer {
    let subject: Subject
    let program: ServerProgram
    let port: UInt16
    private let upstream: ServerProgram?

    init(_ subject: Subject, workers: Int, environment: [String: String] = [:]) async throws {
        self.subject = subject
        var environment = environment
        if subject.needsUpstream {
            let upstream = try ServerProgram("nio-server", workers: 1)
            environment["UPSTREAM_PORT"] = "\(try await upstream.port())"
            self.upstream = upstream
        } else {
            upstream = nil
        }
        let program = try ServerProgram(subject.product, workers: workers, environment: environment)
        self.program = program
        port = try await program.port()
        try await eventually("\(workers) workers\n\(program.errors)") {
            program.workers.count == workers
        }
    }

    /// Waits until each of `workers` has answered a client.
    func waitUntilAllAnswer(_ workers: Set<Int32>) async throws {
        var seen: Set<Int32> = []
        try await eventually("answers of \(workers), not only of \(seen)\n\(program.errors)") {
            // Some at a time, so that not one worker takes them all.
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<8 {
                    let caller = try await subject.makeCaller(port, false)
                    group.addTask {
                        do {
                            let answer = try await caller.ask(.who)
                            await caller.close()
                            return answer
                        } catch {
                            await caller.close()
                            throw error
                        }
                    }
                }
                for try await answer in group { seen.insert(Int32(answer) ?? -1) }
            }
            return seen.isSuperset(of: workers)
        }
        #expect(seen == workers)
    }

    func stop() async throws {
        program.send(SIGTERM)
        #expect(try await program.waitForExit() == 0)
        #expect(!program.isAnybodyLeft)
    }
}
