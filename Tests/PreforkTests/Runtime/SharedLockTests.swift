// A lock between processes whose owner is killed, stopped, forked or replaced by another program.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct SharedLockTests {
    private func output(_ scenario: String) async throws -> [String] {
        let program = try ChildProgram("fork-fixture", [scenario])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test func aKilledOwnersLockGoesToTheNextOneWithTheNews() async throws {
        #expect(
            try await output("lock-owner-dies") == [
                "tried: busy", "after the kill: mustRepair", "after the recovery: clean",
            ])
    }

    /// A zombie is gone, too: its parent may never collect it.
    @Test func anOwnerThatNobodyCollectsIsGone() async throws {
        #expect(try await output("lock-owner-zombie") == ["mustRepair"])
    }

    @Test func aLockThatNobodyRepairedSaysSoUntilSomebodyDoes() async throws {
        #expect(try await output("lock-not-repaired") == ["mustRepair", "mustRepair", "clean"])
    }

    @Test func aStoppedOwnerKeepsItsLockAndTheOthersGetBusy() async throws {
        #expect(
            try await output("lock-owner-stopped") == [
                "busy after the limit true", "still its own true", "after its end: mustRepair",
            ])
    }

    /// The others cannot know that it does not have it. It can.
    @Test func `A process that a lock names by damage puts it right`() async throws {
        #expect(
            try await output("lock-names-its-caller") == [
                "without waiting: busy", "sibling: busy", "named: damaged", "then: mustRepair", "disowned: true",
                "then: mustRepair", "two threads: busy false",
            ])
    }

    @Test(.enabled(if: getuid() == 0, "needs root: another user meets the lock"))
    func `A process that cannot have a lock is not waited for again`() async throws {
        #expect(
            try await output("lock-names-strangers") == [
                "process 1, without a supervisor: busy, busy", "process 1: damaged, mustRepair",
                "a sibling of another user: busy, busy", "a child of one: busy, busy",
                "the supervisor: damaged, mustRepair", "the supervisor that calls stores: busy, busy",
            ])
    }

    /// A real supervisor's, whose program called the store before the first fork only.
    @Test(.enabled(if: getuid() == 0, "needs root: workers have another user"))
    func `Locks that name the supervisor are usable after one call each`() async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_USER": "nobody"])
        let start = try #require(ProcessIdentity(of: server.program.pid)).startTime
        let word = UInt64(server.program.pid) | 2 << 24 | start << 40
        #expect(try get("/count", port: server.port).body == "1")
        #expect(try get("/name/\(word)", port: server.port).body == "done")
        try await eventually("the counter's lock is usable") { (try? get("/count", port: server.port).body) == "2" }
        #expect(try await server.end())
    }

    /// Also where nothing has it come to the lock: it looks with each sign of life. A process with several threads
    /// cannot know that none of them has the lock.
    @Test(.needsProcessExecutor) func `A worker with a heartbeat frees the locks that name it`() async throws {
        let server = try await OperatedProgram(["workers=1", "soft=300", "grace=30000"])
        let owner = try get("/owner", port: server.port).body
        #expect(try get("/name/\(owner)", port: server.port).body == "done")
        try await eventually("no lock names the worker") {
            try get("/named/\(owner)", port: server.port).body == "0"
        }
        #expect(try get("/count", port: server.port).body == "1")
        #expect(try await server.end())
    }

    @Test func aForkedChildIsAnotherOwner() async throws {
        #expect(
            try await output("lock-forked-child") == [
                "child: busy", "child dead, the parent's lock: true", "parent dead: mustRepair",
            ])
    }

    /// Without /proc there are pidfds.
    @Test(.enabled(if: getuid() == 0, "chroot needs root")) func aDeathIsSeenInAChrootWithoutProc() async throws {
        #expect(try await output("lock-chroot") == ["busy", "mustRepair"])
    }

    @Test func aProcessThatHasBecomeAnotherProgramTakesItsFormerLockBack() async throws {
        #expect(try await output("lock-exec") == ["mustRepair"])
    }

    @Test func outsideOfWorkersACallWaitsATenthOfASecond() async throws {
        #expect(try await output("lock-no-worker") == ["busy, within a second true"])
    }
}
