// A service that is asked to stop and goes on for a while, so that load balancers learn of it.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct StopDelayTests {
    /// What `/readyz` says, asked for at a socket that has a path.
    private func waitForReadiness(_ status: Int, _ metrics: String) async throws {
        try await eventually("/readyz is \(status)") {
            guard let number = try? Socket.open(for: .unix(path: metrics)) else { return false }
            let socket = Descriptor(owning: number)
            guard (try? Socket.connect(socket.number, to: .unix(path: metrics))) != nil else { return false }
            let request = "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            _ = try? request.utf8.withContiguousStorageIfAvailable { try sendBytes(to: socket.number, UnsafeRawBufferPointer($0)) }
            _ = try? Polling.waitUntilReadable([socket.number], until: .now + .seconds(5))
            var answer = [UInt8](repeating: 0, count: 64)
            _ = try? answer.withUnsafeMutableBytes { try readBytes(from: socket.number, into: $0) }
            return String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 \(status) ")
        }
    }

    @Test func readinessSaysNoAtOnceAndClientsAreServedUntilTheDrain() async throws {
        let (metrics, control) = (try temporaryPath(), try temporaryPath())
        let server = try await OperatedProgram(
            ["workers=2"],
            environment: [
                "PREFORK_METRICS": metrics, "PREFORK_CONTROL": control, "PREFORK_STOP_DELAY": "1h",
            ])
        try await waitForReadiness(200, metrics)
        server.program.send(.terminate)
        try await server.waitForLog(containing: "stop asked for: not ready any more, serving for another 60 min 0 s")
        try await waitForReadiness(503, metrics)
        // A worker that dies in the delay has a successor.
        let victim = try server.ask().pid
        kill(victim, SIGKILL)
        try await eventually("a successor") { server.workers.count == 2 && !server.workers.contains(victim) }
        for _ in 0..<20 { #expect(try server.ask().generation == 1) }
        for command in [["reload"], ["upgrade"], ["scale", "3"]] {
            let tool = try ChildProgram("preforkctl", ["--socket", control] + command)
            #expect(try await tool.waitForExit() != 0)
            #expect(tool.errors.contains("the pool is stopping"), "\(tool.errors)")
        }
        let tool = try ChildProgram("preforkctl", ["--socket", control, "status"])
        #expect(try await tool.waitForExit() == 0)
        #expect(tool.output.contains("delayingStop"), "\(tool.output)")
        // The second order ends the delay.
        #expect(try await server.end())
    }

    @Test func theDrainBeginsAfterTheDelay() async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_STOP_DELAY": "200ms"])
        server.program.send(.terminate)
        #expect(try await server.program.waitForExit() == 0)
        let log = server.program.errors
        let lines = log.split(separator: "\n")
        let asked = lines.firstIndex { $0.contains("serving for another 200 ms") }
        let begun = lines.firstIndex { $0.contains("stopping: workers finish") }
        #expect(try #require(asked) < (try #require(begun)), "\(log)")
        #expect(server.program.groupSize == 0)
    }

    @Test func aProgramThatIsOnProbationDoesNotLeadBackToTheOneBefore() async throws {
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_STOP_DELAY": "1h", "PREFORK_PROBATION": "1h"], ownCopy: true)
        server.program.send(.user2)
        try await server.waitForLog(containing: "on probation")
        server.program.send(.terminate)
        try await server.waitForLog(containing: "serving for another 60 min 0 s")
        for worker in server.workers { kill(worker, SIGKILL) }
        try await eventually("answers") { (try? server.ask()) != nil }
        #expect(server.count("rolling back") == 0)
        #expect(try await server.end())
    }
}
