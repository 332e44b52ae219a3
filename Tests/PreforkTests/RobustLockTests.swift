// A lock between processes whose owner is killed, stopped or ends.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct RobustLockTests {
    private func output(_ scenario: String) async throws -> [Substring] {
        let program = try ChildProgram("fork-fixture", [scenario])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        return program.output.split(separator: "\n")
    }

    @Test func aKilledOwnersLockGoesToTheNextOneWithTheNews() async throws {
        let lines = try await output("lock-owner-dies")
        try #require(lines.count == 3, "\(lines)")
        #expect(lines[0].contains("EBUSY"))
        #expect(lines[1...] == ["after the kill: ownerDied", "after the recovery: clean"])
    }

    @Test func aLockThatNobodyRecoveredSaysSoForEver() async throws {
        let lines = try await output("lock-not-recovered")
        #expect(lines.first == "ownerDied")
        #expect(lines.last?.contains("ENOTRECOVERABLE") == true)
    }

    @Test func aStoppedOwnerKeepsItsLockAndTheOthersGetATimeout() async throws {
        let lines = try await output("lock-owner-stopped")
        #expect(lines.first?.contains("ETIMEDOUT") == true)
        #expect(lines.last == "ownerDied")
    }
}
