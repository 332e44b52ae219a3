// A pool under a service manager: what it says of itself, where its log goes, what its end leaves behind.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ServiceManagerTests {
    /// Makes the program's standard error the journal's, as far as a program can tell.
    private static let inJournal = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/$$/fd/2)"

    /// The states in the order in which they were told.
    private final class Told {
        private let manager: ServiceManagerSocket
        private(set) var statuses: [String] = []
        private(set) var hasStatusAtReady = false

        init(_ manager: ServiceManagerSocket) { self.manager = manager }

        func take() {
            while let message = manager.next() {
                let lines = message.split(separator: "\n")
                let found = lines.filter { $0.hasPrefix("STATUS=") }.map { String($0.dropFirst(7)) }
                if lines.contains("READY=1"), !found.isEmpty { hasStatusAtReady = true }
                statuses += found
            }
        }

        func wait(for text: String, within limit: Duration = .seconds(30)) async throws {
            try await eventually(within: limit, "\(text) among \(statuses)") {
                self.take()
                return self.statuses.contains(text)
            }
        }
    }

    @Test func `The service manager is told of each change`() async throws {
        let manager = try ServiceManagerSocket()
        let told = Told(manager)
        let program = try ChildProgram("fork-fixture", ["serve", "1"], environment: ["NOTIFY_SOCKET": manager.name])
        try await program.waitForLine("all ready")
        try await told.wait(for: "1 worker serves")
        #expect(told.statuses.first == "starting: 0 of 1 worker is ready" && told.hasStatusAtReady)
        kill(try #require(program.children.first), SIGKILL)
        try await told.wait(for: "no worker serves, 1 is missing")
        try await eventually("it serves again") {
            told.take()
            return told.statuses.last == "1 worker serves"
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        told.take()
        #expect(told.statuses.contains("stopping: workers finish what is in flight; 1 worker is left"))
        #expect(told.statuses.last == "stopped")
        #expect(zip(told.statuses, told.statuses.dropFirst()).allSatisfy { $0 != $1 }, "only changes are told")
    }

    @Test func `Lines to the journal have a priority and neither time nor process`() async throws {
        let program = try ChildProgram("fork-fixture", ["serve", "1"], preparation: Self.inJournal)
        try await program.waitForLine("all ready")
        let worker = try #require(program.children.first)
        kill(worker, SIGKILL)
        try await eventually("a successor") { program.children.contains { $0 != worker } }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        let lines = program.errors.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("<6>worker 0 started (pid ") }, "\(program.errors)")
        #expect(lines.contains { $0.hasPrefix("<4>worker 0 (pid \(worker)) killed by SIGKILL") }, "\(program.errors)")
        #expect(lines.allSatisfy { $0.hasPrefix("<") && !$0.contains("prefork[") }, "\(program.errors)")
    }

    @Test func `What a worker writes itself has the priority of its level`() async throws {
        for mode in ["errors", "off"] {
            let program = try ChildProgram(
                "fork-fixture", ["body-fails"], environment: ["PREFORK_CAPTURE_OUTPUT": mode],
                preparation: Self.inJournal)
            #expect(try await program.waitForExit() == 70)
            let lines = program.errors.split(separator: "\n")
            #expect(lines.contains { $0.hasPrefix("<3>worker 0") && $0.contains("BodyError") }, "\(mode): \(lines)")
            #expect(lines.allSatisfy { !$0.contains("prefork[") }, "\(mode): \(lines)")
        }
    }

    @Test func `Objects keep their members behind the priority`() async throws {
        let program = try ChildProgram(
            "fork-fixture", ["body-fails"], environment: ["PREFORK_LOG_FORMAT": "json"], preparation: Self.inJournal)
        #expect(try await program.waitForExit() == 70)
        let lines = program.errors.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("<4>{\"time\":\"") }, "\(lines)")
        #expect(lines.allSatisfy { $0.hasPrefix("<") && $0.dropFirst(3).first == "{" }, "\(lines)")
    }

    @Test func `A log file that is standard error is the journal's, too`() async throws {
        let program = try ChildProgram(
            "fork-fixture", ["body-fails"], environment: ["PREFORK_LOG_FILE": "/dev/stderr"],
            preparation: Self.inJournal)
        #expect(try await program.waitForExit() == 70)
        let lines = program.errors.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("<4>worker 0 (pid ") }, "\(lines)")
        #expect(lines.allSatisfy { $0.hasPrefix("<") && !$0.contains("prefork[") }, "\(lines)")
    }

    @Test(arguments: ["", "1:2", "x", "1:2:3", "18446744073709551616:1"])
    func `A stream that is not standard error changes nothing`(value: String) async throws {
        let program = try ChildProgram("fork-fixture", ["body-fails"], environment: ["JOURNAL_STREAM": value])
        #expect(try await program.waitForExit() == 70)
        #expect(program.errors.split(separator: "\n").allSatisfy { $0.contains("prefork[\(program.pid)] ") })
    }

    @Test func `Requests that the drain timeout cuts off leave a warning with their number and ages`() async throws {
        let program = try ChildProgram(
            "benchmark-server", ["--port", "0", "--workers", "1"], environment: ["PREFORK_DRAIN_TIMEOUT": "4s"])
        let place = try await program.waitForLine("listening on http://127.0.0.1:")
        let port = try #require(UInt16(place.prefix { $0.isNumber }))
        let clients = try (0..<3).map { _ in try Client(port: port) }
        for (index, client) in clients.enumerated() {
            try client.send("GET /slow?ms=600000&n=\(index) HTTP/1.1\r\nHost: a\r\n\r\n")
        }
        // The worker has all three in hand when it answers a fourth.
        #expect(try await hasThreeInHand(port))
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        let warnings = program.errors.split(separator: "\n").filter { $0.contains(" warning: worker 0 (pid ") }
        let line = warnings.first { $0.contains("3 in flight, the oldest: \"/slow\" waiting for ") }
        #expect(line != nil, "\(program.errors)")
        // On a busy machine the supervisor may have to kill it, and says then what it had in hand.
        let isKilled = program.errors.contains("killed by SIGKILL")
        #expect(isKilled || line?.contains("the drain timeout cuts off 3 requests: ") == true, "\(program.errors)")
        #expect(isKilled || program.errors.contains("exited with code 0"), "\(program.errors)")
    }

    /// A connection that was accepted later is served later: its answer says that the others were begun.
    private func hasThreeInHand(_ port: UInt16) async throws -> Bool {
        for _ in 0..<3 { if try get("/", port: port).status != 200 { return false } }
        return true
    }

    @Test func `Requests that are answered in time leave none`() async throws {
        let program = try ChildProgram("benchmark-server", ["--port", "0", "--workers", "1"])
        let place = try await program.waitForLine("listening on http://127.0.0.1:")
        let client = try Client(port: try #require(UInt16(place.prefix { $0.isNumber })))
        try client.send("GET /slow?ms=300 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try get("/", port: try #require(UInt16(place.prefix { $0.isNumber }))).status == 200)
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(try client.response().status == 200)
        #expect(!program.errors.contains("cuts off"))
    }
}
