// Standard streams of subprocesses.

import Glibc
import PreforkEventLoop
import PreforkSubprocess
import PreforkSystem
import PreforkTestSupport
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct StreamTests {
    @Test func aConversationWorksBothWays() async throws {
        let process = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream))
        for index in 0..<100 {
            try await process.stdin!.write("line \(index)\n")
            #expect(try await process.stdout!.read(until: "\n", limit: 100) == Array("line \(index)\n".utf8))
        }
        process.stdin!.close()
        #expect(try await process.stdout!.read(atMost: 1) == nil)
        #expect(try await process.waitForExit().isSuccess)
    }

    @Test func errorsAreAStreamOfTheirOwn() async throws {
        let process = try await Subprocess.spawn(
            Command("sh", "-c", "echo out; echo err >&2", stdout: .stream, stderr: .stream))
        #expect(try await process.stdout!.readToEnd(limit: 100) == Array("out\n".utf8))
        #expect(try await process.stderr!.readToEnd(limit: 100) == Array("err\n".utf8))
    }

    @Test func errorsCanFollowOutputInOrder() async throws {
        let command = Command("sh", "-c", "echo 1; echo 2 >&2; echo 3; echo 4 >&2", stderr: .stdout)
        #expect(try await Subprocess.run(command).check().stdoutText == "1\n2\n3\n4\n")
    }

    @Test func outputAndErrorCanChangePlaces() async throws {
        let (a, b) = (try TextFile(""), try TextFile(""))
        let (first, second) = (open(a.path, O_WRONLY | O_CLOEXEC), open(b.path, O_WRONLY | O_CLOEXEC))
        defer { [first, second].forEach { close($0) } }
        let script = "echo out; echo err >&2"
        _ = try await Subprocess.run(
            Command("sh", "-c", script, stdout: .descriptor(second), stderr: .descriptor(first))
        ).check()
        #expect(read(a.path) == "err\n")
        #expect(read(b.path) == "out\n")
    }

    @Test func filesAreReadWrittenAndAppendedTo() async throws {
        let (source, target) = (try TextFile("text"), try TextFile("old content"))
        let input = Command.Input.file(RawText(source.path))
        _ = try await Subprocess.run(Command("cat", stdin: input, stdout: .file(RawText(target.path)))).check()
        #expect(read(target.path) == "text")
        let appending = Command.Output.file(RawText(target.path), appending: true)
        _ = try await Subprocess.run(Command("cat", stdin: input, stdout: appending)).check()
        #expect(read(target.path) == "texttext")
    }

    @Test func aFIFOThatNobodyReadsIsAnErrorAndNoHang() async throws {
        let path = try temporaryPath()
        mkfifo(path, 0o600)
        defer { unlink(path) }
        await #expect(throws: SpawnError.self) {
            try await Subprocess.spawn(Command("true", stdout: .file(RawText(path))))
        }
        #expect(try await Subprocess.run(Command("cat", stdin: .file(RawText(path)))).check().stdout.isEmpty)
    }

    @Test(arguments: [0, 1, 65_536, 65_537, 1_000_000]) func bytesOfAnySizeAreFed(count: Int) async throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try await Subprocess.run(Command("cat", stdin: .bytes(bytes))).check().stdout == bytes)
    }

    @Test func aChildThatReadsNothingIsNoError() async throws {
        let bytes = [UInt8](repeating: 1, count: 1_000_000)
        #expect(try await Subprocess.run(Command("true", stdin: .bytes(bytes))).exit.isSuccess)
    }

    @Test func earlyCloseOfStandardInputIsAValue() async throws {
        let process = try await Subprocess.spawn(
            Command("sh", "-c", "exec <&-; echo; sleep 1000", stdin: .stream, stdout: .stream))
        _ = try await process.stdout!.read(until: "\n", limit: 10)
        do {
            try await process.stdin!.write("x")
            Issue.record("nobody reads")
        } catch let error as StreamError {
            #expect(error.code == .peerClosed)
            #expect(error.underlying?.errno.name == "EPIPE")
        }
        _ = try await process.stop(.kill)
    }

    @Test func childrenThatCloseTheirInputEarlyDoNoHarm() async throws {
        for _ in 0..<500 {
            let process = try await Subprocess.spawn(Command("true", stdin: .stream))
            do {
                for _ in 0..<100 { try await process.stdin!.write([UInt8](repeating: 1, count: 10_000)) }
            } catch let error as StreamError {
                #expect(error.code == .peerClosed)
            }
            process.stdin!.close()
            #expect(try await process.waitForExit().isSuccess)
        }
    }

    @Test func aSlowReaderSlowsTheWriterDown() async throws {
        let process = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream))
        let written = Mutex(0)
        let writer = Task {
            for _ in 0..<64 {
                try await process.stdin!.write([UInt8](repeating: 7, count: 65_536))
                written.withLock { $0 += 1 }
            }
            process.stdin!.close()
        }
        try await eventually("the first pipe is full") { written.withLock { $0 } >= 1 }
        // Two pipes and cat's buffer take less than a quarter of it, and nothing piles up in this process.
        #expect(written.withLock { $0 } < 16)
        #expect(process.exit == nil)
        var count = 0
        for try await chunk in process.stdout!.chunks { count += chunk.count }
        #expect(count == 64 * 65_536)
        try await writer.value
    }

    @Test func linesComeWhileTheChildRuns() async throws {
        let process = try await Subprocess.spawn(
            Command("sh", "-c", "echo one; read x; echo $x", stdin: .stream, stdout: .stream))
        var lines: [String] = []
        for try await line in process.stdout!.lines {
            lines.append(line)
            if lines.count == 1 { try await process.stdin!.write("two\n") }
        }
        #expect(lines == ["one", "two"])
    }

    private let background = "sleep 1000 & echo $!"

    @Test func aGrandchildThatHoldsThePipeDoesNotHangTheReader() async throws {
        let process = try await Subprocess.spawn(Command("sh", "-c", background, stdout: .stream, stderr: .stream))
        let text = try await process.stdout!.readToEnd(limit: 1000)
        #expect(try await process.stderr!.readToEnd(limit: 1000).isEmpty)
        kill(try grandchild(text), SIGKILL)
    }

    @Test func aGrandchildThatHoldsThePipeDoesNotHangRun() async throws {
        for lingering in [Command.Lingering.closeAtExit, .afterExit(.milliseconds(50))] {
            var command = Command("sh", "-c", background)
            command.lingering = lingering
            let output = try await Subprocess.run(command).check()
            kill(try grandchild(output.stdout), SIGKILL)
        }
    }

    @Test func aGrandchildIsWaitedForIfAskedTo() async throws {
        let gate = try temporaryPath()
        var command = Command("sh", "-c", "(while [ ! -e \(gate) ]; do sleep 0.01; done; echo late) & echo early")
        command.lingering = .untilEnd
        defer { unlink(gate) }
        let process = try await Subprocess.spawn(command.with { $0.stdout = .stream })
        #expect(try await process.stdout!.read(until: "\n", limit: 10) == Array("early\n".utf8))
        try await process.waitForExit()
        close(open(gate, O_CREAT | O_WRONLY, 0o600))
        #expect(try await process.stdout!.readToEnd(limit: 10) == Array("late\n".utf8))
    }

    @Test func outputThatGrandchildrenKeepWritingIsCutOff() async throws {
        // Endless: the pipe is never empty, and the end comes all the same.
        let command = Command("sh", "-c", "(while echo x; do :; done) & echo $!", stdout: .stream)
        let process = try await Subprocess.spawn(command)
        let text = try await process.stdout!.readToEnd(limit: 1 << 26)
        process.stdout!.close()
        #expect(text.count > 0)
        try process.send(.kill, to: .group)
    }

    @Test func aTeeWritesEverywhere() async throws {
        let file = try TextFile("")
        let command = Command(
            "sh", "-c", "seq 1 20000; echo err >&2",
            stdout: .tee([.stream, .collect(limit: 1 << 20), .file(RawText(file.path)), .null]),
            stderr: .tee([.collect]))
        let process = try await Subprocess.spawn(command)
        let streamed = try await process.stdout!.readToEnd(limit: 1 << 20)
        let output = try await process.output()
        #expect(streamed == Array((1...20000).map { "\($0)\n" }.joined().utf8))
        #expect(output.stdout == streamed)
        #expect(read(file.path) == output.stdoutText)
        #expect(output.stderrText == "err\n")
    }

    @Test func aTeeGoesOnWithoutABrokenReader() async throws {
        let command = Command("seq", "1", "100000", stdout: .tee([.stream, .collect]))
        let process = try await Subprocess.spawn(command)
        process.stdout!.close()
        #expect(try await process.output().check().stdout.count == 588_895)
    }

    @Test func aTeeWhoseReaderIsStuckEndsWhenTheCommandIsStopped() async throws {
        // The stream has no reader: the copy would wait forever, and a timeout must end all of it.
        var command = Command("sh", "-c", "seq 1 200000; sleep 1000", stdout: .tee([.stream, .collect]))
        // Time enough for it to write.
        command.timeout = .seconds(3)
        let process = try await Subprocess.spawn(command)
        let output = try await process.output()
        #expect(output.exit.reason == .timedOut)
        #expect(output.stdout.count > 65_536)
        #expect(process.stdout != nil)
    }

    @Test func aTeeWhoseReaderIsStuckEndsWhenNobodyWantsToWait() async throws {
        let process = try await Subprocess.spawn(Command("seq", "1", "20000", stdout: .tee([.stream, .collect])))
        let task = Task { try await process.output() }
        try await process.waitForExit()
        task.cancel()
        #expect(try await task.value.stdout.count == 108_894)
    }

    @Test func waitingForGrandchildrenCanBeCancelledAndTimedOut() async throws {
        let file = try TextFile("")
        var command = Command("sh", "-c", "sleep 1000 & echo $!; echo $! > \(file.path)")
        command.lingering = .untilEnd
        let endless = command
        let task = Task { try await Subprocess.run(endless) }
        try await eventually("it has run") { read(file.path).hasSuffix("\n") }
        task.cancel()
        kill(try grandchild(try await task.value.stdout), SIGKILL)
        // Time enough for the command's own end.
        command.timeout = .seconds(3)
        let timedOut = try await Subprocess.run(command)
        #expect(timedOut.exit.isSuccess)
        kill(try grandchild(timedOut.stdout), SIGKILL)
    }

    @Test func aTeeIntoAFIFOThatNobodyEmptiesLeavesTheLoopAlone() async throws {
        let path = try temporaryPath()
        mkfifo(path, 0o600)
        defer { unlink(path) }
        let reading = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        defer { close(reading) }
        var command = Command("seq", "1", "100000", stdout: .tee([.file(RawText(path)), .collect]))
        // Time enough for it to write.
        command.timeout = .seconds(3)
        let stuck = command
        async let output = Subprocess.run(stuck)
        // The same loop serves this one meanwhile.
        #expect(try await Subprocess.run(Command("echo", "x")).check().stdoutText == "x\n")
        #expect(try await output.stdout.count > 0)
    }

    @Test func errorsAloneCanGoToATerminal() async throws {
        let command = Command("sh", "-c", "echo out; echo err >&2; [ -t 2 ]", stdout: .stream, stderr: .terminal)
        let process = try await Subprocess.spawn(command)
        #expect(try await process.stdout!.readToEnd(limit: 100) == Array("out\n".utf8))
        #expect(try await process.stderr!.readToEnd(limit: 100) == Array("err\r\n".utf8))
        try await process.waitForExit()
    }

    @Test func aTerminalIsOne() async throws {
        var command = Command(
            "sh", "-c", "tty; stty size; read x; echo got $x", stdin: .terminal, stdout: .terminal, stderr: .terminal)
        command.terminalSize = .init(rows: 33, columns: 101)
        let process = try await Subprocess.spawn(command)
        #expect(try await line(process).hasPrefix("/dev/pts/"))
        #expect(try await line(process) == "33 101")
        try await process.stdin!.write("word\n")
        #expect(try await line(process) == "word")  // the terminal's echo
        #expect(try await line(process) == "got word")
        #expect(try await process.stdout!.read(atMost: 1) == nil)  // EIO is its way to say so
        #expect(try await process.waitForExit().isSuccess)
    }

    @Test func aTerminalCanBeResizedAndFinished() async throws {
        let script = "echo ready; read x; stty size; cat; echo end"
        let command = Command("sh", "-c", script, stdin: .terminal, stdout: .terminal)
        let process = try await Subprocess.spawn(command)
        #expect(try await line(process) == "ready")
        try process.resizeTerminal(to: .init(rows: 50, columns: 120))
        try await process.stdin!.write("\n")
        #expect(try await line(process).isEmpty)
        #expect(try await line(process) == "50 120")
        try await process.stdin!.finish()
        #expect(try await line(process) == "end")
        try await process.waitForExit()
    }

    private func line(_ process: Subprocess) async throws -> String {
        String(decoding: try await process.stdout!.read(until: "\r\n", limit: 1000).dropLast(2), as: UTF8.self)
    }

    private func grandchild(_ text: [UInt8]) throws -> Int32 {
        try #require(Int32(String(decoding: text.dropLast(), as: UTF8.self)))
    }
}

extension Command {
    func with(_ change: (inout Command) -> Void) -> Command {
        var command = self
        change(&command)
        return command
    }
}
