// Subprocesses where a kernel or a seccomp filter refuses system calls.

import Glibc
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct RefusedSpawnTests {
    static let calls = [
        "pidfd_open", "pidfd_send_signal", "pidfd_open,pidfd_send_signal", "clone_pidfd", "waitid_pidfd", "close_range",
        "clone_pidfd,pidfd_open,pidfd_send_signal,waitid_pidfd,close_range,epoll_pwait2",
    ]

    @Test(arguments: calls, ["ENOSYS", "EPERM"])
    func programsAreStartedBoundedAndEnded(calls: String, error: String) async throws {
        for target in ["group", "tree"] {
            let program = try ChildProgram(
                "refuse-fixture",
                [error, calls, ChildProgram.path(of: "subprocess-fixture"), "timed-out", target])
            #expect(try await program.waitForExit() == 0, "\(program.output)\n\(program.errors)")
            #expect(program.output == "ended\n")
        }
    }
}
