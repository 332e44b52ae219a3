// From bytes to lines, with bounds.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct OutputLinesTests {
    /// A stream of lines with its allowances.
    private struct Bench {
        var lines = OutputLines()
        var own = OutputAllowance(OutputAllowance.ofChild, at: start)
        var all = OutputAllowance(OutputAllowance.ofAll, at: start)
        var room = Int.max
        var said: [String] = []

        func lastWords(before rest: String = "") -> LastWords {
            Array(rest.utf8).withUnsafeBytes { lines.lastWords(before: $0, pid: 12, name: "worker 3") }
        }
        static let start = MonotonicInstant(nanoseconds: 0)

        mutating func take(_ text: String) {
            var said: [String] = []
            Array(text.utf8).withUnsafeBytes { bytes in
                lines.note(bytes)
                let taken = lines.take(bytes, own: &own, all: &all, room: &room) {
                    said.append(String(decoding: $0, as: UTF8.self))
                }
                #expect(taken == bytes.count)
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
        let count = 2 * OutputAllowance.ofChild.bytes / 100
        for _ in 0..<count { bench.take(line) }
        let kept = bench.said.count
        #expect(kept == OutputAllowance.ofChild.bytes / (99 + OutputAllowance.lineCost))
        #expect(bench.lines.lost == OutputLines.Lost(bytes: (count - kept) * 100, lines: count - kept))
        // The beginning of a line is thrown away: so is its end, although there is room again.
        bench.take("begins ")
        #expect(bench.lines.takeLost()?.bytes == (count - kept) * 100)
        bench.take(String(repeating: "w", count: 9000))
        bench.own.refill(at: MonotonicInstant(nanoseconds: 1_000_000_000))
        bench.take("ends\nwhole\n")
        #expect(bench.said.count == kept + 1 && bench.said.last == "whole")
        #expect(bench.lines.lost == OutputLines.Lost(bytes: 7 + 9000 + 5, lines: 1))
    }

    @Test func `One allowance is for all children`() {
        var bench = Bench()
        bench.all = OutputAllowance(.init(bytes: 100, lines: 100, linesAtOnce: 100), at: Bench.start)
        bench.take("one\ntwo\n")
        #expect(bench.said == ["one"])
    }

    @Test func `An allowance of bytes fills with time, up to one second of them`() {
        let line = OutputAllowance.lineCost
        var allowance = OutputAllowance(.init(bytes: 1000, lines: 100, linesAtOnce: 100), at: Bench.start)
        allowance.useLine(of: 1000 - line)
        #expect(!allowance.hasLine(of: 0))
        allowance.refill(at: MonotonicInstant(nanoseconds: 500_000_000))
        #expect(allowance.hasLine(of: 500 - line) && !allowance.hasLine(of: 501 - line))
        // Steps that are too short for a byte add up.
        for step in 1...10 { allowance.refill(at: MonotonicInstant(nanoseconds: 500_000_000 + Int64(step) * 100_000)) }
        #expect(allowance.hasLine(of: 501 - line))
        allowance.refill(at: MonotonicInstant(nanoseconds: .max))
        #expect(allowance.hasLine(of: 1000 - line) && !allowance.hasLine(of: 1001 - line))
        // A clock that goes back takes nothing away.
        allowance.refill(at: MonotonicInstant(nanoseconds: 0))
        #expect(allowance.hasLine(of: 1000 - line))
    }

    @Test func `An allowance of lines fills with time, up to what may come at once`() {
        var allowance = OutputAllowance(.init(bytes: 1 << 20, lines: 2, linesAtOnce: 6), at: Bench.start)
        func use() -> Int {
            var count = 0
            while allowance.hasLine(of: 1) {
                allowance.useLine(of: 1)
                count += 1
            }
            return count
        }
        #expect(use() == 6)
        allowance.refill(at: MonotonicInstant(nanoseconds: 1_500_000_000))
        #expect(use() == 3)
        allowance.refill(at: MonotonicInstant(nanoseconds: 60_000_000_000))
        #expect(use() == 6)
    }

    @Test func `No more lines are taken at once than there is room for`() {
        var bench = Bench()
        bench.room = 3
        let text = Array("one\ntwo\n\nfour\nFatal error: five\n".utf8)
        text.withUnsafeBytes { bytes in
            bench.lines.note(bytes)
            let taken = bench.lines.take(bytes, own: &bench.own, all: &bench.all, room: &bench.room) { _ in }
            #expect(taken == 9 && bench.room == 0)
            let rest = UnsafeRawBufferPointer(rebasing: bytes[taken...])
            // What waits counts for the last words, and is searched for why the process ends.
            let words = bench.lines.lastWords(before: rest, pid: 12, name: "worker 3")
            #expect(words.message == "Fatal error: five" && words.lines == ["one", "two", "four", "Fatal error: five"])
            bench.lines.lose(rest)
            #expect(bench.lines.takeLost()?.bytes == text.count - 9 && bench.lastWords().message == "Fatal error: five")
        }
    }

    @Test func `The last words are the last lines, and the line that says why`() {
        var bench = Bench()
        for number in 0..<1000 { bench.take("line \(number)\n") }
        bench.take("app/main.swift:3: Fatal error: no such thing\u{1B}[31m\n")
        for number in 0..<3 { bench.take("frame \(number)\tat\n") }
        let words = bench.lastWords()
        #expect(words.message == "app/main.swift:3: Fatal error: no such thing\\u{1B}[31m")
        #expect(words.lines.count == 10 && words.lines.first == "line 994" && words.lines.last == "frame 2    at")
        #expect(words.spoken.hasPrefix("; it said: \(words.message ?? "-"); last lines: line 994 | line 995 | "))
    }

    @Test func `They are found in what is thrown away, too`() {
        var bench = Bench()
        bench.own = OutputAllowance(.init(bytes: 0, lines: 0, linesAtOnce: 0), at: Bench.start)
        bench.take("noise\nFatal error: lost\nmore noise\n")
        for _ in 0..<20 { bench.take(String(repeating: "q", count: 3000) + "\n") }
        bench.take("the end")
        let words = bench.lastWords()
        #expect(bench.said.isEmpty && words.message == "Fatal error: lost")
        #expect(words.lines == ["the end"])
    }

    @Test func `They have no head`() {
        var bench = Bench()
        bench.take("2026-11-21T03:00:00.042Z prefork[12] error: worker 3: it failed\n")
        #expect(bench.lastWords().lines == ["it failed"])
    }

    @Test func `A last line that is very long is cut at its beginning`() {
        var bench = Bench()
        bench.take(String(repeating: "a", count: 5000) + "end")
        #expect(bench.lastWords().lines.first?.utf8.count == LastWords.mostBytes)
        #expect(bench.lastWords().lines.first?.hasSuffix("end") == true)
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
