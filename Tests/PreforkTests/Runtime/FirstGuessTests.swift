// The ten programs of `guess-fixture`, whose authors have not read this package's documents, do what their authors
// mean.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct FirstGuessTests {
    private func lines(of name: String, _ environment: [String: String] = [:]) async throws -> [String] {
        let program = try ChildProgram("guess-fixture", [name], environment: environment)
        let status = try await program.waitForExit(within: .seconds(60))
        #expect(status == 0, "\(name): \(program.output)\(program.errors)")
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test func workers() async throws {
        let lines = try await lines(of: "workers", ["PREFORK_WORKERS": "2"])
        #expect(lines.sorted() == ["worker 0 has the listener: true", "worker 1 has the listener: true"])
        #expect(try await self.lines(of: "restarts").sorted() == ["worker 0", "worker 1"])
    }

    @Test func aRuntime() async throws {
        let lines = try await lines(of: "runtime")
        #expect(lines.first == "at most 3" && lines.last == "over")
        #expect(lines.dropFirst().dropLast().sorted() == ["worker 0", "worker 1"])
        #expect(try await self.lines(of: "server") == ["true", "ended"])
    }

    @Test func programs() async throws {
        #expect(try await lines(of: "popen") == ["/ hello", "the rest", "true true"])
        #expect(try await lines(of: "signals") == ["terminated", "killed"])
        #expect(try await lines(of: "run") == ["hi", "3 sh -c 'exit 3'"])
    }

    @Test func namedProcesses() async throws {
        let lines = try await lines(of: "manager")
        #expect(lines.sorted() == ["restarted true", "x"])
    }

    @Test func aStore() async throws {
        #expect(try await lines(of: "store") == ["value default", "not there"])
    }

    @Test func services() async throws {
        #expect(
            try await lines(of: "services") == [
                "b started", "a started 42", "b runs: true", "a stopped", "b stopped",
            ])
    }
}
