// Workers and managed processes with channels are replaced by the operator's orders.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct SuccessionTests {
    /// New workers first, and old ones first.
    @Test(arguments: ["+1", "-1"])
    func `A worker that talks to a managed process is reloaded and restarted, and no message is lost`(
        reload: String
    ) async throws {
        let (socket, end) = (try temporaryPath(), try temporaryPath())
        let environment = ["PREFORK_CONTROL": socket, "PREFORK_RELOAD": reload]
        let program = try ChildProgram("manager-fixture", ["succession", end], environment: environment)
        try await program.waitForLine("worker 0 sends, its process 1")
        func order(_ words: String...) async throws {
            let tool = try ChildProgram("preforkctl", words, environment: environment)
            let code = try await tool.waitForExit(within: .seconds(60))
            #expect(code == 0, "\(words): \(tool.output)\(tool.errors)\(program.errors)")
        }
        for process in [2, 4] {
            try await order("reload", "--wait")
            try await program.waitForLine("worker 0 sends, its process \(process)")
            try await order("restart", "0", "--wait")
            try await program.waitForLine("worker 0 sends, its process \(process + 1)")
        }
        close(open(end + ".restart", O_CREAT | O_WRONLY, 0o600))
        try await program.waitForLine("nonebot 2 is ready")
        try await order("reload", "--wait")
        close(open(end, O_CREAT | O_WRONLY, 0o600))
        defer { unlink(end) }
        try await program.waitForLine("all have come back")
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0)
        let lines = program.output.split(separator: "\n")
        #expect(lines.contains("lost 0 0, wrong 0 0"), "\(program.output)\(program.errors)")
        #expect(!lines.contains { $0.hasPrefix("event") }, "\(program.output)")
        #expect(!program.errors.contains("at this end"), "\(program.errors)")
    }
}
