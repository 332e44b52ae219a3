// A worker that was taken over leaves with exit code 0, and its slot is empty until an operator orders a new worker.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct EndedSlotProcessTests {
    private let socket: String
    private let server: OperatedProgram

    init() async throws {
        socket = try temporaryPath()
        server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_CONTROL": socket])
    }

    private func tool(_ words: String...) async throws -> (code: Int32, output: String) {
        let program = try ChildProgram("preforkctl", words, environment: ["PREFORK_CONTROL": socket])
        let code = try await program.waitForExit(within: .seconds(60))
        return (code, program.output + program.errors)
    }

    /// The states of the slots, by slot.
    private func states() async throws -> [String: String] {
        let lines = try await tool("status").output.split(separator: "\n").map { $0.split(separator: " ") }
        return Dictionary(
            lines.filter { $0.count > 3 && Int($0[0]) != nil }.map { (String($0[0]), String($0[3])) },
            uniquingKeysWith: { first, _ in first })
    }

    /// - Returns: the slot whose worker has left.
    private func leave() async throws -> String {
        // The answer never comes.
        _ = try? get("/leave", port: server.port)
        var ended: String?
        try await eventually("a slot is shown as ended\n\(server.program.errors)") {
            ended = try await states().first { $0.value == "ended" }?.key
            return ended != nil
        }
        #expect(try await states().values.sorted() == ["ended", "ready"])
        return try #require(ended)
    }

    private func waitForBoth() async throws {
        try await eventually("both serve\n\(server.program.errors)") {
            try await states() == ["0": "ready", "1": "ready"]
        }
    }

    @Test func `Each order for new workers fills the slot of one that left with exit code 0`() async throws {
        let slot = try await leave()
        let (code, output) = try await tool("restart", slot, "--wait")
        #expect(code == 0 && output.hasPrefix("worker \(slot): pid ") && output.hasSuffix(" serves\n"), "\(output)")
        try await waitForBoth()
        _ = try await leave()
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        try await waitForBoth()
        _ = try await leave()
        server.program.send(.user2)
        try await server.waitForLog(containing: "reload: generation 3 serves")
        try await waitForBoth()
        #expect(try await server.end())
    }
}
