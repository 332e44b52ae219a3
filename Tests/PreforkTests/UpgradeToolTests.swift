// `preforkctl upgrade --wait` against a real service.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct UpgradeToolTests {
    private let socket: String
    private let server: ChildProgram

    init() async throws {
        socket = try temporaryPath()
        server = try ChildProgram(
            "hello-server", ["--port", "0", "--workers", "2"], environment: ["PREFORK_CONTROL": socket])
        try await server.waitForLine("listening on")
    }

    private func tool(_ words: String...) async throws -> (code: Int32, output: String, errors: String) {
        let program = try ChildProgram("preforkctl", words, environment: ["PREFORK_CONTROL": socket])
        let code = try await program.waitForExit(within: .seconds(60))
        return (code, program.output, program.errors)
    }

    @Test func theResultOfAnUpgradeIsTold() async throws {
        #expect(try await tool("upgrade", "--wait") == (0, "upgraded, generation 2\n", ""))
        #expect(try await tool("upgrade", "--wait") == (0, "upgraded, generation 3\n", ""))
        let refused = try await tool("upgrade", "--wait", "--exec", "/bin/false")
        #expect(
            refused == (
                1, "",
                "preforkctl: nothing has changed: /bin/false: its trial exited with code 1 before it came to serve\n"
            ))
    }

    @Test func aProgramWhoseWorkersCannotServeIsGoneBackFrom() async throws {
        let program = read("/proc/\(server.pid)/maps").split(separator: "\n").compactMap { line -> String? in
            line.split(separator: " ").last.map(String.init)
        }.first { $0.hasSuffix("/hello-server") }
        let script = try temporaryPath()
        defer { unlink(script) }
        let file = try #require(fopen(script, "w"))
        fputs("#!/bin/sh\nexport PREFORK_CHROOT=/nonexistent\nexec \(try #require(program)) \"$@\"\n", file)
        fclose(file)
        chmod(script, 0o700)
        let workers = server.children
        let outcome = try await tool("upgrade", "--wait", "--exec", script)
        #expect(outcome.code == 1)
        #expect(outcome.errors.hasPrefix("preforkctl: upgrade rolled back: "))
        try await eventually("the old workers alone serve") { server.children == workers }
    }
}
