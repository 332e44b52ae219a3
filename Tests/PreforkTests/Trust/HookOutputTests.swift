// Hooks that print to an output without a reader, and to one that is read late.

import Glibc
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct HookOutputTests {
    @Test(arguments: ["pipe", "socket", "terminal"])
    func noHookMakesTheSupervisorWaitForAReader(kind: String) async throws {
        let program = try ChildProgram("fork-fixture", ["printing-hooks", kind])
        #expect(try await program.waitForExit() == 70, "\(program.output)")
        #expect(program.output.contains("restarts 21\n"), "\(program.output)")
        // Whole lines, and in their order.
        // A terminal ends it by two characters.
        let count = "before the first fork".utf8.count + (kind == "terminal" ? 1 : 0)
        #expect(program.output.contains("first \(count)\n"), "\(program.output)")
    }

    @Test func theWordsOfAHookThatCrashesAreNotLost() async throws {
        let program = try ChildProgram("fork-fixture", ["crashing-hook"])
        #expect(try await program.waitForExit() < 0)
        try await eventually("its words\n\(program.output)") { program.output.contains("words of the hook") }
    }

    @Test func whatAHookPrintsBeforeItExitsTheProgramIsNotLost() async throws {
        let program = try ChildProgram("fork-fixture", ["crashing-hook", "exit"])
        #expect(try await program.waitForExit() == 9)
        try await eventually("its words\n\(program.output)") { program.output.contains("words before") }
    }

    @Test func aHookThatOpensAnotherFileForStandardOutputKeepsIt() async throws {
        let path = try temporaryFile()
        defer { unlink(path) }
        let program = try ChildProgram("fork-fixture", ["replacing-hook", path])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.contains("pipe false false"), "\(program.output)")
        // What was in memory when the file changed goes there, too.
        let lines = Set(read(path).split(separator: "\n"))
        #expect(lines == ["to the pipe", "to the file", "to the file, too"])
    }
}
