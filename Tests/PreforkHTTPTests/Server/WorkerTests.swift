// HTTP in the workers of a pool: marks, quarantine, counts, and ends.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct WorkerTests {
    private func pool(
        workers: Int = 1, control: String? = nil, _ more: [String: String] = [:]
    ) async throws -> (program: ChildProgram, port: UInt16) {
        let environment = (control.map { ["PREFORK_CONTROL": $0] } ?? [:]).merging(more) { $1 }
        let program = try ChildProgram("http-fixture", ["\(workers)"], environment: environment)
        return (program, try #require(UInt16(try await program.waitForLine("port "))))
    }

    private func stop(_ program: ChildProgram) async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.groupSize == 0)
    }

    private func ask(_ control: String, _ words: String...) async throws -> String {
        let tool = try ChildProgram("preforkctl", ["--socket", control] + words)
        #expect(try await tool.waitForExit() == 0, "\(tool.errors)")
        return tool.output
    }

    @Test(arguments: ["/crash", "/late-crash"]) func aCrashNamesMethodAndPathAndNoQuery(path: String) async throws {
        let (program, port) = try await pool()
        let waiting = try Client(port: port)
        try waiting.send(request("GET /wait?secret=1", keep: true))
        #expect(try get("/x", port: port).body == "/x")
        let client = try Client(port: port)
        try client.send(request("POST \(path)?secret=2"))
        func line() -> String { program.errors.split(separator: "\n").first { $0.contains(" killed by ") }.map { "\($0)" } ?? "" }
        try await eventually("a line of the crash\n\(program.errors)") { !line().isEmpty }
        #expect(line().contains("with a request in hand: \"POST \(path)\" executing for "), "\(line())")
        #expect(line().contains("\"GET /wait\"") && !program.errors.contains("secret"), "\(line())")
        #expect(try get("/x", port: port).body == "/x")
        try await stop(program)
    }

    @Test func aRequestInQuarantineGets503AndTheOthersTheirAnswers() async throws {
        let control = try temporaryPath()
        defer { unlink(control) }
        let (program, port) = try await pool(control: control)
        _ = try await ask(control, "quarantine", "add", "GET /pid")
        let client = try Client(port: port)
        #expect(try client.get("/pid?x").status == 503)
        #expect(try client.get("/x") == (200, "/x"))
        try client.send(request("POST /pid", keep: true))
        #expect(try client.response().status == 200)
        try client.send(request("GET /pid"))
        #expect(try client.receiveAll().contains("\r\nRetry-After: 60\r\n"))
        try await stop(program)
        #expect(program.errors.contains("request \"GET /pid\" is refused: it is in quarantine"))
    }

    @Test func requestsAreSeenAndCounted() async throws {
        let control = try temporaryPath()
        defer { unlink(control) }
        let (program, port) = try await pool(control: control)
        let client = try Client(port: port)
        for _ in 0..<10 { _ = try client.get("/x") }
        try client.send("what\r\n\r\n")
        _ = try client.receiveAll()
        let waiting = try Client(port: port)
        try waiting.send(request("GET /wait"))
        try await eventually("the request is told") {
            try await self.ask(control, "requests").contains("GET /wait")
        }
        try await eventually("ten requests") {
            try await self.ask(control, "status", "--json").replacing(" ", with: "").contains("\"requests\":10")
        }
        program.send(.interrupt)
        #expect(try await program.waitForExit() == 0)
    }

    /// Living workers, those that have ended, and those of the program before count once each, at every moment.
    @Test func howLongRequestsTookIsSummedOverTheLivingAndTheDead() async throws {
        let control = try temporaryPath()
        defer { unlink(control) }
        let (program, port) = try await pool(workers: 2, control: control)
        let name = "prefork_http_request_duration_seconds"
        func value(_ end: String) async throws -> Double {
            let line = try await ask(control, "metrics").split(separator: "\n").first { $0.hasPrefix(name + end) }
            return Double(line?.split(separator: " ").last ?? "") ?? -1
        }
        var sent = 0.0
        func serve() async throws {
            for _ in 0..<20 { _ = try get("/x", port: port) }
            sent += 20
            try await eventually("all are counted") { try await value("_count") >= sent }
            #expect(try await value("_count") == sent)
            #expect(try await value("_bucket{le=\"+Inf\"}") == sent)
            #expect(try await value("_sum") > 0)
        }
        #expect(try await value("_count") == 0)
        try await serve()
        program.send(.hangUp)
        try await eventually("a reload") { program.errors.contains("generation 2 serves") }
        #expect(try await value("_count") == sent)
        try await serve()
        let victim = try #require(program.children.first)
        kill(victim, SIGKILL)
        try await eventually("a successor") { program.children.count == 2 && !program.children.contains(victim) }
        #expect(try await value("_count") == sent)
        try await serve()
        program.send(.user2)
        try await eventually("an upgrade") { program.errors.contains("generation 3 serves") }
        #expect(try await value("_count") == sent)
        try await serve()
        // A slow one falls above the fast ones.
        let slow = try Client(port: port)
        try slow.send(request("GET /pause"))
        _ = try slow.receiveAll()
        try await eventually("the slow one") { try await value("_count") == sent + 1 }
        #expect(try await value("_bucket{le=\"0.032768\"}") <= sent)
        try await stop(program)
    }

    /// Where connections do not move.
    @Test func aReloadAnnouncesTheEndToKeptConnectionsAndLosesNoRequest() async throws {
        let (program, port) = try await pool(["PREFORK_MOVE_CONNECTIONS": "off"])
        let kept = try Client(port: port)
        let before = try kept.get("/pid").body
        let idle = try Client(port: port)
        _ = try idle.get("/x")
        program.send(.hangUp)
        try await eventually("another worker") { try get("/pid", port: port).body != before }
        // One more answer, with the news.
        try kept.send(request("GET /pid", keep: true))
        let answer = try kept.receiveAll()
        #expect(answer.contains("\r\nConnection: close\r\n") && answer.hasSuffix(before))
        #expect(try idle.receiveAll() == "")
        try await stop(program)
    }

    @Test func aStopFinishesRunningRequests() async throws {
        let (program, port) = try await pool(workers: 2)
        let slow = try (0..<4).map { _ in try Client(port: port) }
        for client in slow { try client.send(request("GET /slow", keep: true)) }
        let idle = try (0..<4).map { _ in try Client(port: port) }
        for client in idle { _ = try client.get("/x") }
        program.send(.terminate)
        for client in idle { #expect(try client.receiveAll() == "") }
        for client in slow {
            let answer = try client.receiveAll()
            #expect(answer.contains("\r\nConnection: close\r\n") && answer.hasSuffix("done"))
        }
        #expect(try await program.waitForExit() == 0)
    }
}
