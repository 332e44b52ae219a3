// ForkRuntime in real processes: boot, stop, crash, orphans, hooks, threads.

import Glibc
import Prefork
import PreforkEventLoop
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ForkRuntimeTests {
    private func isGone(_ pid: Int32) -> Bool {
        kill(pid, 0) != 0 || isZombie(pid)
    }

    @Test func terminateEndsWorkersThatHearOfItAndTheSupervisorWithZero() async throws {
        let program = try ChildProgram("fork-fixture", ["serve", "3"])
        try await program.waitForLine("all ready")
        program.send(.terminate)
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        for id in 0..<3 { #expect(program.output.contains("worker \(id) stops")) }
        #expect(program.output.contains("outcome stopped"))
        #expect(program.groupSize == 0)
    }

    @Test(arguments: [Signal.quit, .interrupt]) func otherStopSignalsEndItToo(signal: Signal) async throws {
        let program = try ChildProgram("fork-fixture", ["serve", "2"])
        try await program.waitForLine("all ready")
        program.send(signal)
        #expect(try await program.waitForExit() == 0)
        #expect(program.groupSize == 0)
    }

    @Test func aWorkerStoppedBySomebodyElseIsReplaced() async throws {
        let program = try ChildProgram("fork-fixture", ["serve", "1"])
        try await program.waitForLine("all ready")
        let worker = try #require(program.children.first)
        kill(worker, SIGTERM)
        try await eventually("a successor") { program.children.contains { $0 != worker } }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.errors.contains("exited with code 143"))
    }

    @Test func aSupervisorWhoseLogIsGoneLivesOn() async throws {
        let program = try ChildProgram("fork-fixture", ["serve", "1"], brokenErrorPipe: true)
        try await program.waitForLine("all ready")
        let worker = try #require(program.children.first)
        kill(worker, SIGKILL)
        try await eventually("a successor") { program.children.contains { $0 != worker } }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test(.enabled(if: MemoryGroup.isAvailable))
    func theReportOfAWorkerThatTheKernelEndsForItsMemorySaysSo() async throws {
        let group = try MemoryGroup(limit: 60 << 20)
        defer { withExtendedLifetime(group) {} }
        let program = try ChildProgram("fork-fixture", ["out-of-memory"], preparation: group.joining)
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("exit killed by SIGKILL oom true"))
    }

    @Test(.enabled(if: MemoryGroup.isAvailable))
    func aWorkerKilledByHandIsNotOutOfMemoryBecauseAProgramWas() async throws {
        let group = try MemoryGroup(limit: 100 << 20)
        defer { withExtendedLifetime(group) {} }
        let program = try ChildProgram("fork-fixture", ["out-of-memory-beside", "program"], preparation: group.joining)
        let worker = try #require(Int32(try await program.waitForLine("worker ")))
        #expect(try await program.waitForLine("program ") == "killed by SIGKILL")
        #expect(try await program.waitForLine("eater ") == "killed by SIGKILL oom true")
        // So long the kernel's count may be for a child that is about to end.
        try await Task.sleep(for: .seconds(3))
        kill(worker, SIGKILL)
        #expect(try await program.waitForLine("exit ") == "killed by SIGKILL oom false")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test func aStopRightAfterTheStartLosesNoSignal() async throws {
        for delay in 0..<20 {
            let program = try ChildProgram("fork-fixture", ["serve", "4"])
            try await eventually("the first worker") { !program.children.isEmpty }
            usleep(UInt32(delay * 200))
            program.send(.terminate)
            #expect(try await program.waitForExit(within: .seconds(10)) == 0)
            #expect(program.groupSize == 0)
        }
    }

    @Test func workersOfAKilledSupervisorAreGoneAtOnce() async throws {
        let program = try ChildProgram("fork-fixture", ["serve", "4"])
        try await program.waitForLine("all ready")
        let workers = program.children
        #expect(workers.count == 4)
        let start = ContinuousClock.now
        program.send(.kill)
        #expect(try await program.waitForExit() == -SIGKILL)
        try await eventually("workers are gone") { workers.allSatisfy(self.isGone) }
        print("workers gone after", ContinuousClock.now - start)
    }

    @Test func aStopDuringBootEndsWorkersThatNeverGetReady() async throws {
        let program = try ChildProgram("fork-fixture", ["slow-boot"])
        try await program.waitForLine("boots 1")
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(10)) == 0)
        #expect(program.errors.contains("still running after the drain timeout"))
        #expect(program.groupSize == 0)
    }

    @Test func workersThatAreNotReadyInTimeAreKilledAndTheStartFailsWith75() async throws {
        let program = try ChildProgram("fork-fixture", ["slow-boot", "50"])
        #expect(try await program.waitForExit(within: .seconds(20)) == 75)
        #expect(program.errors.contains("not ready within the boot timeout"))
        #expect(program.output.contains("outcome startFailed"))
        #expect(program.groupSize == 0)
    }

    @Test func aWorkerThatIgnoresTheStopIsKilledAtTheDeadline() async throws {
        let program = try ChildProgram("fork-fixture", ["ignore-stop"])
        try await program.waitForLine("all ready")
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(10)) == 0)
        #expect(program.output.contains("exit 0 killed by SIGKILL drainTimeout"))
        #expect(program.output.contains("exit 1 killed by SIGKILL drainTimeout"))
    }

    @Test func aSecondInterruptKillsAtOnce() async throws {
        let program = try ChildProgram("fork-fixture", ["ignore-stop"])
        try await program.waitForLine("all ready")
        program.send(.interrupt)
        try await eventually("the first interrupt was seen") { program.errors.contains("stopping quickly") }
        program.send(.interrupt)
        #expect(try await program.waitForExit(within: .seconds(10)) == 0)
        #expect(program.output.contains("killed by SIGKILL stopNow"))
    }

    @Test func aStopDuringBackoffEndsAtOnce() async throws {
        let program = try ChildProgram("fork-fixture", ["crash-loop"])
        try await program.waitForLine("exit restart")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("outcome stopped"))
    }

    @Test(.enabled(if: getuid() == 0, "only root can become a user with a limit of processes"))
    func aRefusedForkIsTriedAgainAndNoSlotIsLost() async throws {
        let program = try ChildProgram("fork-fixture", ["fork-refused"])
        try await program.waitForLine("all ready after")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("fork: Resource temporarily unavailable (EAGAIN)"))
    }

    @Test func hooksAreCalledWhereAndWhenTheyShould() async throws {
        let program = try ChildProgram("fork-fixture", ["hooks"])
        try await program.waitForLine("supervisor: onAllReady")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        let lines = program.output.split(separator: "\n").map(String.init)
        #expect(lines.filter { $0.hasPrefix("worker:") } == ["worker: afterFork 0 generation 1"])
        let warnings = ProcessExecutor.absence == nil ? [] : ["supervisor: log warning workers and"]
        #expect(
            lines.filter { $0.hasPrefix("supervisor:") } == warnings + [
                "supervisor: beforeFork 0 pid nil", "supervisor: log info worker 0", "supervisor: log info worker 0",
                "supervisor: onReady 0", "supervisor: log info the worker", "supervisor: onAllReady",
                "supervisor: log info stopping: workers", "supervisor: onStop graceful",
                "supervisor: log info worker 0",
                "supervisor: onExit 0 exited with code 0 ready true usage true oom false",
            ])
        #expect(program.errors.isEmpty, "the log goes to the closure alone")
    }

    @Test(.needsProcessExecutor) func aWorkerThatUsedConcurrencyHasOneThread() async throws {
        let program = try ChildProgram("fork-fixture", ["one-thread"])
        #expect(try await program.waitForExit() == 0)
        for id in 0..<2 {
            #expect(program.output.contains("worker \(id): 150 calls, one thread, main 1, single-threaded true"))
        }
        #expect(threadPoolWarnings(in: program).isEmpty)
    }

    @Test func inFallbackModeAWorkerSaysThatItHasMoreThreads() async throws {
        let program = try ChildProgram("fork-fixture", ["one-thread", "body-only"])
        #expect(try await program.waitForExit() == 0)
        for id in 0..<2 {
            #expect(program.output.contains("worker \(id): 150 calls, more threads, main 0, single-threaded false"))
        }
        #expect(threadPoolWarnings(in: program).isEmpty, "the program has asked for it")
    }

    @Test func `Where a library has taken the executors the workers have more threads, and the log says so once`() async throws {
        let program = try ChildProgram("fork-fixture", ["one-thread", "hooked"])
        #expect(try await program.waitForExit() == 0)
        for id in 0..<2 {
            #expect(program.output.contains("worker \(id): 150 calls, more threads, main 0, single-threaded false"))
        }
        #expect(threadPoolWarnings(in: program).count == 1, "\(program.errors)")
    }

    @Test(.enabled(if: ProcessExecutor.absence != nil, "for a build without the process executor"))
    func `Without the process executor the workers have more threads, and the log says so once`() async throws {
        let program = try ChildProgram("fork-fixture", ["one-thread"])
        #expect(try await program.waitForExit() == 0)
        for id in 0..<2 {
            #expect(program.output.contains("worker \(id): 150 calls, more threads, main 0, single-threaded false"))
        }
        #expect(threadPoolWarnings(in: program).count == 1, "\(program.errors)")
    }

    @Test(.enabled(if: ProcessExecutor.absence != nil, "for a build without the process executor"))
    func `A manager without a pool says so once, too`() async throws {
        let program = try ChildProgram("manager-fixture", ["loop"])
        #expect(try await program.waitForExit() == 0)
        #expect(threadPoolWarnings(in: program).count == 1, "\(program.errors)")
    }

    private func threadPoolWarnings(in program: ChildProgram) -> [Substring] {
        program.errors.split(separator: "\n").filter { $0.contains("warning: workers and managed processes use Swift's") }
    }

    @Test(arguments: ["whole-process", "body-only"]) func workersStartPrograms(executor: String) async throws {
        let program = try ChildProgram("fork-fixture", ["subprocess", executor])
        #expect(try await program.waitForExit() == 0)
        for id in 0..<2 {
            #expect(program.output.contains("worker \(id): 20 texts, 6 bytes, killed by SIGTERM, one thread"))
        }
    }

    @Test func aBodyThatThrowsIsAnAbnormalExitWithAReason() async throws {
        let program = try ChildProgram("fork-fixture", ["body-fails"])
        #expect(try await program.waitForExit() == 70)
        #expect(program.output.contains("exit exited with code 1 ready true"))
        #expect(program.errors.contains(" error: worker 0 (pid ") && program.errors.contains("): failed: BodyError()"))
    }
}
