// `preforkctl profile` of a pool that works.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(4))) struct ProfileTests {
    private final class Folder {
        let path: String

        init() throws {
            path = try temporaryPath()
            mkdir(path, 0o700)
        }

        deinit {
            for name in entries(path) { unlink("\(path)/\(name)") }
            rmdir(path)
        }
    }

    private let folder: Folder
    private var control: String { folder.path + "/control" }
    private var output: String { folder.path + "/result" }

    init() throws { folder = try Folder() }

    /// Workers that use half of their processor.
    private func pool(_ environment: [String: String] = [:]) async throws -> ChildProgram {
        let program = try ChildProgram(
            "ops-fixture", ["burn", "workers=2"],
            environment: environment.merging(["PREFORK_CONTROL": control]) { $1 })
        _ = try await program.waitForLine("burning ")
        try await eventually("both burn\n\(program.output)") { burners(program).count >= 2 }
        return program
    }

    private func burners(_ program: ChildProgram) -> [Int32] {
        program.output.split(separator: "\n").filter { $0.hasPrefix("burning ") }
            .compactMap { Int32($0.split(separator: " ")[1]) }
    }

    private func profile(_ words: String...) throws -> ChildProgram {
        try ChildProgram(
            "preforkctl", ["profile", "--output", output] + words, environment: ["PREFORK_CONTROL": control])
    }

    private var folded: String { read(output + ".folded") }
    private var picture: String { read(output + ".svg") }

    private func end(_ program: ChildProgram) async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
    }

    @Test(arguments: ["off", "network-server"]) func theFunctionThatUsesTheTimeIsNamed(sandbox: String) async throws {
        let program = try await pool(["PREFORK_SANDBOX": sandbox])
        let tool = try profile("--seconds", "2")
        #expect(try await tool.waitForExit(within: .seconds(90)) == 0, "\(tool.errors)")
        #expect(tool.output.contains("samples of 2 workers: \(output).folded, \(output).svg"), "\(tool.output)")
        let hot = folded.split(separator: "\n").filter { $0.contains("useProcessor") }
        #expect(!hot.isEmpty, "\(folded.prefix(4_000))")
        let counts = folded.split(separator: "\n").map { Int($0.split(separator: " ").last ?? "") ?? 0 }
        let hotCounts = hot.map { Int($0.split(separator: " ").last ?? "") ?? 0 }
        #expect(hotCounts.reduce(0, +) * 2 > counts.reduce(0, +), "\(folded.prefix(4_000))")
        #expect(picture.hasPrefix("<?xml") && picture.contains("useProcessor") && !picture.contains("<script"))
        try await end(program)
    }

    @Test func oneWorkerAloneIsSampledAndTwoProfilesAreRefused() async throws {
        let program = try await pool()
        let first = try profile("--seconds", "5", "1")
        try await eventually("the first has begun") {
            for pid in burners(program) where await isSampled(pid) { return true }
            return false
        }
        let second = try ChildProgram(
            "preforkctl", ["profile", "--seconds", "1", "--output", output + "2"],
            environment: ["PREFORK_CONTROL": control])
        #expect(try await second.waitForExit(within: .seconds(60)) == 1)
        #expect(second.errors.contains("another profile is in progress"), "\(second.errors)")
        #expect(try await first.waitForExit(within: .seconds(90)) == 0, "\(first.errors)")
        #expect(first.output.contains("samples of 1 worker:"))
        let absent = try profile("--seconds", "1", "77")
        #expect(try await absent.waitForExit() == 1)
        #expect(absent.errors.contains("there is no worker 77"))
        try await end(program)
    }

    @Test func aWorkerThatIsKilledIsSaidAndItsSuccessorIsSampled() async throws {
        let program = try await pool()
        let tool = try profile("--seconds", "4")
        let victim = burners(program)[0]
        try await eventually("it is sampled") { await isSampled(victim) }
        kill(victim, SIGKILL)
        #expect(try await tool.waitForExit(within: .seconds(90)) == 0, "\(tool.errors)")
        #expect(tool.errors.contains("(pid \(victim)) ended in the middle"), "\(tool.errors)")
        #expect(tool.errors.contains("came in the middle"), "\(tool.errors)")
        #expect(folded.contains("useProcessor"))
        try await end(program)
    }

    @Test func anUpgradeLeavesThePartThatIsKnown() async throws {
        let program = try await pool()
        let tool = try profile("--seconds", "30")
        let worker = burners(program)[0]
        try await eventually("it is sampled") { await isSampled(worker) }
        program.send(.user2)
        #expect(try await tool.waitForExit(within: .seconds(90)) == 1, "\(tool.errors)")
        #expect(tool.errors.contains("the profile is not whole"), "\(tool.errors)")
        #expect(picture.hasSuffix("</svg>\n"))
        // A timer stops by itself, and the new program samples its own workers.
        try await eventually("new workers") { burners(program).count >= 4 }
        let next = try profile("--seconds", "1")
        #expect(try await next.waitForExit(within: .seconds(90)) == 0, "\(next.errors)")
        try await end(program)
    }

    /// A POSIX timer of the process is listed (proc(5), /proc/pid/timers).
    private func isSampled(_ pid: Int32) async -> Bool { read("/proc/\(pid)/timers").contains("ID:") }
}
