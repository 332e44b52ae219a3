// From bytes to lines, with bounds.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct OutputLinesTests {
    /// A stream of lines with its allowances.
    private struct Bench {
        var lines = OutputLines()
        var own = OutputAllowance(rate: OutputAllowance.ofChild, at: start)
        var all = OutputAllowance(rate: OutputAllowance.ofAll, at: start)
        var said: [String] = []
        static let start = MonotonicInstant(nanoseconds: 0)

        mutating func take(_ text: String) {
            var said: [String] = []
            Array(text.utf8).withUnsafeBytes { bytes in
                lines.take(bytes, own: &own, all: &all) { said.append(String(decoding: $0, as: UTF8.self)) }
            }
            self.said += said
        }

        mutating func end() {
            var said: [String] = []
            lines.end(own: &own, all: &all) { said.append(String(decoding: $0, as: UTF8.self)) }
            self.said += said
        }
    }

    @Test(arguments: [1, 2, 3, 7, 100])
    func `Lines are whole, however they come in pieces`(_ size: Int) {
        var bench = Bench()
        let text = Array("first\nsecond line\n\nfourth\nno end".utf8)
        for start in stride(from: 0, to: text.count, by: size) {
            bench.take(String(decoding: text[start..<min(start + size, text.count)], as: UTF8.self))
        }
        #expect(bench.said == ["first", "second line", "fourth"])
        bench.end()
        #expect(bench.said.last == "no end")
        #expect(bench.lines.lost == OutputLines.Lost())
    }

    @Test func `A line without an end is written in pieces`() {
        var bench = Bench()
        for _ in 0..<25 { bench.take(String(repeating: "x", count: 1000)) }
        #expect(bench.said.map(\.utf8.count) == [8000, 8000, 8000])
        bench.take("y\nnext\n")
        #expect(bench.said.suffix(2) == [String(repeating: "x", count: 1000) + "y", "next"])
    }

    @Test func `What is above the allowance is thrown away and counted, to the end of its line`() {
        var bench = Bench()
        let line = String(repeating: "z", count: 99) + "\n"
        let count = 2 * OutputAllowance.ofChild / 100
        for _ in 0..<count { bench.take(line) }
        let kept = bench.said.count
        #expect(kept == OutputAllowance.ofChild / (99 + OutputAllowance.lineCost))
        #expect(bench.lines.lost.bytes == (count - kept) * 100)
        // The beginning of a line is thrown away: so is its end, although there is room again.
        bench.take("begins ")
        #expect(bench.lines.takeLost()?.bytes == (count - kept) * 100)
        bench.take(String(repeating: "w", count: 9000))
        bench.own.refill(at: MonotonicInstant(nanoseconds: 1_000_000_000))
        bench.take("ends\nwhole\n")
        #expect(bench.said.count == kept + 1 && bench.said.last == "whole")
        #expect(bench.lines.lost.bytes == 7 + 9000 + 5)
    }

    @Test func `One allowance is for all children`() {
        var bench = Bench()
        bench.all = OutputAllowance(rate: 100, at: Bench.start)
        bench.take("one\ntwo\n")
        #expect(bench.said == ["one"])
    }

    @Test func `An allowance fills with time, at most for a second`() {
        var allowance = OutputAllowance(rate: 1000, at: Bench.start)
        allowance.use(1000)
        #expect(!allowance.has(1))
        allowance.refill(at: MonotonicInstant(nanoseconds: 500_000_000))
        #expect(allowance.has(500) && !allowance.has(501))
        // Steps that are too short for a byte add up.
        for step in 1...10 { allowance.refill(at: MonotonicInstant(nanoseconds: 500_000_000 + Int64(step) * 100_000)) }
        #expect(allowance.has(501))
        allowance.refill(at: MonotonicInstant(nanoseconds: .max))
        #expect(allowance.has(1000) && !allowance.has(1001))
        // A clock that goes back takes nothing away.
        allowance.refill(at: MonotonicInstant(nanoseconds: 0))
        #expect(allowance.has(1000))
    }

    @Test func `The last words are the last lines, and the line that says why`() {
        var bench = Bench()
        for number in 0..<1000 { bench.take("line \(number)\n") }
        bench.take("app/main.swift:3: Fatal error: no such thing\u{1B}[31m\n")
        for number in 0..<3 { bench.take("frame \(number)\tat\n") }
        let words = bench.lines.words.lastWords(pid: 12, name: "worker 3")
        #expect(words.message == "app/main.swift:3: Fatal error: no such thing\\u{1B}[31m")
        #expect(words.lines.count == 10 && words.lines.first == "line 994" && words.lines.last == "frame 2    at")
        #expect(words.spoken.hasPrefix("; it said: \(words.message ?? "-"); last lines: line 994 | line 995 | "))
    }

    @Test func `They are found in what is thrown away, too`() {
        var bench = Bench()
        bench.own = OutputAllowance(rate: 0, at: Bench.start)
        bench.take("noise\nFatal error: lost\nmore noise\n")
        for _ in 0..<20 { bench.take(String(repeating: "q", count: 3000) + "\n") }
        bench.take("the end")
        let words = bench.lines.words.lastWords(pid: 12, name: "worker 3")
        #expect(bench.said.isEmpty && words.message == "Fatal error: lost")
        #expect(words.lines == ["the end"])
    }

    @Test func `They have no head`() {
        var bench = Bench()
        bench.take("2026-11-21T03:00:00.042Z prefork[12] error: worker 3: it failed\n")
        #expect(bench.lines.words.lastWords(pid: 12, name: "worker 3").lines == ["it failed"])
    }

    @Test func `A last line that is very long is cut at its beginning`() {
        var bench = Bench()
        bench.take(String(repeating: "a", count: 5000) + "end")
        #expect(bench.lines.words.lastWords(pid: 12, name: "worker 3").lines.first?.utf8.count == LastWords.mostBytes)
        #expect(bench.lines.words.lastWords(pid: 12, name: "worker 3").lines.first?.hasSuffix("end") == true)
    }

    @Test(arguments: [
        ("2026-11-21T03:00:00.042Z prefork[12] error: the handler failed", LogLine.Level.error, "the handler failed"),
        ("2026-11-21T03:00:00.042Z prefork[12] warning: worker 3: text", .warning, "text"),
        ("2026-11-21T03:00:00.042Z prefork[12] info: worker 3 stops", .info, "stops"),
        ("2026-11-21T03:00:00.042Z prefork[12] error: worker 4: text", .error, "worker 4: text"),
    ])
    func `A line of this package keeps its level and loses its head`(
        _ line: String, _ level: LogLine.Level, _ text: String
    ) {
        let bytes = Array(line.utf8)
        bytes.withUnsafeBytes { bytes in
            let head = OutputHead(bytes, pid: 12, name: "worker 3")
            #expect(head?.level == level)
            #expect(OutputHead.plain(bytes.dropFirst(head?.length ?? 0)) == text)
        }
    }

    @Test(arguments: [
        "", "plain", "2026-11-21T03:00:00.042Z prefork[13] error: of another", "2026-11-21T03:00:00.042Z prefork[12]",
        "2026-11-21T03:00:00.042Z prefork[12] fatal: no level", "2026-11-21 03:00:00.042Z prefork[12] error: x",
        "x2026-11-21T03:00:00.042Z prefork[12] error: x", "2026-11-21T03:00:00.042Z prefork[012] error: x",
    ])
    func `Anything else is text`(_ line: String) {
        Array(line.utf8).withUnsafeBytes { #expect(OutputHead($0, pid: 12, name: "worker 3") == nil) }
    }
}
