// The page of `preforkctl crashes`.

import Testing

@testable import PreforkSupervisor
@testable import PreforkSystem
@testable import preforkctl

@Suite struct CrashPageTests {
    private func page(_ reports: [ExitReport]) throws -> String {
        var writer = JSONWriter()
        writer.reports(reports)
        return CrashPage.text(try JSONParser.parse(writer.bytes).array ?? [])
    }

    private func report(
        _ status: PreforkSystem.ExitStatus, _ words: LastWords?, hadRequest: Bool = false
    ) -> ExitReport {
        var report = ExitReport(
            slot: 3, pid: 99, status: status, generation: 2, uptime: .seconds(200), lastWords: words,
            hadRequest: hadRequest, consequence: .restart(in: .zero, number: 1))
        report.time = "2026-11-21T03:00:00.042Z"
        return report
    }

    @Test func `Without ends it says so`() throws {
        #expect(try page([]) == "No worker has ended.")
    }

    @Test func `A crash is a paragraph, another end a line`() throws {
        let message = "a.swift:1: Fatal error: no"
        let words = LastWords(message: message, lines: ["one", message, "two"])
        let text = try page([
            report(.exited(code: 0), LastWords()), report(.signaled(Signal(rawValue: 4), coreDumped: false), words),
            report(.exited(code: 5), LastWords(), hadRequest: true), report(.exited(code: 0), nil),
        ])
        #expect(
            text == """
                4 ends of workers, 2 of them crashes

                2026-11-21T03:00:00.042Z  worker 3 (pid 99, generation 2) exited with code 0 after 3m20s

                2026-11-21T03:00:00.042Z  worker 3 (pid 99, generation 2) crashed after 3m20s
                  end      killed by SIGILL: a Swift trap: index out of range, nil, overflow or failed precondition
                  text     a.swift:1: Fatal error: no
                  last     one
                           two
                  then     a successor was started

                2026-11-21T03:00:00.042Z  worker 3 (pid 99, generation 2) crashed after 3m20s
                  end      exited with code 5
                  text     it gave no reason
                  request  one was in hand
                  then     a successor was started

                2026-11-21T03:00:00.042Z  worker 3 (pid 99, generation 2) exited with code 0 after 3m20s
                """)
    }

    @Test func `What was not captured is said`() throws {
        #expect(try page([report(.exited(code: 1), nil)]).contains("text     not captured (PREFORK_CAPTURE_OUTPUT)"))
    }

    @Test func `Words of workers command no terminal`() throws {
        let words = LastWords(message: "\u{1B}[2J\nforged", lines: ["\u{202E}x"])
        let text = try page([report(.exited(code: 1), words)])
        #expect(!text.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{202E}" })
        #expect(!text.split(separator: "\n").contains { $0.hasPrefix("forged") })
    }

    @Test func `Labels of requests command no terminal`() throws {
        let now = MonotonicInstant(nanoseconds: 10_000_000_000)
        let record = RequestRecord(
            sequence: 1, start: now + .seconds(-1), label: ForeignText("/\u{1B}[2J\n\"\u{202E}"), peer: nil,
            bytesRead: 7, isExecuting: true)
        var hand = RequestsInHand()
        hand.requests = [RequestReport(record, at: now)]
        hand.count = 3
        var report = ExitReport(slot: 0, pid: 1, status: .signaled(.abort, coreDumped: false))
        report.had(hand)
        let text = try page([report])
        #expect(text.contains("/\\u{1B}[2J\\u{A}") && text.contains("(1.0s) and 2 more"))
        #expect(!text.unicodeScalars.contains("\u{1B}"))
    }

    /// A supervisor of another version, or a socket of any user.
    @Test(arguments: [
        "[{}]", "[null]", "[1]", "[{\"crashed\":true}]", "[{\"crashed\":true,\"lastWords\":{\"lines\":[1,null]}}]",
    ])
    func `An answer of another shape is shown as far as it goes`(_ answer: String) throws {
        #expect(!CrashPage.text(try JSONParser.parse(Array(answer.utf8)).array ?? []).isEmpty)
    }
}
