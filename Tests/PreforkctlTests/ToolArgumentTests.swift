// preforkctl's arguments with values that make no sense: refused by their name before anything is asked, or the
// supervisor's to judge, which is not there.

import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ToolArgumentTests {
    private static let huge = String(repeating: "x", count: 100_000)

    /// Bad usage: 64, and a text that has all of the words.
    private static let refused: [(arguments: [String], words: [String])] = [
        (["scale"], ["N, +N or -N is missing"]), (["scale", ""], ["'' is not N, +N or -N"]),
        (["scale", "x"], ["'x' is not"]), (["scale", "+"], ["'+' is not"]), (["scale", "1.5"], ["'1.5' is not"]),
        (["scale", "99999999999999999999"], ["'99999999999999999999' is not"]),
        (["scale", huge], ["is not N, +N or -N"]),
        (["scale", "a\u{1B}[2J"], ["'a\\u{1B}[2J' is not"]), (["scale", "1", "2"], ["'2' is not understood"]),
        (["restart"], ["SLOT or NAME is missing"]), (["restart", ""], ["SLOT is a number, not ''"]),
        (["restart", "-1"], ["SLOT is a number, not '-1'"]), (["drain", "größe"], ["not 'größe'"]),
        (["restart", "99999999999999999999"], ["not '99999999999999999999'"]), (["kill", "../x"], ["not '../x'"]),
        (["kill"], ["SLOT is missing"]), (["kill", "-9223372036854775808"], ["SLOT is a number"]),
        (["drain", "\u{1B}"], ["not '\\u{1B}'"]), (["upgrade", "--exec"], ["--exec needs a value"]),
        (["status", "--socket"], ["--socket needs a value"]),
        (["status", "--socket", ""], ["where is the supervisor?"]),
        (["status"], ["where is the supervisor?"]), ([""], ["unknown command ''"]), ([huge], ["unknown command"]),
        (["\u{1B}[2J\n"], ["unknown command '\\u{1B}[2J"]), (["completion"], ["bash, zsh or fish is missing"]),
        (["watch", "--path"], ["--path needs a value"]), (["watch", "--suffix"], ["--suffix needs a value"]),
        (["stop", "--quick", "now"], ["'now' is not understood"]),
    ]

    @Test(arguments: refused) func nonsenseIsBadUsageAndNamed(_ arguments: [String], _ words: [String]) async throws {
        let program = try ChildProgram("preforkctl", arguments)
        #expect(try await program.waitForExit() == 64)
        for word in words { #expect(program.errors.contains(word), "\(program.errors.prefix(500))") }
        #expect(!program.errors.unicodeScalars.contains("\u{1B}"))
        #expect(program.errors.utf8.count < 4096)
        #expect(program.output.isEmpty)
    }

    /// A value that only a supervisor can judge. Here there is no supervisor, and the error names the socket.
    @Test(arguments: [
        ["scale", "0"], ["scale", "-1"], ["scale", "+0"], ["scale", "9223372036854775807"],
        ["scale", "-9223372036854775808"],
        ["restart", "0"], ["restart", "9223372036854775807"], ["upgrade", "--exec", ""], ["upgrade", "--exec", "../x"],
    ])
    func whatASupervisorMustJudgeIsAskedOfIt(_ arguments: [String]) async throws {
        let program = try ChildProgram("preforkctl", ["--socket", "/nowhere/control"] + arguments)
        #expect(try await program.waitForExit() == 69)
        #expect(program.errors.contains("/nowhere/control"))
    }

    @Test(arguments: ["relative", "/nowhere/\u{1B}[2J", "/" + String(repeating: "x", count: 200), huge])
    func aSocketThatCannotBeIsNamed(_ path: String) async throws {
        let program = try ChildProgram("preforkctl", ["--socket", path, "status"])
        #expect(try await program.waitForExit() == 69)
        #expect(program.errors.contains(path.hasPrefix("/nowhere") ? "/nowhere/\\u{1B}" : path.prefix(30)))
        #expect(!program.errors.unicodeScalars.contains("\u{1B}") && program.errors.utf8.count < 4096)
    }
}
