// A main process that receives what its workers and managed processes send, and supervises all the same.

import Glibc
@testable import PreforkSupervisor
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct MainReceivesTests {
    private let environment: [String: String]

    init() throws {
        environment = ["PREFORK_CONTROL": try temporaryPath()]
    }

    private func order(_ words: String..., to program: ChildProgram) async throws -> String {
        let tool = try ChildProgram("preforkctl", words, environment: environment)
        let code = try await tool.waitForExit(within: .seconds(60))
        #expect(code == 0, "\(words): \(tool.output)\(tool.errors)\(program.errors)")
        return tool.output
    }

    private func threads(of program: ChildProgram) -> Int { entries("/proc/\(program.pid)/task").count }

    /// Who has said that it is there, in order.
    private func processes(_ name: String, _ program: ChildProgram) -> [Int32] {
        program.output.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("\(name) is ") else { return nil }
            return Int32(line.dropFirst(name.count + 4).prefix { $0.isNumber })
        }
    }

    /// Waits until the main process has handled messages of the `count`th process of that name.
    private func waitUntilHeard(_ name: String, _ count: Int, _ program: ChildProgram) async throws {
        let kind = name == "talker" ? "channel" : "news"
        try await eventually(within: .seconds(60), "\(name) \(count) is heard\n\(program.output)\n\(program.errors)") {
            let all = processes(name, program)
            return all.count >= count && program.output.contains("\(kind) 40 of \(all[count - 1]) by")
        }
        #expect(threads(of: program) == 1)
    }

    @Test func `An upgrade waits for the message that a loop of the main process has in hand`() async throws {
        let program = try ChildProgram("manager-fixture", ["main-loops"], environment: environment)
        try await program.waitForLine("all ready, image 1, threads 1")
        try await waitUntilHeard("talker", 1, program)
        for count in 2...4 {
            _ = try await order("upgrade", "--wait", to: program)
            try await waitUntilHeard("talker", count, program)
        }
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0)
        #expect(!program.output.contains("gap"), "\(program.output)")
    }

    @Test func `A main process with callbacks restarts, reloads and upgrades, and loses no message`() async throws {
        let program = try ChildProgram("manager-fixture", ["main-receives"], environment: environment)
        try await program.waitForLine("all ready, image 1, threads 1")
        try await waitUntilHeard("talker", 1, program)
        try await waitUntilHeard("worker 0", 1, program)
        // Registered by a hook, while the pool runs.
        try await program.waitForLine("late ")
        _ = try await order("restart", "talker", "--wait", to: program)
        try await waitUntilHeard("talker", 2, program)
        kill(try #require(processes("worker 0", program).last), SIGKILL)
        try await waitUntilHeard("worker 0", 2, program)
        _ = try await order("reload", "--wait", to: program)
        try await waitUntilHeard("worker 0", 3, program)
        _ = try await order("upgrade", "--wait", to: program)
        try await waitUntilHeard("worker 0", 4, program)
        try await waitUntilHeard("talker", 3, program)
        #expect(program.output.contains("by image 2"))
        _ = try await order("restart", "talker", "--wait", to: program)
        try await waitUntilHeard("talker", 4, program)
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0, "\(program.errors)")
        let lines = program.output.split(separator: "\n")
        #expect(!lines.contains { $0.hasPrefix("gap") || $0.hasPrefix("strange") }, "\(program.output)")
        #expect(lines.last == "outcome stopped, children 0")
        #expect(!program.errors.contains("cannot fork"), "\(program.errors)")
        #expect(program.groupSize == 0)
    }

    @Test func `Callbacks of a manager's process run between its calls and within them`() async throws {
        let program = try ChildProgram("manager-fixture", ["main-receives-by-hand"])
        #expect(try await program.waitForExit() == 0, "\(program.output)\(program.errors)")
        #expect(
            program.output.split(separator: "\n") == [
                "threads 2", "heard 20 between calls", "heard 40 within them", "children 0",
            ])
    }

    @Test func `Messages without end to a main process keep no operator waiting`() async throws {
        let program = try ChildProgram("manager-fixture", ["main-flood"], environment: environment)
        try await program.waitForLine("all ready")
        for _ in 0..<10 {
            let start = MonotonicInstant.now
            #expect(try await order("status", to: program).contains("1/1 ready"))
            #expect(MonotonicInstant.now - start < .seconds(5))
        }
        _ = try await order("reload", "--wait", to: program)
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0, "\(program.errors)")
    }

    @Test func `The loop has half of a supervisor's time, in turns`() {
        var share = LoopShare()
        let start = MonotonicInstant(nanoseconds: 0)
        // Little at a time is as much as it likes.
        for number in 0..<100 {
            let turn = start + .milliseconds(10) * number
            #expect(share.took(from: turn, to: turn + .milliseconds(4)) == nil)
        }
        let later = start + .seconds(10)
        #expect(share.took(from: later, to: later + .milliseconds(3)) == nil)
        #expect(share.took(from: later + .milliseconds(3), to: later + .milliseconds(6)) == later + .milliseconds(12))
        // After its rest it begins anew.
        #expect(share.took(from: later + .milliseconds(12), to: later + .milliseconds(16)) == nil)
    }
}
