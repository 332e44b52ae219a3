// A program with once-tasks, and the journal that its runs write.

import Foundation
import PreforkSystem
import PreforkTestSupport
import Testing

/// `manager-fixture once` with its journal and its folder of switches.
final class OnceProgram {
    /// A line of the journal.
    struct Line {
        let time: Int64
        let kind: String
        let task: String
        let (run, due, attempt, missed, image): (Int, Int, Int, Int, Int)
        let pid: Int32

        init?(_ text: Substring) {
            let words = text.split(separator: " ")
            guard words.count == 9, let time = Int64(words[0]), let run = Int(words[3]), let due = Int(words[4]),
                let attempt = Int(words[5]), let missed = Int(words[6]), let image = Int(words[7]),
                let pid = Int32(words[8])
            else { return nil }
            (self.time, kind, task) = (time, String(words[1]), String(words[2]))
            (self.run, self.due, self.attempt, self.missed, self.image, self.pid) = (run, due, attempt, missed, image, pid)
        }
    }

    let program: ChildProgram
    private let folder: String
    let environment: [String: String]

    /// - Parameter on: switches that are on from the start.
    init(
        _ arguments: [String] = [], on: String? = nil, environment: [String: String] = [:], isPlain: Bool = false
    ) async throws {
        folder = try temporaryPath()
        mkdir(folder, 0o777)
        chmod(folder, 0o777)
        if let on { close(open("\(folder)/\(on)", O_CREAT | O_WRONLY, 0o644)) }
        let own = [
            "PREFORK_PROBATION": "1s", "PREFORK_CONTROL": folder + ".control", "SWIFT_BACKTRACE": "enable=no",
        ]
        self.environment = own.merging(environment) { $1 }
        program = try ChildProgram(
            "manager-fixture", ["once", "switches=\(folder)", "journal=\(folder)/journal"] + arguments,
            environment: self.environment)
        try await program.waitForLine(isPlain ? "begins" : "all ready, image 1")
    }

    deinit {
        program.killGroup()
        for name in entries(folder) { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    func turnOn(_ name: String) { close(open("\(folder)/\(name)", O_CREAT | O_WRONLY, 0o644)) }
    func turnOff(_ name: String) { unlink("\(folder)/\(name)") }

    var journalPath: String { "\(folder)/journal" }
    var journal: String { (try? String(contentsOfFile: journalPath, encoding: .utf8)) ?? "" }
    func lines(_ kind: String) -> [Line] { journal.split(separator: "\n").compactMap { Line($0) }.filter { $0.kind == kind } }

    var story: String { "\(journal)\n\(program.output)\n\(program.errors)" }

    @discardableResult
    func waitFor(_ kind: String, _ count: Int = 1) async throws -> Line {
        try await eventually(within: .seconds(60), "\(count) of \(kind) are there\n\(story)") { self.lines(kind).count >= count }
        return lines(kind)[count - 1]
    }

    func waitForLog(_ text: String, times: Int = 1) async throws {
        try await eventually(within: .seconds(60), "the log says: \(text)\n\(story)") {
            self.program.errors.split(separator: "\n").count { $0.contains(text) } >= times
        }
    }

    func order(_ words: String...) async throws -> (code: Int32, output: String) {
        let tool = try ChildProgram("preforkctl", words, environment: environment)
        let code = try await tool.waitForExit(within: .seconds(90))
        return (code, tool.output + tool.errors)
    }

    /// Of task0.
    func task() async throws -> [String: Any] {
        let (_, output) = try await order("tasks", "--json")
        let list = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]]
        return try #require(list?.first)
    }

    func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 && !isZombie(pid) }

    func end(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0, "\(story)", sourceLocation: sourceLocation)
        #expect(program.groupSize == 0, sourceLocation: sourceLocation)
        #expect(!journal.contains("DOUBLE"), "\(story)", sourceLocation: sourceLocation)
    }
}
