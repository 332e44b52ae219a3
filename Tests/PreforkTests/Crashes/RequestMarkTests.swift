// What is told of the requests of workers that crash, hang, or work.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct RequestMarkTests {
    /// A client that keeps its connection.
    private final class LineClient {
        private let socket: Descriptor

        init(_ port: UInt16) throws {
            let address = SocketAddress.ipv4(0x7F00_0001, port: port)
            socket = Descriptor(owning: try Socket.open(for: address))
            do throws(SystemError) {
                try Socket.connect(socket.number, to: address)
            } catch {
                guard error.errno == .inProgress else { throw error }
                try Polling.waitUntilWritable(socket.number)
            }
        }

        func send(_ label: String) throws {
            _ = try Array((label + "\n").utf8).withUnsafeBytes { try sendBytes(to: socket.number, $0) }
        }

        func answer() throws -> String {
            var bytes = [UInt8](repeating: 0, count: 100)
            guard try Polling.waitUntilReadable([socket.number], until: .now + .seconds(20)),
                case .bytes(let count) = try bytes.withUnsafeMutableBytes({
                    try readBytes(from: socket.number, into: $0)
                })
            else { return "" }
            return String(decoding: bytes[..<count], as: UTF8.self)
        }
    }

    private func pool(_ arguments: String..., environment: [String: String] = [:]) async throws -> (
        ChildProgram, UInt16
    ) {
        let program = try ChildProgram("fork-fixture", ["marks"] + arguments, environment: environment)
        let port = try #require(UInt16(try await program.waitForLine("port ")))
        // The port is told before there is a supervisor, and with it a control socket.
        try await eventually("workers are ready\n\(program.errors)") { program.errors.contains("ready (pid ") }
        return (program, port)
    }

    /// The line of the log that tells of the worker's end.
    private func end(of program: ChildProgram) async throws -> String {
        func line() -> String? {
            program.errors.split(separator: "\n").first { $0.contains(" killed by ") || $0.contains(" exited ") }
                .map(String.init)
        }
        try await eventually("an end\n\(program.errors)") { line() != nil }
        return line() ?? ""
    }

    private func stop(_ program: ChildProgram) async throws {
        program.send(.terminate)
        _ = try await program.waitForExit()
    }

    @Test(arguments: ["/trap?token=secret", "/late-trap"])
    func `A crash names the request that was executing, those in flight, and no query`(label: String) async throws {
        let (program, port) = try await pool()
        let waiting = try (0..<3).map { _ in try LineClient(port) }
        for (number, client) in waiting.enumerated() { try client.send("/wait/\(number)") }
        let other = try LineClient(port)
        try other.send("/other")
        #expect(try other.answer() == "ok\n")
        let client = try LineClient(port)
        try client.send(label)
        let line = try await end(of: program)
        #expect(line.contains("with a request in hand: \"\(label.prefix { $0 != "?" })\" executing for "), "\(line)")
        #expect(line.contains("from 127.0.0.1:") && line.contains("trace 00000000000000010000000000000002"))
        #expect(line.contains("3 more in flight, the oldest: \"/wait/"))
        #expect(!program.errors.contains("secret"))
        try await stop(program)
    }

    @Test func `Of nested requests the innermost is named`() async throws {
        let (program, port) = try await pool()
        let client = try LineClient(port)
        try client.send("/nested-trap")
        let line = try await end(of: program)
        #expect(line.contains("\"/inner\" executing"), "\(line)")
        #expect(line.contains("1 more in flight"))
        try await stop(program)
    }

    @Test func `A connection that is kept and idle is no request in hand`() async throws {
        let (program, port) = try await pool()
        let client = try LineClient(port)
        try client.send("/idle-trap")
        #expect(try client.answer() == "ok\n")
        let line = try await end(of: program)
        #expect(!line.contains("request in hand") && !line.contains("in flight"), "\(line)")
        try await stop(program)
    }

    @Test func `Control characters of a label are escaped in the log`() async throws {
        let (program, port) = try await pool()
        let client = try LineClient(port)
        try client.send("/trap\u{1B}[2J\r")
        #expect(try await end(of: program).contains("/trap\\u{1B}[2J\\u{D}"))
        #expect(!program.errors.contains("\u{1B}"))
        try await stop(program)
    }

    @Test func `A hang names the request that executes`() async throws {
        let (program, port) = try await pool("soft=200")
        let client = try LineClient(port)
        try client.send("/block")
        try await eventually("a report\n\(program.errors)") { program.errors.contains("has in hand: \"/block\" executing") }
        #expect(try await end(of: program).contains("it had in hand: \"/block\" executing for"))
        try await stop(program)
    }

    @Test func `A slow request is told once, with the stack where it hangs`() async throws {
        let (program, port) = try await pool(environment: ["PREFORK_SLOW_REQUEST": "100ms"])
        let waiting = try LineClient(port)
        try waiting.send("/wait/slow")
        func count(_ text: String) -> Int { program.errors.split(separator: "\n").count { $0.contains(text) } }
        try await eventually("a line\n\(program.errors)") { count("slow request: \"/wait/slow\" waiting for") == 1 }
        let blocking = try LineClient(port)
        try blocking.send("/block")
        try await eventually("a line\n\(program.errors)") { count("slow request: \"/block\" executing for") == 1 }
        try await eventually("a stack\n\(program.errors)") { count("stack of thread") == 1 }
        #expect(count("/wait/slow") == 1)
        program.send(.interrupt)
        program.send(.interrupt)
        _ = try await program.waitForExit()
    }

    @Test func `A label that crashes workers is refused, in every worker, and others are served`() async throws {
        let (program, port) = try await pool("workers=2", environment: ["PREFORK_QUARANTINE": "3/60s"])
        for number in 1...3 {
            let client = try LineClient(port)
            try client.send("/trap")
            try await eventually("\(number) crashes\n\(program.errors)") {
                program.errors.split(separator: "\n").count { $0.contains(" killed by ") } == number
            }
        }
        #expect(program.errors.contains("requests \"/trap\" have crashed workers too often"))
        for _ in 0..<8 {
            let client = try LineClient(port)
            try client.send("/trap")
            #expect(try client.answer() == "refused\n")
            try client.send("/trapdoor-is-no-such-label".replacing("/trap", with: "/"))
            #expect(try client.answer() == "ok\n")
        }
        // The worker writes it, and the supervisor passes it on.
        try await eventually("a line\n\(program.errors)") {
            program.errors.contains("request \"/trap\" is refused: it is in quarantine")
        }
        try await stop(program)
    }

    @Test func `The metrics count crashes, slow and refused requests, also of workers that are gone`() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let (program, port) = try await pool(environment: [
            "PREFORK_CONTROL": path, "PREFORK_QUARANTINE": "1/300s", "PREFORK_SLOW_REQUEST": "100ms",
        ])
        func tell(_ words: String...) async throws -> String {
            let tool = try ChildProgram("preforkctl", ["--socket", path] + words)
            #expect(try await tool.waitForExit() == 0, "\(tool.errors)")
            return tool.output
        }
        let crashing = try LineClient(port)
        try crashing.send("/trap")
        _ = try await end(of: program)
        let refused = try LineClient(port)
        for _ in 0..<2 {
            try refused.send("/trap")
            #expect(try refused.answer() == "refused\n")
        }
        try refused.send("/wait/slow")
        try await eventually("a slow request\n\(program.errors)") { program.errors.contains("has a slow request") }
        let wanted = [
            "prefork_crashes_total{process=\"worker\"} 1", "prefork_quarantines_total 1",
            "prefork_quarantined_labels 1", "prefork_refused_requests_total 2",
        ]
        // On a busy machine other requests may be slow, too.
        func slow(_ metrics: String) -> Int {
            let line = metrics.split(separator: "\n").first { $0.hasPrefix("prefork_slow_requests_total ") }
            return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
        }
        let metrics = try await tell("metrics")
        for line in wanted { #expect(metrics.contains("\(line)\n"), "\(line)\n\(metrics)") }
        #expect(!metrics.contains("/trap") && slow(metrics) >= 1)
        _ = try await tell("kill", "0", "--wait")
        let after = try await tell("metrics")
        for line in wanted { #expect(after.contains("\(line)\n"), "\(line)\n\(after)") }
        #expect(slow(after) >= slow(metrics))
        try await stop(program)
    }

    @Test func `An operator refuses and releases a label`() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let (program, port) = try await pool(environment: ["PREFORK_CONTROL": path])
        let client = try LineClient(port)
        func ask(_ words: String..., code: Int32 = 0) async throws -> String {
            let tool = try ChildProgram("preforkctl", ["--socket", path, "quarantine"] + words)
            #expect(try await tool.waitForExit() == code, "\(tool.errors)")
            return tool.output
        }
        func answer() throws -> String {
            try client.send("/a")
            return try client.answer()
        }
        #expect(try answer() == "ok\n")
        #expect(try await ask("add", "/a").contains("are refused"))
        #expect(try answer() == "refused\n")
        #expect(try await ask("list").contains("/a"))
        #expect(try await ask("list", "--json").contains("\"label\":\"/a\",\"remaining\":null,\"crashes\":0"))
        #expect(try await ask("remove", "/a").contains("are served again"))
        #expect(try answer() == "ok\n")
        _ = try await ask("remove", "/a", code: 1)
        #expect(try await ask("add", "/a?b=c").contains("labels have no query"))
        _ = try await ask("add", code: 64)
        _ = try await ask("add", "", code: 1)
        _ = try await ask("drop", "/a", code: 64)
        try await stop(program)
    }

    @Test func `An operator sees what every worker does`() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let (program, port) = try await pool("workers=2", environment: ["PREFORK_CONTROL": path])
        var clients = try (0..<4).map { _ in try LineClient(port) }
        for (number, client) in clients.enumerated() { try client.send("/wait/\(number)?a=b") }
        func ask(_ words: String...) async throws -> String {
            let tool = try ChildProgram("preforkctl", ["--socket", path] + words)
            // Below zero: a signal, of which the tool itself says nothing.
            let code = try await tool.waitForExit()
            #expect(code == 0, "\(words): \(code)\n\(tool.output)\(tool.errors)")
            return tool.output
        }
        var text = ""
        for _ in 0..<100 {
            text = try await ask("requests")
            if (0..<4).allSatisfy({ text.contains("/wait/\($0)") }) { break }
        }
        for number in 0..<4 { #expect(text.contains("/wait/\(number)"), "\(text)") }
        #expect(text.hasPrefix("  AGE  ") || text.contains("SLOT"))
        #expect(text.contains("waiting") && text.contains("127.0.0.1:") && !text.contains("a=b"))
        let json = try await ask("requests", "--json")
        #expect(json.contains("\"label\":\"/wait/0\"") && json.contains("\"executing\":false"))
        let crashing = try LineClient(port)
        try crashing.send("/trap/now")
        _ = try await end(of: program)
        #expect(try await ask("crashes").contains("/trap/now"))
        #expect(try await ask("crashes", "--json").contains("\"label\":\"/trap/now\""))
        // Their requests would last as long as the drain time.
        clients.removeAll()
        try await stop(program)
    }
}
