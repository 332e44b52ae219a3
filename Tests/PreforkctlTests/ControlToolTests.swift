// preforkctl, as a program, against a fixture that serves made-up workers.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ControlToolTests {
    let path: String
    let fixture: ChildProgram

    init() async throws {
        let path = try temporaryPath()
        self.path = path
        let fixture = try ChildProgram("control-fixture", [path, "0", "6"])
        self.fixture = fixture
        try await eventually("the fixture serves") { fixture.output.hasSuffix("\n") }
    }

    private func tool(_ words: String...) async throws -> (code: Int32, output: String, errors: String) {
        let program = try ChildProgram("preforkctl", words, environment: ["PREFORK_CONTROL": path])
        let code = try await program.waitForExit()
        return (code, program.output, program.errors)
    }

    @Test func `A status is a table without colours where no terminal is`() async throws {
        let (code, output, _) = try await tool("status")
        #expect(code == 0)
        let lines = output.split(separator: "\n")
        try #require(lines.count == 8)
        #expect(lines[0].hasSuffix("4/6 ready, generation 1, 1/100 restarts"))
        #expect(lines[1].contains("SLOT") && lines[1].hasSuffix("LAST EXIT"))
        #expect(lines[3].hasSuffix("killed by SIGABRT (core dumped)"))
        #expect(!output.contains("\u{1B}"))
    }

    @Test func `Memory of workers is read for a table, and elsewhere only on request`() async throws {
        #expect(try await tool("status").output.contains("PSS  SHARED  PRIVATE"))
        #expect(try await !tool("status", "--json").output.contains("\"private\""))
        #expect(try await tool("status", "--json", "--memory").output.contains("\"private\""))
        let family = "# TYPE prefork_worker_private_bytes gauge"
        #expect(try await !tool("metrics").output.contains(family))
        #expect(try await tool("metrics", "--memory").output.contains(family))
    }

    @Test func `Exit codes tell what came of it`() async throws {
        let reload = try await tool("reload", "--wait")
        #expect(reload == (0, "reloaded, generation 2\n", ""))
        #expect(try await tool("restart", "1", "--wait").code == 0)
        let scale = try await tool("scale", "0")
        #expect(scale == (1, "", "preforkctl: a pool has at least one worker\n"))
        #expect(try await tool("kill", "99").code == 1)
        for words in [["reboot"], ["restart"], ["drain", "x"], ["scale", "much"], ["status", "now"]] {
            let program = try ChildProgram("preforkctl", words, environment: ["PREFORK_CONTROL": path])
            #expect(try await program.waitForExit() == 64)
        }
        let nowhere = try ChildProgram("preforkctl", ["status", "--socket", path + "-none"])
        #expect(try await nowhere.waitForExit() == 69)
        let advice = "was it started with PREFORK_CONTROL=\(path)-none?"
        #expect(nowhere.errors == "preforkctl: no supervisor answers at \(path)-none (ENOENT): \(advice)\n")
        #expect(try await tool("upgrade", "--wait", "--exec", "/bin/true").output == "done\n")
        let lost = try ChildProgram("preforkctl", ["status"])
        #expect(try await lost.waitForExit() == 64)
    }

    @Test(arguments: ["workers", "listeners", "config", "crashes"])
    func `Lists are tables or JSON`(_ name: String) async throws {
        #expect(try await tool(name).output.split(separator: "\n").count > 1)
        #expect(try await tool(name, "--json").output.hasPrefix("[{"))
    }

    @Test(arguments: ["", "trap '' PIPE; "])
    func `Top ends with its reader, whether SIGPIPE is ignored or not`(_ trap: String) async throws {
        let line = "exec 3>&1; { \"$0\" \"$@\"; echo code $? >&3; } | head -1; exit 0"
        let program = try ChildProgram(
            "preforkctl", ["top"], environment: ["PREFORK_CONTROL": path], preparation: trap + line)
        #expect(try await program.waitForLine("code ") == "\(128 + SIGPIPE)")
        #expect(!program.errors.contains("EPIPE"))
    }

    @Test func `Help and completion need no supervisor`() async throws {
        #expect(try await tool("--help").output.hasPrefix("Usage: preforkctl"))
        for shell in ["bash", "zsh", "fish"] {
            #expect(try await tool("completion", shell).output.contains("reopen-logs"))
        }
    }

    @Test func `Watch builds on change, upgrades after success, and ends with its build`() async throws {
        let sources = try temporaryPath()
        #expect(mkdir(sources, 0o700) == 0)
        defer { for name in entries(sources) + [""] { remove("\(sources)/\(name)") } }
        let build = "cat \(sources)/state.swift; ! grep -q broken \(sources)/state.swift || exit 3"
        let program = try ChildProgram(
            "preforkctl", ["watch", "--path", sources, "--build", build],
            environment: ["PREFORK_CONTROL": path])
        try await program.waitForLine("preforkctl: watching 1 directories")
        try write("good\n", to: "\(sources)/state.swift")
        try await program.waitForLine("good")
        try await program.waitForLine("preforkctl: done")
        try write("broken\n", to: "\(sources)/state.swift")
        try await program.waitForLine("preforkctl: the build exited with code 3")
        try await program.waitForLine("preforkctl: the old program keeps serving")
        program.send(.interrupt)
        #expect(try await program.waitForExit() == -SIGINT)
        #expect(program.output.split(separator: "\n").count { $0 == "preforkctl: done" } == 1)
    }

    @Test func `An interrupt ends a watch and the build that runs`() async throws {
        let sources = try temporaryPath()
        #expect(mkdir(sources, 0o700) == 0)
        defer { for name in entries(sources) + [""] { remove("\(sources)/\(name)") } }
        let program = try ChildProgram(
            "preforkctl", ["watch", "--path", sources, "--build", "echo pid $$; sleep 100; true"],
            environment: ["PREFORK_CONTROL": path])
        try await program.waitForLine("preforkctl: watching 1 directories")
        try write("", to: "\(sources)/state.swift")
        let build = try #require(Int32(try await program.waitForLine("pid ")))
        program.send(.interrupt)
        #expect(try await program.waitForExit() == -SIGINT)
        try await eventually("nothing is left of the build") { kill(-build, 0) != 0 }
    }

    @Test func `Watch needs sources and a supervisor`() async throws {
        #expect(try await tool("watch", "--path", path + "-none").code == 69)
        #expect(try await tool("watch", "--socket", path + "-none", "--path", "/tmp").code == 69)
        #expect(try await tool("watch", "--build").code == 64)
    }

    @Test func `After stop nobody answers`() async throws {
        #expect(try await tool("stop").code == 0)
        #expect(try await fixture.waitForExit() == 0)
        #expect(try await tool("status").code == 69)
    }

    /// A socket whose supervisor was killed stays.
    @Test func `A socket that no process serves is told with its errno`() async throws {
        let path = try temporaryPath()
        let left = try Socket.open(for: .unix(path: path))
        try Socket.bind(left, to: .unix(path: path))
        closeDescriptor(left)
        defer { remove(path) }
        let program = try ChildProgram("preforkctl", ["status", "--socket", path])
        #expect(try await program.waitForExit() == 69)
        #expect(program.errors.hasPrefix("preforkctl: no supervisor answers at \(path) (ECONNREFUSED): was it started"))
    }
}

/// One notice for a watch, however long it takes: until it is whole, the file has a name that is no source's.
private func write(_ text: String, to path: String) throws {
    let file = try #require(fopen(path + ".new", "w"))
    fputs(text, file)
    fclose(file)
    try #require(rename(path + ".new", path) == 0)
}
