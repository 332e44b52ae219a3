// What children, clients and peers can do to the log: a bounded number of lines, and none that is not counted.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

/// `hostile-fixture lines`, and the time since it was started.
private final class LinesProgram {
    let program: ChildProgram
    private let start = MonotonicInstant.now

    init(_ attack: String, times: Int) throws {
        program = try ChildProgram("hostile-fixture", ["lines", "attack=\(attack)", "times=\(times)"])
    }

    var lines: [Substring] { program.errors.split(separator: "\n") }

    /// How many lines say `text`.
    func written(_ text: String) -> Int { lines.count { $0.contains(text) } }

    /// How many more there would have been: what lines of the same kind say, and what the line says that is written
    /// when no other follows.
    func leftOut(_ text: String, _ rest: String) -> Int {
        lines.reduce(0) { sum, line in
            guard line.hasSuffix("left out") || line.hasSuffix("left out)") else { return sum }
            let words = line.split(separator: " ")
            if line.contains(text), let and = words.lastIndex(of: "(and") { return sum + (Int(words[and + 1]) ?? 0) }
            if line.contains(rest), let more = words.firstIndex(of: "more") { return sum + (Int(words[more - 1]) ?? 0) }
            return sum
        }
    }

    /// One line a second after those that may come at once, and one for the second that has begun.
    func mostLines(burst: Int) -> Int { burst + 1 + Int((MonotonicInstant.now - start).seconds) }

    func expect(_ text: String, _ rest: String, count: Int, burst: Int) async throws {
        try await eventually("\(count) times '\(text)' are told of\n\(program.errors)") {
            self.written(text) + self.leftOut(text, rest) == count
        }
        #expect(written(text) <= mostLines(burst: burst), "\(program.errors)")
    }

    func end() async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.output)\n\(program.errors)")
        #expect(program.groupSize == 0)
    }
}

@Suite(.timeLimit(.minutes(3))) struct LogBoundsTests {
    /// Two lines for each life, before.
    @Test func `A worker that dies without end has its ends counted`() async throws {
        let pool = try LinesProgram("dies", times: 400)
        try await pool.program.waitForLine("done 400", within: .seconds(60))
        try await pool.expect("worker 0 started (pid", "worker 0 (starts)", count: 401, burst: 8)
        try await pool.expect("exited with code 3 after", "worker 0 (ends)", count: 400, burst: 8)
        try await pool.end()
    }

    @Test func `So has a managed process`() async throws {
        let pool = try LinesProgram("target", times: 400)
        try await pool.program.waitForLine("done 400", within: .seconds(60))
        try await pool.expect("hostile started (pid", "hostile (starts)", count: 401, burst: 8)
        try await pool.expect("hostile ready (pid", "hostile (readiness)", count: 401, burst: 8)
        try await pool.expect("exited with code 3 after", "hostile (ends)", count: 400, burst: 8)
        try await pool.end()
    }

    @Test func `Codes without meaning are a line in a second`() async throws {
        let pool = try LinesProgram("codes", times: 300)
        try await pool.program.waitForLine("done 300", within: .seconds(60))
        try await pool.expect("control code 200 ignored", "hostile (ignored codes)", count: 300, burst: 1)
        try await pool.end()
    }

    @Test func `A worker that hangs and goes on has both counted`() async throws {
        let pool = try LinesProgram("hangs", times: 20)
        try await pool.program.waitForLine("done 20", within: .seconds(60))
        // How often it is checked while it hangs depends on the machine. Each hang that was seen ends.
        try await eventually("it has gone on\n\(pool.program.errors)") {
            let hangs = pool.written("is hung") + pool.leftOut("is hung", "worker 0 (hangs)")
            let recoveries = pool.written("responds again") + pool.leftOut("responds again", "worker 0 (recoveries)")
            return hangs > 0 && hangs == recoveries
        }
        #expect(pool.written("is hung") <= pool.mostLines(burst: 1), "\(pool.program.errors)")
        #expect(pool.written("responds again") <= pool.mostLines(burst: 1), "\(pool.program.errors)")
        #expect(pool.written("stack of thread") <= pool.mostLines(burst: 1), "\(pool.program.errors)")
        try await pool.end()
    }

    /// It was forked anew as often as the supervisor looks at workers, some fifty times a second.
    @Test func `A worker that claims its share as soon as it serves is recycled once a second`() async throws {
        let pool = try LinesProgram("recycles", times: 12)
        try await pool.program.waitForLine("done 12", within: .seconds(60))
        // Eight at once, the first worker, and the one that begins now.
        #expect(13 <= pool.mostLines(burst: 8) + 1, "\(pool.program.errors)")
        try await pool.end()
    }

    @Test func `Ten thousand failures of a worker's handlers are a line, a number, and nothing that a peer forges`()
        async throws
    {
        let pool = try LinesProgram("clients", times: 10_000)
        try await pool.program.waitForLine("done 10000", within: .seconds(60))
        let text = "the handler of unix:@x\\u{A}forged \\u{1B}[31m failed"
        try await pool.expect(text, "(failed PeerError)", count: 10_000, burst: 1)
        let head = "prefork[\(pool.program.pid)] error: worker 0 (pid "
        #expect(pool.lines.contains { $0.contains("Z \(head)") && $0.contains(text) }, "\(pool.program.errors)")
        #expect(!pool.lines.contains { $0.hasPrefix("forged") || $0.utf8.contains(0x1B) })
        try await pool.end()
    }

    /// What was left out shortly before the end has no second to wait for.
    @Test func `The end of the program tells what was left out before`() async throws {
        let pool = try LinesProgram("dies", times: 100)
        try await pool.program.waitForLine("done 100", within: .seconds(60))
        try await pool.end()
        let text = "worker 0 started (pid"
        #expect(pool.written(text) + pool.leftOut(text, "worker 0 (starts)") == 101, "\(pool.program.errors)")
    }
}
