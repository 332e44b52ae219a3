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
            "benchmark-server", ["--port", "0", "--workers", "2"], environment: ["PREFORK_CONTROL": socket])
        try await server.waitForLine("listening on")
    }

    private func tool(_ words: String...) async throws -> (code: Int32, output: String, errors: String) {
        let program = try ChildProgram("preforkctl", words, environment: ["PREFORK_CONTROL": socket])
        let code = try await program.waitForExit(within: .seconds(60))
        return (code, program.output, program.errors)
    }

    /// The path of the server's program, as it was started.
    private var program: String { ChildProgram.path(of: "benchmark-server") }

    private func script(_ lines: String) throws -> String {
        let script = try temporaryPath()
        let file = try #require(fopen(script, "w"))
        fputs("#!/bin/sh\n\(lines)\nexec '\(program)' \"$@\"\n", file)
        fclose(file)
        chmod(script, 0o700)
        return script
    }

    private func copy(of product: String, to path: String) throws {
        unlink(path)
        try #require(system("cp '\(ChildProgram.path(of: product))' '\(path)'") == 0)
    }

    @Test func theResultOfAnUpgradeIsTold() async throws {
        for generation in 2...3 {
            let upgraded = try await tool("upgrade", "--wait")
            #expect(upgraded.code == 0 && upgraded.errors == "")
            #expect(upgraded.output.hasPrefix("upgraded, generation \(generation): \(program) "), "\(upgraded)")
            #expect(upgraded.output.contains("(build "))
        }
        let refused = try await tool("upgrade", "--wait", "--exec", "/bin/false")
        #expect(
            refused == (
                1, "",
                "preforkctl: nothing has changed: /bin/false: its trial exited with code 1 before it could serve\n"
            ))
    }

    /// A newly installed program was ignored for another one that was once given by `--exec`, with exit code 0.
    @Test func anotherProgramIsForOnceUnlessItIsKept() async throws {
        let other = try temporaryPath()
        defer { unlink(other) }
        try copy(of: "benchmark-server", to: other)
        let once = try await tool("upgrade", "--wait", "--exec", other)
        #expect(once.output.hasPrefix("upgraded, generation 2: \(other) "), "\(once)")
        var status = try await tool("status").output
        #expect(status.contains("program \(other) (") && status.contains("upgrade starts \(program)"), "\(status)")
        let again = try await tool("upgrade", "--wait")
        #expect(again.output.hasPrefix("upgraded, generation 3: \(program) "), "\(again)")
        _ = try await tool("upgrade", "--wait", "--exec", other, "--keep")
        let kept = try await tool("upgrade", "--wait")
        #expect(kept.output.hasPrefix("upgraded, generation 5: \(other) "), "\(kept)")
        status = try await tool("status").output
        #expect(!status.contains("upgrade starts"), "\(status)")
        #expect(try await tool("upgrade", "--keep").code == 1)
    }

    @Test func aRollbackGoesToTheProgramBefore() async throws {
        let none = try await tool("rollback", "--wait")
        #expect(none == (1, "", "preforkctl: there is no previous program\n"))
        let other = try temporaryPath()
        defer { unlink(other) }
        try copy(of: "benchmark-server", to: other)
        _ = try await tool("upgrade", "--wait", "--exec", other)
        let back = try await tool("rollback", "--wait")
        #expect(back.code == 0 && back.output.hasPrefix("rolled back, generation 3: \(program) "), "\(back)")
        let forth = try await tool("rollback", "--wait")
        #expect(forth.code == 0 && forth.output.hasPrefix("rolled back, generation 4: \(other) "), "\(forth)")
        _ = try await tool("rollback", "--wait")
        try copy(of: "preforkctl", to: other)
        let replaced = try await tool("rollback", "--wait")
        #expect(replaced.code == 1 && replaced.errors.contains("has changed: it was"), "\(replaced)")
        unlink(other)
        let gone = try await tool("rollback", "--wait")
        #expect(gone.code == 1 && gone.errors.contains("the previous program is gone"), "\(gone)")
    }

    /// Until the probation is over the image itself is there, whatever became of its file.
    @Test func aRollbackWithinTheProbationNeedsNoFile() async throws {
        let socket = try temporaryPath()
        let first = try temporaryPath()
        try copy(of: "benchmark-server", to: first)
        let server = try ChildProgram(
            first, ["--port", "0", "--workers", "2"],
            environment: ["PREFORK_CONTROL": socket, "PREFORK_PROBATION": "60s"])
        try await server.waitForLine("listening on")
        func tool(_ words: String...) async throws -> (code: Int32, output: String) {
            let tool = try ChildProgram("preforkctl", ["--socket", socket] + words)
            return (try await tool.waitForExit(within: .seconds(60)), tool.output + tool.errors)
        }
        let upgrade = try await tool("upgrade", "--exec", program)
        #expect(upgrade.code == 0 && upgrade.output.contains("the upgrade to \(program) (build "), "\(upgrade)")
        try await eventually("it is on probation") { try await tool("status").output.contains(": probation") }
        unlink(first)
        let back = try await tool("rollback")
        #expect(back.code == 0 && back.output.hasPrefix("the rollback to \(first) "), "\(back)")
        try await eventually("the first program runs again") {
            try await tool("status").output.contains("program \(first)")
        }
        try await eventually("with two workers") { server.children.count == 2 }
        server.send(.terminate)
        #expect(try await server.waitForExit() == 0)
    }

    @Test func theNewProgramsWorkerCountIsTakenUnlessAnOperatorHasScaled() async throws {
        let more = try script("export PREFORK_WORKERS=3")
        let fewer = try script("export PREFORK_WORKERS=1")
        defer {
            unlink(more)
            unlink(fewer)
        }
        let grown = try await tool("upgrade", "--wait", "--exec", more)
        #expect(grown.code == 0 && grown.output.contains("Changes: 3 workers instead of 2"), "\(grown)")
        try await eventually("three serve") { server.children.count == 3 }
        let shrunk = try await tool("upgrade", "--wait", "--exec", fewer)
        #expect(shrunk.code == 0 && shrunk.output.contains("1 worker instead of 3"), "\(shrunk)")
        try await eventually("one serves") { server.children.count == 1 }
        _ = try await tool("scale", "--wait", "2")
        let scaled = try await tool("upgrade", "--wait", "--exec", more)
        #expect(scaled.code == 0 && scaled.output.contains("2 workers stay"), "\(scaled)")
        try await eventually("two serve") { server.children.count == 2 }
        #expect(try await tool("status").output.contains("scaled (the program says 3 workers)"))
    }

    @Test func aProgramWhoseWorkersCannotServeIsGoneBackFrom() async throws {
        let program = read("/proc/\(server.pid)/maps").split(separator: "\n").compactMap { line -> String? in
            line.split(separator: " ").last.map(String.init)
        }.first { $0.hasSuffix("/benchmark-server") }
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
