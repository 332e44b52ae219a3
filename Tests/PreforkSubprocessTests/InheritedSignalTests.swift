// What a program was started with: ignored and blocked signals.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct InheritedSignalTests {
    /// A program that was started with SIGCHLD ignored, as by a shell's `trap '' CHLD`, lost every status.
    @Test func statusesAreCollectedWhereTheSignalWasIgnored() async throws {
        let program = try ChildProgram("subprocess-fixture", ["collects"], preparation: "trap '' CHLD")
        #expect(try await program.waitForExit() == 0, "\(program.output)")
        // Nor do the programs that it starts lose theirs.
        #expect(program.output == "ignored 0000000000000000\n")
    }

    @Test func everyWayWorksWhereTheSignalWasIgnored() async throws {
        for way in ["pidfd", "child-signal", "without-pidfd", "posix-spawn"] {
            let program = try ChildProgram("subprocess-fixture", ["ways", way], preparation: "trap '' CHLD")
            #expect(try await program.waitForExit() == 0, "\(way): \(program.output)")
        }
    }

    /// nohup(1), a shell's &: the job's own programs are part of the job. SIGPIPE is no part of that.
    @Test func whatAJobIgnoresItsProgramsIgnore() async throws {
        let program = try ChildProgram("subprocess-fixture", ["collects"], preparation: "trap '' HUP INT QUIT PIPE")
        #expect(try await program.waitForExit() == 0, "\(program.output)")
        #expect(program.output == "ignored 0000000000000007\n")
    }
}
