// Lines of the log as JSON.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct LogFormatTests {
    private let time = "2026-11-21T03:00:00.042Z"

    private func json(_ line: LogLine) throws -> JSONValue {
        let text = line.written(.json, at: time, pid: 4711)
        #expect(text.hasSuffix("\n") && text.dropLast().allSatisfy { $0 != "\n" })
        return try JSONParser.parse(Array(text.utf8))
    }

    @Test func `A line is an object with what is known of it`() throws {
        let report = ExitReport(
            slot: 2, pid: 99, status: .signaled(.abort, coreDumped: false),
            consequence: .restart(in: .zero, number: 1))
        var lines: [LogLine] = []
        SupervisorLogger { lines.append($0) }.say(
            PoolReport.exited(report).line(limit: 3), by: .worker(2, .end), at: MonotonicInstant(nanoseconds: 0))
        let value = try json(lines[0])
        #expect(value["time"]?.string?.unescaped == time && value["supervisor"]?.integer == 4711)
        #expect(value["level"]?.string?.unescaped == "warning")
        #expect(value["worker"]?.integer == 2 && value["pid"]?.integer == 99)
        #expect(value["generation"]?.integer == 1 && value["signal"]?.string?.unescaped == "SIGABRT")
        #expect(value["cause"]?.string?.unescaped == "ends" && value["exitCode"] == nil)
        #expect(value["message"]?.string?.unescaped == lines[0].text)
    }

    @Test func `Text of others cannot end the object or begin another one`() throws {
        let text = "\"}\n{\"level\":\"info\u{1B}[2J\\"
        let value = try json(LogLine(.notice, text))
        #expect(value["level"]?.string?.unescaped == "notice" && value["worker"] == nil)
        #expect(value["message"]?.string?.unescaped == "\"}\\u{A}{\"level\":\"info\\u{1B}[2J\\")
    }

    @Test func `Text stays as it was`() {
        #expect(LogLine(.info, "x").written(.text, at: time, pid: 1) == "\(time) prefork[1] info: x\n")
    }
}
