// Service groups, logs and metrics.

import Glibc
import Testing

@Suite("Service groups, logs and metrics of a pool", .serialized, .timeLimit(.minutes(5)))
struct LifecycleTests {
    static let subject = Subject.http("lifecycle-server")

    @Test("A group that ends by itself ends its worker for good, with exit code 0")
    func groupEnds() async throws {
        let server = try await RunningServer(Self.subject, workers: 2)
        for rest in [1, 0] {
            let caller = HTTPCaller(port: server.port, keepsConnection: false)
            #expect(try await caller.ask(.leave) == "left")
            try await eventually("\(rest) workers\n\(server.program.errors)") { server.program.workers.count == rest }
        }
        #expect(try await server.program.waitForExit() == 0)
    }

    @Test("A worker's stop ends the group's services, and lines say whose they are")
    func stopEndsGroup() async throws {
        let server = try await RunningServer(Self.subject, workers: 2)
        try await eventually("all are ready\n\(server.program.errors)") {
            server.program.errors.contains("all 2 workers are ready")
        }
        try await server.stop()
        let lines = server.program.errors.split(separator: "\n")
        for taskID in 0...1 {
            let own = lines.filter { $0.contains("task_id=\(taskID)") && $0.contains("generation=1") }
            let opened = try #require(own.firstIndex { $0.contains("store open") })
            let closed = try #require(own.firstIndex { $0.contains("store closed") })
            #expect(opened < closed)
        }
        let supervisor = lines.filter { $0.contains("all 2 workers are ready") }
        #expect(supervisor.count == 1)
        #expect(supervisor.allSatisfy { $0.contains("info") && $0.contains("lifecycle-server") })
        #expect(supervisor.allSatisfy { !$0.contains("task_id") })
    }

    @Test("Starts, restarts, reloads and exits are counted")
    func counts() async throws {
        let server = try await RunningServer(Self.subject, workers: 2)
        try await server.waitUntilAllAnswer(server.program.workers)
        kill(try #require(server.program.workers.first), SIGKILL)
        try await eventually("three starts\n\(server.program.errors)") {
            server.program.errors.split(separator: "\n").count { $0.contains(" ready (pid ") } == 3
        }
        try await server.stop()
        let totals = server.program.output.split(separator: "\n").filter { $0.hasPrefix("prefork_") }
        #expect(totals == [
            "prefork_worker_starts_total 3", "prefork_restarts_total 1", "prefork_reloads_total 0",
            "prefork_worker_exits_total 3",
        ])
    }
}
