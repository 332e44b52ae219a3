// Children, and how their ends are told from what else they do.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ChildProcessTests {
    /// Its stop is reported like an end (ptrace(2)), and was taken for its end: it lived on unknown.
    @Test func aChildThatHasItsParentTraceItHasNotEndedWhenItStops() async throws {
        let program = try ChildProgram("hostile-fixture", ["trapped"])
        try await eventually("it is stopped by its tracer\n\(program.output)\(program.errors)") {
            read("/proc/\(program.pid)/stat").split(separator: ")").last?.hasPrefix(" t") == true
        }
        let child = ChildProcess(pid: program.pid)
        #expect(!child.hasEnded)
        #expect(try child.reap() == nil)
        #expect(try child.reap() == nil)
        kill(program.pid, SIGKILL)
        var end: ProcessExit?
        try await eventually("it has ended") {
            end = child.reapOrLose()
            return end != nil
        }
        #expect(end?.status == .signaled(.kill, coreDumped: false))
    }
}
