// How a subprocess ends, and who hears of it.

import Glibc
import PreforkEventLoop
import PreforkSubprocess
import PreforkSystem
import PreforkTestSupport
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct ExitTests {
    private func shell(_ script: String) async throws -> Subprocess {
        try await Subprocess.spawn(Command("sh", "-c", script))
    }

    @Test func exitCodesAndSignalsAreToldApart() async throws {
        let succeeded = try await shell("exit 0").waitForExit()
        #expect(succeeded.status == .exited(code: 0))
        #expect(succeeded.isSuccess)
        #expect(succeeded.returnCode == 0)
        #expect(succeeded.reason == .own)
        let failed = try await shell("exit 7").waitForExit(raising: false)
        #expect(failed.status == .exited(code: 7))
        #expect(failed.returnCode == 7)
        let killed = try await shell("kill -TERM $$").waitForExit(raising: false)
        #expect(killed.status == .signaled(.terminate, coreDumped: false))
        #expect(killed.returnCode == -15)
        #expect("\(killed.status)" == "killed by SIGTERM")
    }

    @Test func failureIsThrownWithStatusAndCommand() async throws {
        let process = try await Subprocess.spawn(Command("sh", "-c", "exit 3", "secret"))
        do {
            try await process.waitForExit()
            Issue.record("exit code 3 is a failure")
        } catch let error as CalledProcessError {
            #expect(error.status == .exited(code: 3))
            #expect(error.command.description == "sh -c 'exit 3' secret")
            // Arguments may be passwords, and errors end up in logs.
            #expect("\(error)".hasPrefix("sh exited with code 3 after "))
        }
    }

    @Test func usageAndDurationAreTheChilds() async throws {
        let exit = try await shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").waitForExit()
        #expect(exit.usage.userTime > .milliseconds(5))
        #expect(exit.usage.peakMemory > 500_000)
        #expect(exit.duration >= exit.usage.userTime / 4)
    }

    @Test func everyWaiterAndCallbackIsToldOnce() async throws {
        let process = try await Subprocess.spawn(Command("cat", stdin: .stream))
        #expect(process.exit == nil)
        let calls = Mutex<[Int]>([])
        for index in 0..<5 { process.onExit { _ in calls.withLock { $0.append(index) } } }
        try await withThrowingTaskGroup(of: Int32?.self) { group in
            for _ in 0..<50 { group.addTask { try await process.waitForExit().returnCode } }
            process.stdin?.close()
            for try await code in group { #expect(code == 0) }
        }
        #expect(process.exit?.returnCode == 0)
        process.onExit { _ in calls.withLock { $0.append(5) } }
        try await eventually("all callbacks") { calls.withLock { $0.count } == 6 }
        #expect(calls.withLock { $0 } == [0, 1, 2, 3, 4, 5])
        #expect(try await process.waitForExit().returnCode == 0)
    }

    @Test func cancellingAWaitLeavesTheProcessAndTheOtherWaiters() async throws {
        let process = try await Subprocess.spawn(Command("cat", stdin: .stream))
        let cancelled = Task { try await process.waitForExit() }
        let patient = Task { try await process.waitForExit() }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(process.exit == nil)
        process.stdin?.close()
        #expect(try await patient.value.isSuccess)
        // Late, and by a cancelled task: the exit is known, nothing is waited for.
        #expect(
            try await Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await process.waitForExit()
            }.value.isSuccess)
    }

    @Test func droppedHandlesAreReaped() async throws {
        var pids: [Int32] = []
        let told = Mutex(0)
        for _ in 0..<20 {
            // The pipe closes with the handle, so that cat ends.
            let process = try await Subprocess.spawn(Command("cat", stdin: .stream))
            process.onExit { _ in told.withLock { $0 += 1 } }
            pids.append(process.pid)
        }
        try await eventually("no child is left, not even as a zombie") {
            pids.allSatisfy { kill($0, 0) != 0 } && told.withLock { $0 } == 20
        }
    }

    @Test func signalsReachTheProcessOrItsGroup() async throws {
        let process = try await shell("trap 'kill $!; exit 9' USR1; sleep 1000 & wait")
        try await eventually("sh waits for its child") { childrenOf(process.pid).count == 1 }
        let grandchild = childrenOf(process.pid)[0]
        for target in [SignalTarget.process, .group, .tree] {
            #expect(throws: SystemError.self) { try process.send(Signal(rawValue: 4711), to: target) }
        }
        try process.send(.stop)
        try await eventually("sh is stopped") { read("/proc/\(process.pid)/stat").contains(") T ") }
        try process.send(.resume)
        try process.send(.user1)
        #expect(try await process.waitForExit(raising: false).returnCode == 9)
        try await eventually("the grandchild has ended") { isGone(grandchild) }
        // The process is gone: no error, and no stranger is hit.
        try process.send(.kill)
        try process.send(.kill, to: .group)
        try process.send(.kill, to: .tree)
    }

    @Test(.enabled(if: ChildProcess(pid: getpid()).reachesGroupForEver, "Linux 6.9"))
    func groupSignalsReachWhatTheLeaderLeft() async throws {
        let process = try await Subprocess.spawn(Command("sh", "-c", "sleep 1000 & echo $!", stdout: .stream))
        let line = try await process.stdout!.read(until: "\n", limit: 100)
        let grandchild = try #require(Int32(String(decoding: line.dropLast(), as: UTF8.self)))
        try await process.waitForExit()
        #expect(!isGone(grandchild))
        try process.send(.kill, to: .group)
        try await eventually("the grandchild has ended") { isGone(grandchild) }
    }

    @Test func treeSignalsReachOtherSessions() async throws {
        let process = try await Subprocess.spawn(
            Command("sh", "-c", "setsid sh -c 'sleep 1000 & echo $!; wait' & wait", stdout: .stream))
        let line = try await process.stdout!.read(until: "\n", limit: 100)
        let grandchild = try #require(Int32(String(decoding: line.dropLast(), as: UTF8.self)))
        try process.send(.kill, to: .tree)
        #expect(try await process.waitForExit(raising: false).returnCode == -9)
        try await eventually("the process in the other session has ended") { isGone(grandchild) }
    }

    @Test func aCoreDumpIsTold() async throws {
        var command = Command("sh", "-c", "kill -QUIT $$")
        command.limits = [.core(1 << 30)]
        let directory = try Directory()
        command.workingDirectory = RawText(directory.path)
        let exit = try await Subprocess.spawn(command).waitForExit(raising: false)
        // Whether a core is written depends on core_pattern. The flag must agree with what the kernel did.
        guard case .signaled(.quit, let coreDumped) = exit.status else { return #expect(Bool(false), "\(exit)") }
        if !read("/proc/sys/kernel/core_pattern").hasPrefix("|") {
            #expect(coreDumped == !entries(directory.path).isEmpty)
        }
    }

    @Test(arguments: ["exit-status-lost-ignored", "exit-status-lost-thief"])
    func aChildReapedBySomebodyElseIsLostAndNobodyHangs(scenario: String) async throws {
        let program = try ChildProgram("subprocess-fixture", [scenario])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output == "resolved 100\ncallbacks 100\n")
    }

    @Test(arguments: ["pidfd", "child-signal", "without-pidfd", "posix-spawn", "without-close-range"])
    func everyWayOfStartingAndHearingWorks(way: String) async throws {
        let program = try ChildProgram("subprocess-fixture", ["ways", way])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output == "ok\n")
    }
}
