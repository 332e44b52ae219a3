// Who may give orders at a control socket that has an owner.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3)), .enabled(if: geteuid() == 0, "only root gives files away and starts others"))
struct ControlOwnerTests {
    /// `preforkctl` as somebody else.
    private func ask(
        _ socket: String, _ words: [String] = ["status"], user: Int, group: Int, groups: [Int] = []
    ) async throws -> (code: Int32, errors: String) {
        let others = groups.isEmpty ? "--clear-groups" : "--groups=" + groups.map(String.init).joined(separator: ",")
        let program = try ChildProgram(
            "preforkctl", ["--socket", socket] + words,
            preparation: "exec setpriv --reuid=\(user) --regid=\(group) \(others) \"$0\" \"$@\"")
        return (try await program.waitForExit(), program.errors)
    }

    private func file(_ path: String) -> [UInt32] {
        var status = stat()
        return stat(path, &status) == 0 ? [status.st_uid, status.st_gid, UInt32(status.st_mode) & 0o7777] : []
    }

    @Test func theGroupGivesOrdersAndNobodyElse() async throws {
        let socket = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=1"], environment: ["PREFORK_CONTROL": socket, "PREFORK_CONTROL_OWNER": ":4242"])
        #expect(file(socket) == [0, 4_242, 0o660])
        #expect(try await ask(socket, user: 4_000, group: 4_242).code == 0)
        let order = try await ask(socket, ["reload", "--wait"], user: 4_000, group: 4_001, groups: [4_002, 4_242])
        #expect(order.code == 0, "\(order.errors)")
        #expect(try await ask(socket, user: 4_000, group: 4_001, groups: [4_002]).code == 69)
        // Whatever becomes of the file's mode.
        #expect(chmod(socket, 0o666) == 0)
        let reason = "the control socket is for the supervisor's user, root and group 4242"
        var said = ""
        // A client that finds the connection closed before it has asked takes itself for one too many.
        for _ in 0..<20 where !said.contains(reason) {
            let stranger = try await ask(socket, user: 4_000, group: 4_001)
            #expect(stranger.code != 0)
            said = stranger.errors
        }
        #expect(said.contains(reason), "\(said)")
        // More groups than are asked for at first.
        #expect(try await ask(socket, user: 4_000, group: 4_001, groups: Array(5_000..<5_200) + [4_242]).code == 0)
        #expect(try await server.end())
        #expect(access(socket, F_OK) != 0)
    }

    @Test func theUserGivesOrdersAndNobodyElse() async throws {
        let socket = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=1"], environment: ["PREFORK_CONTROL": socket, "PREFORK_CONTROL_OWNER": "4300"])
        #expect(file(socket) == [4_300, 0, 0o600])
        #expect(try await ask(socket, user: 4_300, group: 4_001).code == 0)
        #expect(try await ask(socket, user: 4_301, group: 4_001).code == 69)
        #expect(try await server.end())
    }

    @Test func itHoldsThroughReloadUpgradeAndTheRollback() async throws {
        let socket = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=1"],
            environment: [
                "PREFORK_CONTROL": socket, "PREFORK_CONTROL_OWNER": "4300:4242", "PREFORK_PROBATION": "2s",
                "SWIFT_BACKTRACE": "enable=no",
            ])
        func holds() async throws {
            #expect(file(socket) == [4_300, 4_242, 0o660])
            #expect(try await ask(socket, user: 4_000, group: 4_242).code == 0)
            #expect(try await ask(socket, user: 4_300, group: 4_001).code == 0)
            #expect(try await ask(socket, user: 4_000, group: 4_001).code == 69)
        }
        try await holds()
        let reload = try await ask(socket, ["reload", "--wait"], user: 4_300, group: 4_001)
        #expect(reload.code == 0, "\(reload.errors)")
        try await holds()
        server.turnOn("new-start-exit")
        server.program.send(.user2)
        try await server.waitForLog(containing: "rolled back to the previous program")
        server.turnOff("new-start-exit")
        try await holds()
        try await eventually("an upgrade") {
            server.program.send(.user2)
            usleep(100_000)
            return server.count("upgrade: this process becomes") == 2
        }
        try await eventually("its workers") { server.count("serves, after") >= 2 }
        try await holds()
        #expect(try await server.end())
    }

    @Test func anUpgradeChangesTheOwnerOfAListenerAndTakesTheFileBack() async throws {
        let path = try temporaryPath()
        // The fixture leaves the file where it is.
        defer { unlink(path) }
        let server = try await OperatedProgram(
            ["workers=1", "unix=\(path)"], environment: ["PREFORK_PROBATION": "100ms"])
        #expect(file(path) == [0, 0, 0o600])
        for (isOwned, expected) in [(true, [4_300, 4_242, 0o600]), (false, [0, 0, 0o600])] as [(Bool, [UInt32])] {
            if isOwned { server.turnOn("owned") } else { server.turnOff("owned") }
            try await eventually("an upgrade: \(file(path))") {
                server.program.send(.user2)
                usleep(300_000)
                return file(path) == expected
            }
        }
        #expect(try await server.end())
    }

    @Test func whoDoesNotExistEndsTheStart() async throws {
        let program = try ChildProgram(
            "benchmark-server", ["--port", "0"],
            environment: ["PREFORK_CONTROL": try temporaryPath(), "PREFORK_CONTROL_OWNER": "no-such-user"])
        #expect(try await program.waitForExit() == 75)
        #expect(program.errors.contains("no user no-such-user"), "\(program.errors)")
    }

    @Test(arguments: [("nobody", true), (":4242", true), ("4300", false), (":4243", false)])
    func workersWhoMayGiveOrdersAreWarnedOf(owner: String, isWarned: Bool) async throws {
        let socket = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=1"],
            environment: [
                "PREFORK_CONTROL": socket, "PREFORK_CONTROL_OWNER": owner, "PREFORK_USER": "nobody",
                "PREFORK_GROUPS": "4242",
            ])
        #expect((server.count("the workers can send commands to the control socket") == 1) == isWarned)
        #expect(try await server.end())
    }

    @Test func theMetricsSocketHasItsOwner() async throws {
        let path = try temporaryPath()
        let server = try await OperatedProgram(
            ["workers=1"], environment: ["PREFORK_METRICS": path, "PREFORK_METRICS_OWNER": "4300:4242"])
        #expect(file(path) == [4_300, 4_242, 0o660])
        #expect(try await server.end())
    }
}
