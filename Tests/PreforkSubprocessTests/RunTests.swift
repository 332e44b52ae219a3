// Commands run to their end: output, limits, timeouts, stops, scopes, pipelines.

import Glibc
import PreforkEventLoop
import PreforkSubprocess
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct RunTests {
    @Test func outputAndErrorsAreCollected() async throws {
        let output = try await Subprocess.run(Command("sh", "-c", "echo out; echo err >&2; exit 4"))
        #expect(output.stdoutText == "out\n")
        #expect(output.stderrText == "err\n")
        #expect(output.exit.returnCode == 4)
        #expect(throws: CalledProcessError.self) { try output.check() }
        do { try output.check() } catch { #expect("\(error)".hasSuffix(": err")) }
    }

    @Test func muchOfBothIsNoDeadlock() async throws {
        let script = "i=0; while [ $i -lt 2000 ]; do printf %0999d 1; printf %0999d 2 >&2; i=$((i+1)); done"
        let output = try await Subprocess.run(Command("sh", "-c", script)).check()
        #expect(output.stdout.count == 2000 * 999)
        #expect(output.stderr.count == 2000 * 999)
    }

    @Test(arguments: [0, 1, 16_384, 65_536, 100_000]) func limitsAreExact(limit: Int) async throws {
        for (count, isTruncated) in [(max(0, limit - 1), false), (limit, false), (limit + 1, true)] {
            for overflow in [Command.Overflow.stop, .discard] {
                let command = Command(
                    "head", "-c", "\(count)", "/dev/zero", stdout: .collect(limit: limit, overflow: overflow))
                let output = try await Subprocess.run(command)
                #expect(output.stdout == [UInt8](repeating: 0, count: min(count, limit)))
                #expect(output.isStdoutTruncated == isTruncated, "\(count) of \(limit)")
                #expect(!output.isStderrTruncated)
            }
        }
    }

    @Test func tooMuchOutputStopsTheCommandAndIsKept() async throws {
        let output = try await Subprocess.run(Command("yes", stdout: .collect(limit: 1001)))
        #expect(output.exit.reason == .outputLimit)
        #expect(output.exit.status == .signaled(.terminate, coreDumped: false))
        #expect(output.stdout.count == 1001)
        #expect(output.isStdoutTruncated)
        #expect(throws: CalledProcessError.self) { try output.check() }
    }

    @Test func tooMuchOutputCanBeDiscarded() async throws {
        let command = Command("head", "-c", "10000000", "/dev/zero", stdout: .collect(limit: 1000, overflow: .discard))
        let output = try await Subprocess.run(command).check()
        #expect(output.exit.reason == .own)
        #expect(output.stdout.count == 1000)
        #expect(output.isStdoutTruncated)
    }

    @Test func aTimeoutStopsTheCommandAndKeepsItsOutput() async throws {
        var command = Command("sh", "-c", "echo partial; sleep 1000")
        // Time enough for it to write.
        command.timeout = .seconds(3)
        let output = try await Subprocess.run(command)
        #expect(output.exit.reason == .timedOut)
        #expect(!output.exit.wasForced)
        #expect(output.stdoutText == "partial\n")
    }

    @Test func cancellationStopsTheCommandAndKeepsItsOutput() async throws {
        let file = try TextFile("")
        let task = Task {
            try await Subprocess.run(Command("sh", "-c", "echo partial; echo $$ > \(file.path); sleep 1000"))
        }
        try await eventually("it runs") { !read(file.path).isEmpty }
        task.cancel()
        let output = try await task.value
        #expect(output.exit.reason == .cancelled)
        #expect(output.stdoutText == "partial\n")
    }

    @Test func aCancelledTaskStartsNothing() async throws {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await Subprocess.run(Command("true"))
        }
        await #expect(throws: CancellationError.self) { _ = try await task.value }
    }

    @Test func aCommandThatIgnoresTheTermIsKilled() async throws {
        var command = Command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done", stdout: .stream)
        command.stopPlan = .terminate(grace: .milliseconds(100))
        let process = try await Subprocess.spawn(command)
        _ = try await process.stdout!.read(until: "\n", limit: 10)
        let exit = try await process.stop()
        #expect(exit.status == .signaled(.kill, coreDumped: false))
        #expect(exit.reason == .stopped)
        #expect(exit.wasForced)
        #expect(try await process.stop() == exit)
    }

    @Test func aStopReturnsAtTheExitAndNotAfterTheGrace() async throws {
        let process = try await Subprocess.spawn(Command("sleep", "1000"))
        let exit = try await process.stop(.terminate(grace: .seconds(1000)))
        #expect(exit.status == .signaled(.terminate, coreDumped: false))
        #expect(!exit.wasForced)
    }

    @Test func aStoppedProcessEndsToo() async throws {
        let process = try await Subprocess.spawn(Command("sleep", "1000"))
        try process.send(.stop)
        try await eventually("it is stopped") { read("/proc/\(process.pid)/stat").contains(") T ") }
        let exit = try await process.stop(.terminate(grace: .seconds(1000)))
        #expect(exit.status == .signaled(.terminate, coreDumped: false))
    }

    @Test func whatIgnoresTheTermInTheGroupIsKilledInTheBackground() async throws {
        let script = "(trap '' TERM; echo ready; while :; do sleep 0.01; done) & echo $!; wait"
        let process = try await Subprocess.spawn(Command("sh", "-c", script, stdout: .stream))
        let lines = [try await line(process), try await line(process)]
        let grandchild = try #require(lines.compactMap { Int32($0) }.first)
        let exit = try await process.stop(.terminate(grace: .milliseconds(100)))
        #expect(exit.status == .signaled(.terminate, coreDumped: false))
        try await eventually("the grandchild has ended") { isGone(grandchild) }
    }

    private func line(_ process: Subprocess) async throws -> String {
        String(decoding: try await process.stdout!.read(until: "\n", limit: 100).dropLast(), as: UTF8.self)
    }

    @Test func aSecondStopIsFaster() async throws {
        let script = "trap 'echo term' TERM; echo ready; while :; do sleep 0.01; done"
        let process = try await Subprocess.spawn(Command("sh", "-c", script, stdout: .stream))
        _ = try await line(process)
        let patient = Task { try await process.stop(.terminate(grace: .seconds(1000))) }
        // The patient stop has begun: otherwise it could come second, and replace the faster one.
        #expect(try await line(process) == "term")
        #expect(try await process.stop(.kill).wasForced)
        #expect(try await patient.value.wasForced)
    }

    @Test func aScopeEndsWithItsCommand() async throws {
        let (lines, exit) = try await Subprocess.with(Command("seq", "1", "3", stdout: .stream)) { process in
            var lines: [String] = []
            for try await line in process.stdout!.lines { lines.append(line) }
            return lines
        }
        #expect(lines == ["1", "2", "3"])
        #expect(exit.isSuccess)
        #expect(exit.reason == .own)
        let (pid, stopped) = try await Subprocess.with(Command("sleep", "1000")) { $0.pid }
        #expect(stopped.reason == .stopped)
        #expect(isGone(pid))
    }

    @Test func aScopeThatThrowsEndsWithItsCommand() async throws {
        struct Failed: Error { let pid: Int32 }
        do {
            _ = try await Subprocess.with(Command("sleep", "1000")) { process in throw Failed(pid: process.pid) }
            Issue.record("the body throws")
        } catch let error as Failed {
            #expect(isGone(error.pid))
        }
    }

    @Test func aScopeThatIsCancelledEndsWithItsCommand() async throws {
        let file = try TextFile("")
        let task = Task {
            try await Subprocess.with(Command("sh", "-c", "echo $$ > \(file.path); exec sleep 1000")) { process in
                try await process.waitForExit(raising: false)
            }
        }
        try await eventually("it runs") { read(file.path).hasSuffix("\n") }
        let pid = try #require(Int32(read(file.path).dropLast()))
        task.cancel()
        _ = try? await task.value
        #expect(isGone(pid))
    }

    @Test func aProcessThatMayNotBeSignalledIsAnErrorAndNoHang() async throws {
        guard isRoot else { return }
        let program = try ChildProgram("subprocess-fixture", ["unstoppable"])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output.contains(" does not end: ") && program.output.contains("SIGTERM to group"))
        #expect(program.output.contains("(EPERM)\nkilled by SIGKILL"))
    }

    @Test func streamsOfRunAreRefused() async throws {
        await #expect(throws: SpawnError.self) { try await Subprocess.run(Command("true", stdout: .stream)) }
        await #expect(throws: SpawnError.self) { try await Subprocess.run(Command("true", stdin: .stream)) }
        await #expect(throws: SpawnError.self) { try await Subprocess.run(Command("true", stdin: .terminal)) }
        await #expect(throws: SpawnError.self) {
            try await Subprocess.pipeline([Command("cat", stdin: .stream), Command("wc")])
        }
        await #expect(throws: SpawnError.self) { try await Subprocess.pipeline([Command("cat", stderr: .stream)]) }
    }

    @Test func oneCommandRunsManyTimesAtOnce() async throws {
        let command = Command("cat", stdin: .text("text"))
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<100 { group.addTask { try await Subprocess.run(command).check().stdoutText } }
            for try await text in group { #expect(text == "text") }
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct PipelineTests {
    @Test func commandsFeedEachOther() async throws {
        let output = try await Subprocess.pipeline([
            Command("seq", "1", "100000"), Command("grep", "7$"), Command("wc", "-l"),
        ]).check()
        #expect(output.stdoutText == "10000\n")
        #expect(output.stages.map(\.exit.returnCode) == [0, 0, 0])
    }

    @Test func theFirstInputAndEveryErrorAreKept() async throws {
        let output = try await Subprocess.pipeline([
            Command("sh", "-c", "cat; echo first >&2", stdin: .text("text")),
            Command("sh", "-c", "cat; echo second >&2; exit 3"),
            Command("cat"),
        ])
        #expect(output.stdoutText == "text")
        #expect(output.stages.map(\.stderrText) == ["first\n", "second\n", ""])
        #expect(output.stages.map(\.exit.returnCode) == [0, 3, 0])
        #expect(throws: CalledProcessError.self) { try output.check() }
        try output.check(.last)
    }

    @Test func aReaderThatHasEnoughIsNoFailure() async throws {
        let output = try await Subprocess.pipeline([Command("yes"), Command("head", "-n", "1")]).check()
        #expect(output.stdoutText == "y\n")
        #expect(output.stages[0].exit.status == .signaled(.brokenPipe, coreDumped: false))
    }

    @Test func aCommandThatDoesNotStartStopsTheOthers() async throws {
        let file = try TextFile("")
        await #expect(throws: SpawnError.self) {
            try await Subprocess.pipeline([
                Command("sh", "-c", "echo $$ > \(file.path); exec sleep 1000"), Command("/nowhere/x"),
            ])
        }
        if let pid = Int32(read(file.path).dropLast()) { #expect(isGone(pid)) }
        await #expect(throws: SpawnError.self) { try await Subprocess.pipeline([]) }
        await #expect(throws: SpawnError.self) {
            try await Subprocess.pipeline([Command("true", stdout: .null), Command("true")])
        }
    }

    @Test func cancellationStopsAllCommands() async throws {
        let file = try TextFile("")
        let task = Task {
            try await Subprocess.pipeline([
                Command("sh", "-c", "echo $$ > \(file.path); exec sleep 1000"), Command("cat"), Command("cat"),
            ])
        }
        try await eventually("it runs") { read(file.path).hasSuffix("\n") }
        task.cancel()
        let output = try await task.value
        #expect(output.stages[0].exit.reason == .cancelled)
        #expect(isGone(Int32(read(file.path).dropLast())!))
    }
}
