// System calls that an older kernel does not have, or a container's seccomp profile refuses: the rows of the manual's
// table (LimitsAndGuarantees, "Kernel and container").

import Glibc
import Prefork
import PreforkTestSupport
import Testing

private let errors = ["ENOSYS", "EPERM"]

private func refused(
    _ error: String, _ calls: String, _ product: String, _ arguments: [String], environment: [String: String] = [:]
) throws -> ChildProgram {
    try ChildProgram(
        "refuse-fixture", [error, calls, ChildProgram.path(of: product)] + arguments, environment: environment)
}

@Suite(.timeLimit(.minutes(5))) struct RefusedCallTests {
    /// Those that have a fallback in a supervisor.
    private static let withFallback = [
        "pidfd_open", "pidfd_send_signal", "pidfd_open,pidfd_send_signal", "waitid_pidfd", "close_range",
        "epoll_pwait2", "pwritev2", "keyctl", "prctl_parent_death", "timer_create", "netlink", "inotify_init1",
        "fchmodat2", "linkat", "renameat2", "getrandom",
    ]

    @Test(arguments: withFallback, errors)
    func aServiceStartsReplacesAndStopsWithout(calls: String, error: String) async throws {
        let socket = try temporaryPath()
        let program = try refused(
            error, calls, "fork-fixture", ["serve", "2"], environment: ["PREFORK_CONTROL": socket])
        try await program.waitForLine("all ready")
        let worker = try #require(program.children.first)
        kill(worker, SIGKILL)
        try await eventually("a successor\n\(program.errors)") {
            program.children.count == 2 && !program.children.contains(worker)
        }
        try await eventually("a ready one\n\(program.errors)") {
            program.errors.split(separator: "\n").count { $0.contains(" ready (pid ") } >= 3
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output.contains("outcome stopped"))
        #expect(!program.errors.contains("cannot be signalled"), "\(program.errors)")
        #expect(program.groupSize == 0)
        #expect(access(socket, F_OK) != 0)
    }

    /// A worker that does not hear of its stop gets SIGKILL.
    @Test(arguments: ["pidfd_send_signal", "pidfd_open,pidfd_send_signal"], errors)
    func whatDoesNotListenIsKilled(calls: String, error: String) async throws {
        let program = try refused(error, calls, "fork-fixture", ["ignore-stop"])
        try await program.waitForLine("all ready")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.output.contains("killed by SIGKILL"), "\(program.output)")
    }

    /// Without these no supervisor is made, and the error says what is missing.
    @Test(arguments: ["signalfd4", "timerfd_create", "memfd_create"], errors)
    func aStartThatCannotSucceedIsRefused(call: String, error: String) async throws {
        let program = try refused(error, call, "fork-fixture", ["serve", "2"])
        #expect(try await program.waitForExit() == 75, "\(program.output)\n\(program.errors)")
        let text = program.output + program.errors
        #expect(text.contains(call.replacing("4", with: "")) && text.contains(error), "\(text)")
        #expect(program.groupSize == 0)
    }

    @Test(arguments: errors) func managedProcessesNeedNoPidfds(error: String) async throws {
        let program = try refused(error, "pidfd_open,pidfd_send_signal", "manager-fixture", ["ends"])
        let plain = try ChildProgram("manager-fixture", ["ends"])
        let code = try await plain.waitForExit()
        #expect(try await program.waitForExit() == code, "\(program.output)\n\(program.errors)")
        #expect(program.output.split(separator: "\n").count == plain.output.split(separator: "\n").count)
    }

    @Test(arguments: errors) func anOwnerOfAnotherUserIsRefusedWithItsName(error: String) async throws {
        let program = try refused(error, "fchownat", "host-fixture", ["unix-owner", try temporaryPath(), "0", "0"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("error fchownat"), "\(program.output)")
        #expect(program.output.contains(error), "\(program.output)")
    }
}
