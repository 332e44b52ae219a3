// Programs whose workers crash soon after they were ready: a reload has failed, an upgrade goes back.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ProbationTests {
    private let folder: String
    private let server: ChildProgram

    private var control: String { folder + "/control" }
    private var flag: String { folder + "/flag" }

    init() async throws {
        folder = try temporaryPath()
        mkdir(folder, 0o700)
        // Long beside the 300 ms after which workers crash. The program that comes back has as long, and answers then.
        server = try ChildProgram(
            "fork-fixture", ["late-crash", "flag=\(folder)/flag"],
            environment: [
                "PREFORK_CONTROL": folder + "/control", "PREFORK_PROBATION": "10s", "SWIFT_BACKTRACE": "enable=no",
            ])
        let program = server
        try await eventually("all ready") { program.errors.contains("all 2 workers are ready") }
    }

    private func tool(_ words: String...) async throws -> (code: Int32, text: String) {
        let program = try ChildProgram("preforkctl", ["--socket", control] + words)
        return (try await program.waitForExit(within: .seconds(60)), program.output + program.errors)
    }

    private func end() async throws {
        for name in ["control", "flag", "next"] { unlink("\(folder)/\(name)") }
        server.send(.terminate)
        _ = try await server.waitForExit()
        rmdir(folder)
    }

    @Test func `A reload whose workers crash after they were ready has failed, and is told so`() async throws {
        close(open(flag, O_CREAT | O_WRONLY, 0o600))
        let reload = try await tool("reload", "--wait")
        #expect(reload.code == 1 && reload.text.contains("failed its probation"), "\(reload)\n\(server.errors)")
        unlink(flag)
        try await end()
    }

    @Test func `An upgrade to such a program goes back, and the one before forks workers of its own`() async throws {
        let before = server.children
        let next = folder + "/next"
        try #require(system("cp '\(ChildProgram.path(of: "fork-fixture"))' '\(next)'") == 0)
        let upgrade = try await tool("upgrade", "--wait", "--exec", next)
        #expect(upgrade.code == 1 && upgrade.text.contains("rolled back"), "\(upgrade)\n\(server.errors)")
        let program = server
        try await eventually("two workers that hold\n\(server.errors)") {
            let now = program.children
            return now.count == 2 && Set(now).isDisjoint(with: before)
        }
        let status = try await tool("status").text
        #expect(status.contains("2/2 ready"), "\(status)")
        try await end()
    }
}
