// The engine by itself: which call starts a process, and what its plan says.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct SpawnTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func reap(_ child: ChildProcess) async throws -> ProcessExit {
        var exit: ProcessExit?
        try await eventually("the child has ended") {
            exit = try child.reap()
            return exit != nil
        }
        return try #require(exit)
    }

    @Test func cloneIsTheWayAndGivesAPidfd() async throws {
        let plan = SpawnPlan(programs: [bytes("/bin/true")], arguments: [bytes("true")])
        let spawned = try spawnProcess(plan, engine: SpawnEngine())
        #expect(spawned.call == .clone)
        #expect(spawned.child.pidfdNumber != nil)
        #expect(try await reap(spawned.child).status == .exited(code: 0))
    }

    @Test func posixSpawnIsTheOtherWay() async throws {
        var engine = SpawnEngine()
        engine.call = .posixSpawn
        let plan = SpawnPlan(
            programs: [bytes("/nowhere/x"), bytes("/bin/sh")], arguments: ["sh", "-c", "exit 5"].map(bytes))
        let spawned = try spawnProcess(plan, engine: engine)
        #expect(spawned.call == .posixSpawn)
        #expect(try await reap(spawned.child).status == .exited(code: 5))
    }

    @Test func theMostTellingFailureOfASearchIsReported() throws {
        for call in [SpawnEngine.Call.clone, .posixSpawn] {
            var engine = SpawnEngine()
            engine.call = call
            let plan = SpawnPlan(programs: ["/nowhere/x", "/tmp", "/nowhere/y"].map(bytes), arguments: [bytes("x")])
            #expect(throws: SpawnError(.exec, SystemError("execve", Errno(rawValue: EACCES), on: "/tmp"))) {
                try spawnProcess(plan, engine: engine)
            }
        }
    }

    @Test func editsOfAnEnvironmentAreExact() {
        var edits = EnvironmentEdits()
        setenv("PREFORK_TEST_EDIT", "old", 1)
        #expect(edits.value(of: bytes("PREFORK_TEST_EDIT")) == bytes("old"))
        edits.set(bytes("PREFORK_TEST_EDIT"), to: [0xFF])
        #expect(edits.value(of: bytes("PREFORK_TEST_EDIT")) == [0xFF])
        edits.set(bytes("PREFORK_TEST_EDIT"), to: nil)
        #expect(edits.value(of: bytes("PREFORK_TEST_EDIT")) == nil)
        #expect(edits.changes.count == 1)
        edits.inheritsAll = false
        #expect(edits.value(of: bytes("PATH")) == nil)
    }
}
