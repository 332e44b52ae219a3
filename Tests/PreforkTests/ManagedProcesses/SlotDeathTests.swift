// Calls to a process that dies: those that it had taken fail, all others wait for its successor, if one comes.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct SlotDeathTests {
    private func lines(_ arguments: String...) async throws -> [String] {
        let program = try ChildProgram("manager-fixture", arguments)
        let code = try await program.waitForExit(within: .seconds(100))
        #expect(code == 0, "\(program.output)\n\(program.errors)")
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test(arguments: ["worker", "managed"], ["main", "managed", "worker"])
    func `One call fails for a death, and the successor answers the others`(
        callee: String, caller: String
    ) async throws {
        let expected = [
            "first: 51", "dying: peerDied(generation: 1)", "queued: 62", "next: 72", "outcome stopped",
        ]
        #expect(try await lines("slot-deaths", "callee=\(callee)", "caller=\(caller)") == expected)
    }

    @Test(arguments: ["managed", "worker"])
    func `The same holds for a channel that was made after the forks`(caller: String) async throws {
        let expected = [
            "first: 51", "dying: peerDied(generation: 1)", "queued: 62", "next: 72", "outcome stopped",
        ]
        #expect(try await lines("slot-deaths", "callee=worker", "caller=\(caller)", "made=late") == expected)
    }

    @Test(arguments: ["ignored", "exited", "stopped", "scaled"])
    func `A call fails as soon as no successor will come`(end: String) async throws {
        let expected = ["dying: peerDied(generation: 1)", "next: peerDied(generation: 1)", "outcome stopped"]
        #expect(try await lines("slot-ends", "end=\(end)") == expected)
    }
}
