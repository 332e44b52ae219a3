// Processes that are killed, stopped and started around one store.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(4)))
struct StoreProcessTests {
    /// What a scenario has found out. Lines that begin with # are for readers of the log.
    private func lines(_ scenario: String...) async throws -> [String] {
        let program = try ChildProgram("store-fixture", scenario)
        #expect(try await program.waitForExit(within: .seconds(200)) == 0, "\(program.output)\(program.errors)")
        return program.output.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
    }

    @Test(arguments: [1, 2]) func writersThatAreKilledAtAnyInstantAreNotNoticed(seed: Int) async throws {
        #expect(
            try await lines("kill-storm", "200", "\(seed)") == [
                "torn 0 wrong-sums 0 contradictions 0 damages 0", "counter right", "money right", "recovered true",
            ])
    }

    @Test(arguments: [
        ("set", 1_009), ("set-new", 1_511), ("set-large", 20_011), ("delete", 1_009), ("increment", 1_511),
        ("step", 200_003), ("evict", 90_001), ("publish", 503),
    ])
    func aWriterKilledAtAnyInstructionHasDoneAllOrNothing(operation: String, stride: Int) async throws {
        #expect(try await lines("kill-everywhere", operation, "\(stride)") == ["failures 0 inside true"])
    }

    @Test func aStoppedWriterStopsNoReaderAndOnlyWritersOfItsStripe() async throws {
        #expect(
            try await lines("stopped-writer") == [
                "inside true", "read true, all 1, keys [\"key\"], count 1", "several 1", "written elsewhere true",
                "child 0", "recoveries 0 contradictions []",
            ])
    }

    /// The damager has ended, and the locks that it wrote over name a process that lives on.
    @Test func `Locks that name a living process are put right by that process`() async throws {
        #expect(
            try await lines("named-owner") == [
                "another process: 1 busy", "the named one: 1 corrupt", "its next try: 1 written",
                "another process, later: 200 written", "damages in each stripe true contradictions []",
            ])
    }

    @Test func aProgramStartedByExecOpensTheStore() async throws {
        #expect(try await lines("exec") == ["found hello", "child 0", "answer from another program"])
    }

    @Test func everySubscriberSeesOrIsToldOfEveryMessage() async throws {
        #expect(try await lines("publish-storm", "5000") == ["subscribers [0, 0, 0, 0]"])
    }

    @Test func theLastPlaceIsGivenOnce() async throws {
        #expect(try await lines("race-for-last-place") == ["entries 1000 contradictions []"])
    }

    /// A publisher rings for two, and each sleeper that wakes for two more.
    @Test(arguments: [("publisher", 61, "whole: 2 rung, 8 awake"), ("sleeper", 31, "whole: 4 rung, 8 awake")])
    func aWakerKilledAtAnyInstructionLosesOneSleeperAtMost(waker: String, stride: Int, whole: String) async throws {
        #expect(try await lines("kill-waker", waker, "\(stride)") == [whole, "failures 0 begun true"])
    }

    @Test(arguments: [0, 10]) func sleepersWakeEachOther(kills: Int) async throws {
        #expect(try await lines("tree", "12", "24", "\(kills)") == ["in time true", "exit 0"])
    }
}
