// Managed processes, real ones: how they end, what follows, what is left behind.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ProcessManagerTests {
    /// The lines that a scenario has written, and its exit code. No process of it is left.
    private func run(
        _ arguments: String..., expecting code: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> [String] {
        let program = try ChildProgram("manager-fixture", arguments)
        let status = try await program.waitForExit(within: .seconds(60))
        try #require(status == code, "\(program.output)\n\(program.errors)", sourceLocation: sourceLocation)
        #expect(program.groupSize == 0, sourceLocation: sourceLocation)
        return program.output.split(separator: "\n").map(String.init)
    }

    @Test func theFirstProgramOfTheReadmeWorks() async throws {
        let lines = try await run("first")
        #expect(lines == ["sent true", "nonebot heard hello, generation 1", "outcome ended"])
    }

    @Test func everyEndIsReportedAndNothingIsLeft() async throws {
        let lines = try await run("ends")
        for line in [
            "code: exited with code 3 ignored", "signal: killed by SIGKILL ignored",
            "error: exited with code 1 ignored",
            "done: exited with code 0 none", "done is stopped completed true", "code is stopped completed false",
            "children 0", "descriptors left 0",
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(lines.count { $0.hasPrefix("exit ") } == 4)
    }

    @Test func whatIgnoresTerminateIsKilledAfterItsGracePeriodAndReaped() async throws {
        let lines = try await run("ignores-term")
        for line in [
            "killed by SIGKILL grace wasReady true", "again nil", "children 0", "at once killed by SIGKILL",
            "negative killed by SIGKILL",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test func whatHangsBeforeItIsReadyIsKilledAndCountsAsACrash() async throws {
        #expect(try await run("start-timeout").last == "failed after 3, startTimeout")
    }

    @Test func aStormOfCrashesEndsAtTheLimitAndHarmsNobody() async throws {
        #expect(
            try await run("storm", "50") == [
                "ill failed after 51 processes, failed", "well is the same true true", "children 1, descriptors 0",
            ])
    }

    @Test func aVitalTargetsCrashEndsAllOfThemWithSeventy() async throws {
        let lines = try await run("crash-tree", expecting: 70)
        #expect(lines.prefix(3) == ["exit vital 1 exited with code 4", "shutdown second", "shutdown first"])
        #expect(lines.last == "outcome targetFailed 70 children 0")
        #expect(try await run("storm-tree") == ["outcome targetFailed after 3, children 0"])
    }

    @Test(arguments: ["obedient", "stubborn"]) func aHundredEndWithinOneGracePeriod(kind: String) async throws {
        let lines = try await run("hundred", "100", kind)
        #expect(
            lines == [
                "ready 100", "ended 100, killed \(kind == "stubborn" ? 100 : 0), children 0",
                "asked before the first end 100", "descriptors left 0",
            ])
    }

    @Test func targetsThatLiveEndWithTheirManagersObject() async throws {
        #expect(try await run("let-go") == ["children 1", "children 0"])
    }

    @Test func withoutADescriptorLeftEndsAreStillNoticedAndTargetsRefused() async throws {
        let program = try ChildProgram("manager-fixture", ["no-descriptors"], preparation: "ulimit -Sn 300")
        #expect(try await program.waitForExit() == 0, "\(program.output)\n\(program.errors)")
        #expect(
            program.output.split(separator: "\n") == [
                "exit one 1 exited with code 5", "add: true", "alive true", "shutdown one",
                "exit one 2 killed by SIGTERM", #"alive false, ["one"]"#,
            ])
    }

    @Test func aRefusedForkIsAnErrorOfLaunchAndTriedAgainForStartAll() async throws {
        let lines = try await run("fork-refused")
        if lines.first?.hasPrefix("skipped") == true { return }
        #expect(lines.prefix(3) == ["launch: fork, stopped", "backoff", "running, generation 1"])
    }

    // Dependencies

    @Test func targetsStartWhenWhatTheyNeedIsReadyAndEndInReverse() async throws {
        let lines = try await run("dependencies")
        func place(_ line: String) -> Int { lines.firstIndex(of: line) ?? -1 }
        #expect(lines.first == #"plan [["database"], ["cache", "migration"], ["web"]]"#)
        #expect(place("ready database") < place("forked cache"))
        #expect(place("ready cache") < place("forked web"))
        #expect(place("exit migration 1 exited with code 0") < place("forked web"))
        #expect(place("ready web") < place("all ready"))
        #expect(place("stopping web") < place("stopping cache") && place("stopping cache") < place("stopping database"))
        #expect(lines.contains("children 0"))
        #expect(lines.contains(#"alive ["cache", "database"]"#))
    }

    @Test func whatNeedsAFailedTargetIsNotStartedAndSaysWhy() async throws {
        #expect(
            try await run("dependency-fails") == [
                #"startAll: startFailed("database")"#, #"start: dependencyFailed("web") by web>cache"#,
                "database stopped -", "cache failed database", "web failed cache", "children 0",
            ])
    }

    @Test func unknownDependenciesAndCirclesAreErrorsWithAPathBeforeAnythingStarts() async throws {
        #expect(
            try await run("bad-dependencies") == [
                #"unknown("c") by a>b>c"#, #"unknown("c") by a>b>c"#, "cycle by a>b>c>a", "cycle by a>b>c>a",
                "started [0, 0, 0, 0]", #"inUse("c")"#,
            ])
    }

    @Test func waitsHaveLimitsAndNegativeOnesOnlyLook() async throws {
        #expect(try await run("not-ready") == [#"notReady(["late"])"#, "children 2", "joined 0, 0"])
    }

    // Codes, data, hooks

    @Test func dataIsNeverACodeAndCodesWithoutMeaningAreCountedAndIgnored() async throws {
        let lines = try await run("codes-and-data")
        #expect(lines.filter { $0.hasPrefix("echoed") } == ["echoed 0", "echoed 1", "echoed 0", "echoed 1"])
        for line in [
            "generation 1", "alive true", "restart echo", "exit echo 2 killed by SIGTERM",
            #"passive: unknown("echo-passive")"#,
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test func whatOneProcessHasNotTakenIsNotForTheNextUnlessItIsToBeKept() async throws {
        #expect(try await run("generations").contains("got new"))
        #expect(try await run("generations", "keep").contains("got old"))
    }

    @Test func aHookThatThrowsIsReportedAndMayPreventARestart() async throws {
        let lines = try await run("throwing-hooks")
        for line in [
            "failed beforeProcessShutdown of one", "failed beforeProcessRestart of one", "failed afterExit of one",
            "prevented one", "generation 2 running", "ended killed by SIGTERM",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test func aHookThatKeepsEverythingWaitingIsReported() async throws {
        #expect(try await run("slow-hook").contains("slow beforeProcessShutdown of one"))
    }

    @Test func aHookMayGiveOrdersButNotWait() async throws {
        let lines = try await run("waiting-hook")
        #expect(lines.prefix(2) == ["terminate: calledByHook", "turn: calledByHook"])
        #expect(lines.last == "generations [2, 1]")
    }

    @Test func wrongNamesAreTypedErrors() async throws {
        let lines = try await run("names")
        try #require(lines.count == 13, "\(lines)")
        #expect(lines[0] == #"duplicate: duplicate("known")"#)
        #expect(lines[1] == #"empty: badName("")"#)
        #expect(lines[2...8].allSatisfy { $0.hasSuffix(#"unknown("stranger")"#) })
        #expect(lines[9] == #"running: alreadyRunning("known"), alreadyRunning("known")"#)
        #expect(lines[10] == #"in use: inUse("known")"#)
        #expect(lines[11] == #"taken: channels("mine-active: a channel of this name exists")"#)
        #expect(lines[12] == "error text: targets depend on each other: a -> b -> a")
    }

    @Test func aRestartAskedForWhileTheTargetEndsDoesNotKeepTerminateAllFromEnding() async throws {
        #expect(
            try await run("code-while-terminating") == [
                "one 1", "one again 2", "all 2, children 0", "ignored 1 of two",
            ])
    }

    @Test func codesWithoutEndAreRefusedAndKeepNobodyElseWaiting() async throws {
        #expect(try await run("flood").last == #"ended ["flood"]"#)
    }

    // Loops, threads, signals

    @Test func anAsyncBodyHearsOfTheStopAndTalksOverBothChannels() async throws {
        let lines = try await run("loop")
        for line in [
            "passive one", "answer to one", "stops, threads 1, current loop", "exited with code 12",
            "exit fails 1 exited with code 1", "exited with code 0 true",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test func aManagerWorksOnItsOwnThreadAndForksOnlyAlone() async throws {
        #expect(
            try await run("threads") == [
                "elsewhere: wrongOwner", "here: multithreaded(threads: 2), multithreaded(threads: 2)",
                "stopped, children 0",
            ])
    }

    /// Swift's Mutex notes thread IDs in each object file. A fork makes half of them wrong.
    @Test func locksThatTheManagerHasUsedWorkInThreadsOfChildrenAndTheirChildren() async throws {
        let lines = try await run("locks")
        #expect(lines.filter { $0.hasPrefix("counted") } == ["counted 1200001", "counted 1200001"])
        #expect(lines.last == "exit child 1 exited with code 0")
    }

    @Test(arguments: [Signal.terminate, .quit, .hangUp, .interrupt]) func signalsEndARun(signal: Signal) async throws {
        let program = try ChildProgram("manager-fixture", ["run"])
        try await program.waitForLine("all ready")
        program.send(signal)
        #expect(try await program.waitForExit() == 0)
        let lines = program.output.split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("stopping") } == ["stopping two", "stopping one"])
        #expect(lines.last == "outcome stopped, children 0")
        #expect(program.groupSize == 0)
    }

    @Test func aSecondInterruptKills() async throws {
        let program = try ChildProgram("manager-fixture", ["run", "1000", "stubborn"])
        try await program.waitForLine("all ready")
        program.send(.terminate)
        try await program.waitForLine("stopping one")
        program.send(.interrupt)
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("exit one 1 killed by SIGKILL"))
    }

    @Test func managedProcessesEndWithAManagerThatIsKilled() async throws {
        let program = try ChildProgram("manager-fixture", ["run"])
        try await program.waitForLine("all ready")
        program.send(.kill)
        #expect(try await program.waitForExit() == -SIGKILL)
        try await eventually("nobody is left") { program.groupSize == 0 }
    }

    @Test func `A process that could not be forked again lives on when its restart is ordered`() async throws {
        let program = try ChildProgram("manager-fixture", ["restart-with-threads"])
        #expect(try await program.waitForExit() == 0, "\(program.output)\(program.errors)")
        #expect(
            program.output.split(separator: "\n") == [
                "refused one", "alive true, generation 1", "send: multithreaded(threads: 2)",
                "alive true, generation 1", "shutdown one", "exit one 1 killed by SIGTERM",
            ])
        #expect(program.errors.contains("one is not restarted: cannot fork: "), "\(program.errors)")
    }

    @Test(arguments: [["reload"], ["restart", "0"], ["drain", "0"], ["scale", "+1"]])
    func `An order for which a supervisor with threads would have to fork is refused`(words: [String]) async throws {
        let environment = ["PREFORK_CONTROL": try temporaryPath(), "PREFORK_RELOAD": "-1"]
        let program = try ChildProgram("manager-fixture", ["beside-with-threads"], environment: environment)
        try await program.waitForLine("all ready")
        let tool = try ChildProgram("preforkctl", words + ["--wait"], environment: environment)
        #expect(try await tool.waitForExit() == 1)
        #expect(tool.errors.contains("cannot fork: "), "\(tool.errors)")
        let status = try ChildProgram("preforkctl", ["status"], environment: environment)
        #expect(try await status.waitForExit() == 0)
        // Nothing has ended.
        #expect(status.output.contains("2/2 ready, generation 1, 0/100 restarts"), "\(status.output)")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
    }

    // Beside a worker pool

    @Test func besideAPoolWorkersTalkToTargetsAndOneSignalEndsAll() async throws {
        let program = try ChildProgram("manager-fixture", ["beside"])
        try await program.waitForLine("reader 1 got hello from worker 0")
        try await program.waitForLine("sleeper 2 pid ")
        try await program.waitForLine("all ready")
        // An async body waits with its own epoll. This one has none.
        let seen = program.output.split(separator: "\n").first { $0.hasPrefix("sleeper 2") }
        #expect(seen?.hasSuffix("descriptors 0") == true)
        let sleeper = try await program.waitForLine("sleeper 2 pid ")
        kill(try #require(Int32(sleeper.prefix { $0.isNumber })), SIGKILL)
        try await program.waitForLine("sleeper 3 pid ")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        let lines = program.output.split(separator: "\n")
        #expect(lines.last == "outcome stopped, children 0, alive false")
        #expect(lines.contains { $0.hasPrefix("worker: wrongOwner") })
        // Targets, which workers may need, end after them.
        let lastWorker = lines.lastIndex { $0.hasPrefix("worker exit") } ?? -1
        #expect(lastWorker < lines.firstIndex { $0.hasPrefix("shutdown reader") } ?? -1)
        #expect(program.groupSize == 0)
    }

    @Test func aSupervisorOfTargetsAndWorkersAtRestDoesNothing() async throws {
        let program = try ChildProgram("manager-fixture", ["idle"])
        try await program.waitForLine("all ready")
        try await eventually("both targets are ready") {
            program.errors.contains("one ready") && program.errors.contains("two ready")
        }
        func wakeUps() -> [Substring] {
            read("/proc/\(program.pid)/status").split(separator: "\n").filter { $0.contains("ctxt_switches") }
        }
        // It does what it still had to do. Then a second passes without a switch to it.
        try await eventually("it rests") {
            let before = wakeUps()
            try await Task.sleep(for: .seconds(1))
            return wakeUps() == before
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test func besideAPoolAVitalTargetsCrashEndsThePoolToo() async throws {
        let program = try ChildProgram("manager-fixture", ["beside-crash"])
        #expect(try await program.waitForExit() == 70)
        for id in 0..<2 { #expect(program.output.contains("worker \(id) stops")) }
        #expect(program.output.contains("outcome targetFailed, children 0"))
        #expect(program.groupSize == 0)
    }
}
