// Programs that are started with descriptors 0, 1 or 2 closed, and where there is no /dev/null.

import Glibc
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ClosedStreamTests {
    private func run(_ preparation: String) async throws -> [String] {
        let path = try temporaryFile()
        defer { unlink(path) }
        let program = try ChildProgram("fork-fixture", ["closed-streams", path], preparation: preparation)
        #expect(try await program.waitForExit() == 0)
        return read(path).split(separator: "\n").map(String.init)
    }

    @Test func theyAreOpenBeforeAnythingElseIs() async throws {
        let lines = try await run("exec 0<&- 1>&- 2>&-")
        #expect(lines == ["/dev/null 2 true", "/dev/null 2 true", "/dev/null 2 true", "kept 100"])
        let one = try await run("exec 2>&-")
        #expect(one.dropFirst(2) == ["/dev/null 2 true", "kept 100"])
    }

    /// A mount namespace with an empty /dev. What reads as its end and takes nothing stands in.
    @Test(.enabled(if: geteuid() == 0 && system("unshare -m true 2>/dev/null") == 0))
    func withoutTheNullDeviceTheNumbersAreTakenAllTheSame() async throws {
        let path = try temporaryFile()
        defer { unlink(path) }
        let fixture = ChildProgram.path(of: "fork-fixture")
        let script = "mount -t tmpfs none /dev && exec 0<&- 1>&- 2>&- && exec '\(fixture)' closed-streams '\(path)'"
        let program = try ChildProgram("/usr/bin/unshare", ["-m", "/bin/sh", "-c", script])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let lines = read(path).split(separator: "\n").map(String.init)
        #expect(lines == ["pipe 0 true", "pipe 0 true", "pipe 0 true", "kept 100"])
    }
}
