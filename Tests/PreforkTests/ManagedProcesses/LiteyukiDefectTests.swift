// The defects of liteyuki's ProcessManager, each by its number: none of them is here.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct LiteyukiDefectTests {
    private func run(_ scenario: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> [String] {
        let program = try ChildProgram("manager-fixture", [scenario])
        let status = try await program.waitForExit()
        try #require(status == 0, "\(program.output)\n\(program.errors)", sourceLocation: sourceLocation)
        #expect(program.groupSize == 0, sourceLocation: sourceLocation)
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test func L1_joinAllWaitsForAllWhateverTheirNamesAre() async throws {
        #expect(try await run("L1").last == #"joined ["ab", "nonebot", "x"]"#)
    }

    @Test func L2_isProcessAliveKnowsTargetsThatHaveNotStartedAndRefusesStrangers() async throws {
        let lines = try await run("L2")
        #expect(
            lines.prefix(4) == [
                #"unknown: unknown("one")"#, "not started: false", "started: true",
                "killed: false, still to be reaped: 1",
            ])
    }

    @Test func L3_terminateKeepsTheTargetAndRemoveTargetRemovesItWithItsChannels() async throws {
        #expect(
            try await run("L3") == [
                #"known: ["one"]"#,
                "known: [], channel: one-active: no channel of this name was made before the fork or registered since",
                "generation 0",
            ])
    }

    @Test func L4_aSecondStartIsRefusedAndOrphansNobody() async throws {
        #expect(
            try await run("L4") == [
                #"again: alreadyRunning("one")"#, "same true, children 1", "same true, children 1", "children 0",
            ])
    }

    @Test func L5_aCrashIsNoticedReportedAndHandledByPolicy() async throws {
        let lines = try await run("L5")
        #expect(lines.contains { $0.hasPrefix("exit one 1 killed by SIGSEGV") })
        #expect(lines.contains("exit two 1 exited with code 2"))
        #expect(lines.contains("two 1"))
    }

    @Test func L6_oneAfterZeroStartsAgainAtOnceAndNothingStaysQueued() async throws {
        let lines = try await run("L6")
        for line in ["start returned killed by SIGTERM", "running again, generation 2", "generation 3 running"] {
            #expect(lines.contains(line), "\(line)")
        }
    }

    @Test func L7_hooksAreGivenTheName() async throws {
        #expect(try await run("L7").allSatisfy { $0.contains(" one") })
    }

    @Test func L8_hooksFireAtEachRestartAndStopInOrder() async throws {
        #expect(
            try await run("L7") == [
                "shutdown one", "restart one", "exit one 1 killed by SIGTERM",
                "shutdown one", "restart one", "exit one 2 killed by SIGTERM",
                "shutdown one", "exit one 3 killed by SIGTERM",
            ])
    }

    @Test func L9_manyThatDoNotListenCostOneGracePeriod() async throws {
        let lines = try await run("L9")
        #expect(lines.dropFirst().prefix(2) == ["ended 8, killed 8, children 0", "asked before the first end 8"])
    }

    @Test func L10_whatWasKilledIsReapedAndReportedAsKilled() async throws {
        let program = try ChildProgram("manager-fixture", ["ignores-term"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("killed by SIGKILL grace wasReady true"))
        #expect(program.output.contains("children 0"))
        #expect(program.errors.contains("gets SIGKILL: still running after the grace period"))
    }

    @Test func L11_noTargetTakesAThread() async throws {
        #expect(try await run("L11") == ["threads 1, children 10", "threads 1"])
    }

    @Test func L12_nothingBlocksWhileATargetHasItsGracePeriod() async throws {
        let lines = try await run("L12")
        #expect(lines.filter { $0.hasPrefix("stubborn") } == ["stubborn stopping", "stubborn stopping"])
        // The other has crashed twice and was restarted meanwhile.
        #expect(lines.dropFirst().prefix(2) == ["exit ill 1", "exit ill 2"])
    }

    @Test func L13_managedProcessesMayHaveManagersAndWorkersAndDataStopsNobody() async throws {
        let lines = try await run("L13")
        for line in [
            "task ID nil, outer: wrongOwner", "exit child 1 exited with code 7", "exit parent 1 exited with code 0",
            "worker 0", "worker 1", "pool ended", "exit pool 1 exited with code 0",
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(try await run("codes-and-data").contains("generation 1"))
    }

    @Test func L14_restartsHaveLimitsAndDelaysAndStartsHaveReadiness() async throws {
        #expect(
            try await run("L14") == [
                "backoff after 2 processes", #"start: alreadyRunning("ill")"#, "terminate nil", "stopped",
            ])
        #expect(try await run("start-timeout").last == "failed after 3, startTimeout")
        #expect(try await run("not-ready").first == #"notReady(["late"])"#)
    }
}
