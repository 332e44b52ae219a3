// The main job: benchmark-server with real clients, killed, stopped, flooded and insulted.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Synchronization
import Testing

/// A running benchmark-server on a free port.
private struct Server {
    let program: ChildProgram
    let port: UInt16

    init(
        _ arguments: [String], environment: [String: String] = [:], preparation: String? = nil
    ) async throws {
        let arguments = ["--port", "0"] + arguments
        program = try ChildProgram(
            "benchmark-server", arguments, environment: environment, preparation: preparation)
        let place = try await program.waitForLine("listening on http://127.0.0.1:")
        port = try #require(UInt16(place.prefix { $0.isNumber }))
    }

    func stop() async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.groupSize == 0)
    }
}

@Suite(.timeLimit(.minutes(2))) struct BenchmarkServerTests {
    @Test func everyTargetAnswers() async throws {
        let server = try await Server(["--workers", "2"])
        let client = try Client(port: server.port)
        #expect(try client.get("/") == (200, "Hello World"))
        #expect(try client.get("/?x") == (200, "Hello World"))
        let pid = try client.get("/pid").body
        #expect(server.program.children.map { "\($0)" }.contains(pid))
        #expect(["0", "1"].contains(try client.get("/task").body))
        #expect(try client.get("/slow?ms=5") == (200, "slept 5 ms"))
        #expect(try client.get("/slow?ms=-1").status == 400)
        #expect(try client.get("/nothing").status == 404)
        try client.send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.response().status == 405)
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcdeGET /task HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.response().status == 405)
        #expect(try client.response().status == 200, "the body was skipped")
        try await server.stop()
    }

    @Test func `A path in quarantine gets 503 and a time to wait, and the others their answers`() async throws {
        let path = try temporaryPath()
        defer { unlink(path) }
        let server = try await Server(["--workers", "2"], environment: ["PREFORK_CONTROL": path])
        let client = try Client(port: server.port)
        let tool = try ChildProgram("preforkctl", ["--socket", path, "quarantine", "add", "/pid"])
        #expect(try await tool.waitForExit() == 0, "\(tool.errors)")
        #expect(try client.get("/pid").status == 503)
        #expect(try client.get("/pid?x").status == 503)
        #expect(try client.get("/").status == 200)
        try client.send("GET /pid HTTP/1.0\r\n\r\n")
        #expect(try client.receiveAll().contains("\r\nRetry-After: 60\r\n"))
        try await server.stop()
    }

    @Test func settingsArePrintedAndThoseThatNobodyKnowsAreTold() async throws {
        let printing = try ChildProgram(
            "benchmark-server", ["--workers", "3", "--print-config"], environment: ["PREFORK_DRAIN_TIMEOUT": "5s"])
        #expect(try await printing.waitForExit() == 0)
        #expect(printing.output.contains("\nPREFORK_WORKERS=3\n\n"))
        #expect(printing.output.contains("\nPREFORK_DRAIN_TIMEOUT=5s\n"))
        let refusing = try ChildProgram(
            "benchmark-server", ["--port", "0"], environment: ["PREFORK_DRAIN_TIMEOUT": "soon"])
        #expect(try await refusing.waitForExit() == 64)
        let misspelt = try ChildProgram(
            "benchmark-server", ["--port", "0", "--workers", "1"],
            environment: ["PREFORK_WORKRES": "3", "LISTEN_FDS": "1", "LISTEN_PID": "1"])
        try await misspelt.waitForLine("listening on")
        #expect(misspelt.errors.contains("PREFORK_WORKRES is not a setting: did you mean PREFORK_WORKERS?"))
        #expect(misspelt.errors.contains("warning: LISTEN_PID is 1 and this is process \(misspelt.pid)"))
        misspelt.send(.terminate)
        #expect(try await misspelt.waitForExit() == 0)
    }

    @Test func pipelinedAndSplitRequestsAreAnsweredInOrder() async throws {
        let server = try await Server(["--workers", "1"])
        let client = try Client(port: server.port)
        try client.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /task HTTP/1.1\r\nHost: a\r\n\r\n", count: 500))
        for _ in 0..<500 {
            #expect(try client.response().body == "Hello World")
            #expect(try client.response().body == "0")
        }
        for byte in "GET / HTTP/1.1\r\nHost: slow\r\n\r\n" { try client.send(String(byte)) }
        #expect(try client.response().body == "Hello World")
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finishSending()
        #expect(try client.receiveAll().components("HTTP/1.1 200").count == 3, "nothing after close")
        try await server.stop()
    }

    @Test func garbageAndOversizedHeadsAreAnsweredAndTheServerLivesOn() async throws {
        let server = try await Server(["--workers", "1"])
        let garbage = try Client(port: server.port)
        try garbage.send([0x16, 0x03, 0x01, 0x02, 0x00] + [UInt8](repeating: 0xFF, count: 5_000))
        #expect(try garbage.receiveAll().hasPrefix("HTTP/1.1 400 "))
        let large = try Client(port: server.port)
        try large.send("GET / HTTP/1.1\r\nA: " + String(repeating: "x", count: 20_000))
        #expect(try large.receiveAll().hasPrefix("HTTP/1.1 431 "))
        let half = try Client(port: server.port)
        try half.send("GET / HT")
        half.finishSending()
        #expect(try half.receiveAll().isEmpty)
        #expect(try get("/", port: server.port).status == 200)
        try await server.stop()
    }

    @Test func exitEndsTheWorkerWithThatCodeAndAnotherTakesItsPlace() async throws {
        let server = try await Server(["--workers", "1"])
        let pid = try get("/pid", port: server.port).body
        #expect(try get("/exit?code=3", port: server.port).body == "exiting with code 3")
        let next = try get("/pid", port: server.port).body
        #expect(next != pid)
        try await server.stop()
        #expect(server.program.errors.contains("exited with code 3"))
    }

    @Test func aGracefulStopFinishesASlowRequest() async throws {
        let server = try await Server(["--workers", "1"])
        let slow = try Client(port: server.port)
        try slow.send("GET /slow?ms=3000 HTTP/1.1\r\nHost: a\r\n\r\n")
        // One worker, one queue: who came later is answered when the slow request is under way.
        let idle = try Client(port: server.port)
        _ = try idle.get("/")
        server.program.send(.terminate)
        #expect(try idle.receiveAll().isEmpty, "an idle connection is ended")
        try await eventually("an answer") { slow.hasInput }
        let answer = try slow.receiveAll()
        #expect(answer.hasPrefix("HTTP/1.1 200 OK") && answer.contains("Connection: close"))
        #expect(try await server.program.waitForExit() == 0)
    }

    @Test func aUnixSocketIsServedAndRemoved() async throws {
        let path = try temporaryPath()
        let program = try ChildProgram("benchmark-server", ["--unix", path, "--workers", "1"])
        try await program.waitForLine("listening on unix:\(path)")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(access(path, F_OK) != 0)
    }

    @Test func badArgumentsAreOneLineAndExitCode64() async throws {
        let program = try ChildProgram("benchmark-server", ["--port", "x"])
        #expect(try await program.waitForExit() == 64)
        #expect(program.errors == "benchmark-server: --port x: not a number within 0...65535\n")
        let server = try await Server(["--workers", "1"])
        let second = try ChildProgram("benchmark-server", ["--port", "\(server.port)"])
        #expect(try await second.waitForExit() == 75)
        #expect(second.errors.contains("bind(127.0.0.1:\(server.port)): Address already in use (EADDRINUSE)"))
        try await server.stop()
    }

    @Test func reusePortAndBodyOnlyModesServeToo() async throws {
        for mode in ["--reuse-port", "--body-only"] {
            let server = try await Server(["--workers", "2", mode])
            for _ in 0..<20 { #expect(try get("/", port: server.port).body == "Hello World") }
            try await server.stop()
        }
    }

    @Test func moreConnectionsThanDescriptorsPauseAcceptingAndGoOn() async throws {
        let server = try await Server(["--workers", "1"], preparation: "ulimit -n 30")
        var clients: [Client] = []
        for _ in 0..<60 { clients.append(try Client(port: server.port)) }
        try await eventually("the worker says so") { server.program.errors.contains("accepting is paused: accept4") }
        clients.removeAll()
        try await eventually("a connection comes without a shortage") {
            let answer = try get("/", port: server.port)
            #expect(answer.body == "Hello World")
            return server.program.errors.contains("accepting again")
        }
        try await server.stop()
    }

    /// SIGKILL at random workers under load: no zombie, no descriptor more, every slot alive at the end.
    @Test func aThousandKillsLeaveNothingBehind() async throws {
        let server = try await Server(["--workers", "4", "--backoff-max", "0", "--max-restarts", "1000000"])
        let descriptors = server.program.openDescriptors
        let load = Load(port: server.port)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<1_000 {
            // A slot may be between two workers. A moment later it is not.
            try await eventually(within: .seconds(10), "a worker") { !server.program.children.isEmpty }
            if let victim = server.program.children.randomElement(using: &random) { kill(victim, SIGKILL) }
            // Clients are answered between any two deaths.
            let answers = load.answers
            try await eventually(within: .seconds(10), "an answer") { load.answers > answers }
        }
        load.stop()
        try await eventually("four workers and no zombie") {
            let workers = server.program.children
            return workers.count == 4 && !workers.contains(where: isZombie)
        }
        var tasks: Set<String> = []
        try await eventually("every slot answers") {
            if let task = try? get("/task", port: server.port).body { tasks.insert(task) }
            return tasks.count == 4
        }
        // One may have been open for a moment at either look.
        try await eventually("no descriptor is left") { server.program.openDescriptors <= descriptors }
        #expect(load.answers > 1_000)
        try await server.stop()
    }
}

