// What workers and managed processes write to standard error, on its way into the log and the reports.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct WordsTests {
    /// As root also with workers of another user, who write to a socket instead of a pipe.
    private static let users: [[String: String]] = getuid() == 0 ? [[:], ["PREFORK_USER": "nobody"]] : [[:]]

    private func ended(
        _ arguments: [String], _ environment: [String: String] = [:], code: Int32? = nil
    ) async throws -> ChildProgram {
        let program = try ChildProgram("fork-fixture", arguments, environment: environment)
        let end = try await program.waitForExit()
        if let code { #expect(end == code, "\(program.output)\n\(program.errors)") }
        return program
    }

    /// What the log says after `worker N (pid P): `, by P.
    private func spoken(_ log: String, level: String = "notice") -> [Int32: [String]] {
        var lines: [Int32: [String]] = [:]
        for line in log.split(separator: "\n") {
            guard let head = line.firstRange(of: " \(level): worker "), let begin = line.firstRange(of: " (pid "),
                let end = line.firstRange(of: "): "), head.upperBound < begin.lowerBound,
                let pid = Int32(line[begin.upperBound..<end.lowerBound])
            else { continue }
            lines[pid, default: []].append(String(line[end.upperBound...]))
        }
        return lines
    }

    @Test(arguments: users) func `800 lines arrive whole and labelled`(_ environment: [String: String]) async throws {
        let program = try await ended(["lines", "count=800", "workers=3"], environment, code: 0)
        let lines = spoken(program.errors)
        #expect(lines.count == 3)
        let wanted = (0..<800).map { "line \($0) \(String(repeating: "x", count: $0 % 300)) end" }
        for own in lines.values { #expect(own == wanted) }
    }

    @Test(arguments: users) func `A flood is thinned and counted, and its writer goes on`(
        _ environment: [String: String]
    ) async throws {
        let program = try await ended(["flood", "rate=10", "seconds=2"], environment, code: 0)
        let words = program.output.split(separator: "\n").first { $0.hasPrefix("written ") }?.split(separator: " ")
        let figures = try #require(words).compactMap { Int($0) }
        // The allowance of the first moment, and of the time since. A slow machine may need no more.
        let most = (2 + figures[1] / 1000) << 20
        #expect(program.errors.utf8.count < 2 * most)
        if figures[0] > most {
            #expect(program.errors.contains(" of its output discarded: at most 1 MiB and 2000 lines a second are kept"))
        }
        #expect(figures[2] < 20_000, "\(program.output)")
    }

    @Test func `What is thrown away is in the metrics`() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let program = try ChildProgram(
            "fork-fixture", ["flood", "rate=50", "seconds=600"], environment: ["PREFORK_CONTROL": path])
        defer { kill(-program.pid, SIGKILL) }
        func metric(_ name: String) async throws -> Int {
            let tool = try ChildProgram("preforkctl", ["--socket", path, "metrics"])
            guard try await tool.waitForExit() == 0 else { return 0 }
            let line = tool.output.split(separator: "\n").first { $0.hasPrefix("prefork_lost_output_\(name)_total ") }
            return line?.split(separator: " ").last.flatMap { Int($0) } ?? -1
        }
        var lines = 0
        for _ in 0..<200 where lines <= 0 { lines = try await metric("lines") }
        #expect(lines > 0)
        // Lines of 128 bytes each.
        #expect(try await metric("bytes") > 127 * lines)
    }

    @Test(arguments: [
        (["end=index"], "Fatal error: Index out of range"), (["end=fatal"], "Fatal error: a reason\\u{1B}[31m"),
    ])
    func `The text of a crash is in its line of the log and in its report`(
        _ arguments: [String], _ text: String
    ) async throws {
        let program = try await ended(["last-words"] + arguments, code: 70)
        let line = program.errors.split(separator: "\n").first { $0.contains(" killed by SIG") }
        #expect(line?.contains(text) == true && line?.contains("before the end 1 | before the end 2") == true)
        #expect(program.output.contains("\(text)\n") && program.output.contains("crash 0 lines 4"))
    }

    @Test func `It is in those of a managed process, too`() async throws {
        let program = try ChildProgram("fork-fixture", ["last-words", "end=fatal", "managed=1"])
        try await program.waitForLine("job killed by SIG")
        #expect(program.output.contains("said fork_fixture/WordsScenarios.swift"))
        #expect(program.errors.contains(" notice: job (pid "))
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }

    @Test func `It is there in tornado's form`() async throws {
        let program = try await ended(["last-words", "end=fatal", "form=tornado"], code: 70)
        #expect(program.errors.contains("; it said: fork_fixture/WordsScenarios.swift"))
    }

    @Test func `A line without an end is told at the end of its worker`() async throws {
        let program = try await ended(["last-words", "end=unfinished"], code: 70)
        #expect(spoken(program.errors).values.first?.last == "no line end")
    }

    /// A worker can choose the level of its own line and nothing else.
    @Test func `A forged head is text`() async throws {
        let program = try await ended(["last-words", "end=head"], code: 70)
        let errors = program.errors.split(separator: "\n").filter { $0.contains("worker 7 said") }
        #expect(errors.count { $0.contains(" notice: worker 0 (pid ") && $0.contains("worker 7 said this") } == 1)
        #expect(errors.count { $0.contains(" error: worker 0 (pid ") && $0.hasSuffix(": worker 7 said that") } == 1)
        let time = try #require(errors.first?.split(separator: " ").first)
        #expect(!time.hasPrefix("2026-11-21T03:00:00.042Z"))
    }

    @Test func `Switched off, workers write where their supervisor does, and reports say so`() async throws {
        let program = try await ended(["last-words", "end=fatal"], ["PREFORK_CAPTURE_OUTPUT": "off"], code: 70)
        #expect(program.errors.split(separator: "\n").contains("before the end 1"))
        #expect(program.errors.contains("its last output was not captured"))
        #expect(program.output.contains("crash 0 lines -1"))
    }

    @Test func `Switched on, standard output is captured, too`() async throws {
        let program = try await ended(["prints", "100", "1"], ["PREFORK_CAPTURE_OUTPUT": "on"])
        let lines = spoken(program.errors).values.first ?? []
        #expect(lines.count == 100 && lines.last?.hasPrefix("worker 0 line 99 ") == true, "\(program.errors)")
        #expect(!program.output.contains("line 0"))
    }

    @Test func `It goes to the log file`() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let environment = ["PREFORK_LOG_FILE": path, "PREFORK_LOG_FORMAT": "json"]
        let program = try await ended(["last-words", "end=fatal"], environment, code: 70)
        #expect(program.errors.isEmpty)
        let lines = read(path).split(separator: "\n")
        #expect(lines.allSatisfy { $0.hasPrefix("{\"time\":\"") && $0.hasSuffix("}") })
        #expect(lines.contains { $0.contains("\"level\":\"notice\"") && $0.contains("\"cause\":\"output\"") })
        #expect(lines.contains { $0.contains("\"signal\":\"SIG") && $0.contains("\"cause\":\"ends\"") })
    }

    @Test(arguments: users) func `Workers whose supervisor was killed do not hang`(
        _ environment: [String: String]
    ) async throws {
        let program = try ChildProgram("fork-fixture", ["talking", "workers=2"], environment: environment)
        try await program.waitForLine("all ready")
        let workers = program.children
        #expect(workers.count == 2)
        program.send(.kill)
        _ = try await program.waitForExit()
        try await eventually("the workers have ended") { workers.allSatisfy { kill($0, 0) != 0 || isZombie($0) } }
    }

    @Test(arguments: users) func `An upgrade loses no line and tears none`(
        _ environment: [String: String]
    ) async throws {
        let program = try ChildProgram("fork-fixture", ["talking", "workers=2"], environment: environment)
        try await program.waitForLine("all ready")
        try await eventually("lines") { program.errors.contains(": number 20\n") }
        program.send(.user2)
        try await eventually("the reload is done\n\(program.errors)") {
            program.errors.contains("generation 2") && program.output.split(separator: "\n").count {
                $0.hasPrefix("spoke ")
            } == 2
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let lines = spoken(program.errors)
        #expect(lines.count == 4)
        for (pid, own) in lines { #expect(own == own.indices.map { "number \($0)" }, "worker \(pid)") }
        let told = program.output.split(separator: "\n").compactMap { line in
            line.hasPrefix("spoke ") ? Int(line.dropFirst(6)) : nil
        }
        #expect(told.sorted() == lines.values.map(\.count).sorted())
    }

    @Test func `What a child of an ended worker still writes is told`() async throws {
        let program = try ChildProgram("fork-fixture", ["outliving", "workers=2"])
        try await eventually("its line\n\(program.errors)") {
            program.errors.contains(" notice: worker 0 (pid ") && program.errors.contains("): the child speaks")
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
    }
}
