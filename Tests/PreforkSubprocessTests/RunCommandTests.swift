// The example, as its user sees it.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct RunCommandTests {
    private func run(_ arguments: String...) throws -> ChildProgram {
        try ChildProgram("run-command", arguments)
    }

    @Test func linesAreTaggedAndTheLastOneTellsTheEnd() async throws {
        let program = try run("--env", "A=b c", "--", "sh", "-c", "echo $A; echo e >&2; printf unfinished; exit 3")
        #expect(try await program.waitForExit() == 3)
        #expect(Set(program.output.split(separator: "\n")) == ["out | b c", "err | e", "out | unfinished"])
        let line = program.errors
        #expect(line.hasPrefix("sh exited with code 3, "))
        #expect(line.contains(" s, cpu 0.0") && line.contains(" s user 0.0") && line.hasSuffix(" KiB\n"), "\(line)")
    }

    @Test func linesComeWhileTheCommandRuns() async throws {
        let program = try run("sh", "-c", "echo first; exec sleep 1000")
        try await program.waitForLine("out | first")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 128 + SIGTERM)
        #expect(program.errors.hasPrefix("sh killed by SIGTERM (stopped), "))
    }

    @Test func aTimeoutIs124AndByForceIfNeedBe() async throws {
        let program = try run(
            "--timeout", "3", "--grace", "0.1", "sh", "-c", "trap '' TERM; while :; do sleep 0.01; done")
        #expect(try await program.waitForExit() == 124)
        #expect(program.errors.hasPrefix("sh killed by SIGKILL (timedOut, by force), "), "\(program.errors)")
    }

    @Test func commandsThatDoNotStartAreToldApart() async throws {
        let missing = try run("/nowhere/x")
        #expect(try await missing.waitForExit() == 127)
        #expect(
            missing.errors
                == "run-command: start failed at step exec: execve(/nowhere/x): No such file or directory (ENOENT)\n")
        #expect(try await run("/tmp").waitForExit() == 126)
        let usage = try run("--timeout", "soon", "true")
        #expect(try await usage.waitForExit() == 64)
        #expect(usage.errors == "run-command: --timeout soon: not a number of seconds\n")
    }
}