/// Clients on separate threads that keep asking. A killed worker's client may get a reset connection.
private final class Load: Sendable {
    private let isStopped = Atomic(false)
    private let count = Atomic(0)
    private let running = Atomic(4)

    init(port: UInt16) {
        for _ in 0..<4 {
            var thread = pthread_t()
            let context = Unmanaged.passRetained(Run(load: self, port: port)).toOpaque()
            pthread_create(
                &thread, nil,
                {
                    Unmanaged<Run>.fromOpaque($0!).takeRetainedValue().ask()
                    return nil
                }, context)
            pthread_detach(thread)
        }
    }

    var answers: Int { count.load(ordering: .relaxed) }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        while running.load(ordering: .relaxed) > 0 { usleep(1_000) }
    }

    private final class Run: Sendable {
        let load: Load
        let port: UInt16

        init(load: Load, port: UInt16) {
            self.load = load
            self.port = port
        }

        func ask() {
            while !load.isStopped.load(ordering: .relaxed) {
                guard let client = try? Client(port: port, timeout: 5) else { continue }
                while !load.isStopped.load(ordering: .relaxed), (try? client.get("/"))?.status == 200 {
                    load.count.add(1, ordering: .relaxed)
                }
            }
            load.running.subtract(1, ordering: .relaxed)
        }
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
