// preforkctl at a socket behind which there is no supervisor.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ControlImpostorTests {
    private func ask(_ command: String, answeredWith answer: String) async throws
        -> (code: Int32, output: String, errors: String)
    {
        let path = try temporaryPath()
        let impostor = try ChildProgram("control-fixture", ["impostor", path, answer])
        _ = try await impostor.waitForLine("ready")
        let program = try ChildProgram("preforkctl", [command], environment: ["PREFORK_CONTROL": path])
        let code = try await program.waitForExit()
        return (code, program.output, program.errors)
    }

    private static let escape = #"\u001b]0;owned\u0007\u009b2Jred\u202e\r\n"#

    @Test(arguments: [
        ("reload", #"{"ok":false,"error":"ESC"}"#), ("reload", #"{"ok":true,"message":"ESC"}"#),
        ("status", #"{"ok":true,"status":{"phase":"ESC","reload":{"state":"ESC","reason":"ESC"}}}"#),
        ("metrics", #"{"ok":true,"metrics":"ESC"}"#), ("config", #"{"ok":true,"settings":[{"name":"ESC"}]}"#),
        ("crashes", #"{"ok":true,"crashes":[{"status":"ESC","killReason":"ESC"}]}"#),
        ("listeners", #"{"ok":true,"listeners":[{"address":"ESC"}]}"#),
        ("queues", #"{"ok":true,"queues":[{"name":"ESC","ready":"ESC"}]}"#),
        ("channels", #"{"ok":true,"channels":[{"name":"ESC","state":"ESC"}]}"#),
        ("stores", #"{"ok":true,"stores":[{"name":"ESC"}]}"#),
    ])
    func `No answer of its commands the terminal`(_ command: String, _ answer: String) async throws {
        let text = answer.replacing("ESC", with: Self.escape)
        let (_, output, errors) = try await ask(command, answeredWith: text)
        let shown = output + errors
        #expect(shown.contains("owned") && shown.contains("\\u{1B}") && shown.contains("\\u{9B}"))
        let commands: [Unicode.Scalar] = ["\u{1B}", "\u{7}", "\u{9B}", "\u{202E}", "\r"]
        #expect(!shown.unicodeScalars.contains { commands.contains($0) })
    }

    @Test func `JSON stays JSON, and has nothing in it that a terminal obeys`() async throws {
        let path = try temporaryPath()
        let impostor = try ChildProgram(
            "control-fixture", ["impostor", path, #"{"ok":true,"status":{"phase":"\#(Self.escape)"}}"#])
        _ = try await impostor.waitForLine("ready")
        let program = try ChildProgram("preforkctl", ["status", "--json"], environment: ["PREFORK_CONTROL": path])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output == #"{"phase":"\u001B]0;owned\u0007\u009B2Jred\u202E\r\n"}"# + "\n")
    }

    @Test(arguments: ["endless", "parts", "mixed"])
    func `What has no end or no sense is given up`(_ kind: String) async throws {
        let (code, output, errors) = try await ask("status", answeredWith: kind)
        #expect(code == 69 && output.isEmpty)
        #expect(errors.hasPrefix("preforkctl: not a supervisor's answer: "))
    }

    @Test(.enabled(if: geteuid() == 0, "only root can start a process of another user"))
    func `A socket of another user is told of`() async throws {
        let path = try temporaryPath()
        // The directory is the test's. The socket and its server belong to another user.
        let directory = path + ".d"
        #expect(mkdir(directory, 0o777) == 0 && chmod(directory, 0o777) == 0)
        let socket = directory + "/socket"
        let impostor = try ChildProgram(
            "control-fixture", ["impostor", socket, #"{"ok":true,"message":"done"}"#],
            preparation: "exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" \"$@\"")
        _ = try await impostor.waitForLine("ready")
        let program = try ChildProgram("preforkctl", ["reload"], environment: ["PREFORK_CONTROL": socket])
        #expect(try await program.waitForExit() == 0)
        #expect(program.errors.contains("runs as user 65534, neither as root nor as you"))
    }
}
