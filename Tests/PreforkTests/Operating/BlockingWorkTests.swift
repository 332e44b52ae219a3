// Blocking work in workers and managed processes: their loops serve, their ends wait.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Synchronization
import Testing

/// A request whose answer is waited for on a thread of its own.
private final class Asking: Sendable {
    private let result = Mutex<Result<String, any Error>?>(nil)

    init(_ path: String, _ port: UInt16) throws {
        try startThread { [self] in
            let answer = Result { try get(path, port: port).body }
            result.withLock { $0 = answer }
        }
    }

    var isOver: Bool { result.withLock { $0 != nil } }
    var body: String? { result.withLock { try? $0?.get() } }
}

@Suite(.timeLimit(.minutes(2))) struct BlockingWorkTests {
    private func threads(_ pid: Int32) -> [String] {
        entries("/proc/\(pid)/task").map { read("/proc/\(pid)/task/\($0)/comm").filter { $0 != "\n" } }
    }

    @Test func aWorkerServesWhileItsThreadsBlockAndTheStatusCountsThem() async throws {
        let control = try temporaryPath()
        let server = try await OperatedProgram(["workers=1"], environment: ["PREFORK_CONTROL": control])
        let pid = try server.ask().pid
        #expect(try get("/single", port: server.port).body == "\(ProcessExecutor.absence == nil)")
        let asking = try (0..<3).map { _ in try Asking("/blocking/1500", server.port) }
        try await eventually("three threads") { threads(pid).count { $0.hasPrefix("blocking-") } == 3 }
        #expect(Set(threads(pid)).isSuperset(of: ["blocking-1", "blocking-2", "blocking-3"]))
        for _ in 0..<20 { #expect(try server.ask().pid == pid) }
        #expect(try get("/single", port: server.port).body == "false")
        // A program can be started all the same.
        #expect(try get("/run", port: server.port).body == "run")
        let tool = try ChildProgram("preforkctl", ["--socket", control, "status", "--json"])
        #expect(try await tool.waitForExit() == 0)
        #expect(tool.output.contains("\"blocking\":{\"threads\":3,\"busy\":3,\"queued\":0}"), "\(tool.output)")
        #expect(!asking.contains { $0.isOver }, "the threads have blocked for all of this")
        try await eventually("answers") { asking.allSatisfy { $0.isOver } }
        #expect(asking.allSatisfy { $0.body?.hasPrefix("blocking-") == true })
        #expect(try await server.end())
    }

    @Test func aDrainWaitsForWhatRuns() async throws {
        let server = try await OperatedProgram(["workers=2"])
        let asking = try Asking("/blocking/700", server.port)
        try await eventually("a thread blocks") { server.workers.contains { threads($0).contains("blocking-1") } }
        #expect(try await server.end())
        #expect(asking.body == "blocking-1")
    }

    @Test(arguments: [Signal.terminate, .interrupt]) func theEndOfADrainDoesNotWaitAnyLonger(signal: Signal) async throws {
        let server = try await OperatedProgram(
            ["workers=2", "drain=1000"], environment: ["PREFORK_DRAIN_TIMEOUT": "1s", "PREFORK_QUICK_TIMEOUT": "1h"])
        let asking = try Asking("/blocking/3600000", server.port)
        try await eventually("a thread blocks") { server.workers.contains { threads($0).contains("blocking-1") } }
        server.program.send(signal)
        #expect(try await server.program.waitForExit(within: .seconds(40)) == 0)
        #expect(server.count("SIGKILL") == 0, "\(server.program.errors)")
        try await eventually("the connection ends") { asking.isOver }
    }

    @Test func aCrashOnSuchAThreadIsReportedAsAnyOther() async throws {
        let server = try await OperatedProgram(["workers=1"])
        let pid = try server.ask().pid
        _ = try? get("/blocking-crash", port: server.port)
        try await server.waitForLog(containing: "(pid \(pid)) killed by SIGSEGV")
        try await server.waitForLog(containing: "stack of thread")
        try await eventually("a successor") { (try? server.ask().pid) ?? pid != pid }
        #expect(try await server.end())
    }

    @Test func aManagedProcessHasThreadsOfItsOwn() async throws {
        let server = try await OperatedProgram(["workers=1", "target=blocks"])
        try await eventually("told\n\(server.program.output)") { server.program.output.contains("blocks on blocking-1") }
        #expect(try await server.end())
    }
}

@Suite(.timeLimit(.minutes(2))) struct HelperProcessTests {
    @Test func aFunctionRunsInAProcessOfItsOwnWhateverThreadsItsCallerHas() async throws {
        let server = try await OperatedProgram(["workers=1", "helpers=1"])
        let pid = try server.ask().pid
        let blocking = try Asking("/blocking/1500", server.port)
        try await eventually("a thread") { (try? get("/single", port: server.port).body) == "false" }
        var helpers: Set<String> = []
        for _ in 0..<5 {
            let words = try get("/helper/pid", port: server.port).body.split(separator: " ")
            try #require(words.count == 2, "\(words)")
            #expect(words[0] != "\(pid)" && words[1] == "1")
            helpers.insert(String(words[0]))
        }
        #expect(helpers.count == 5)
        #expect(try get("/helper/large", port: server.port).body.utf8.count == 3 << 20)
        try await eventually("the thread is done") { blocking.isOver }
        #expect(try await server.end())
    }

    @Test(arguments: [
        ("crash", "the helper process gave no result: killed by SIGSEGV"),
        ("exit", "the helper process gave no result: exited with code 3"),
        ("throw", "the function failed in its helper process: Refusal()"),
    ])
    func itsEndIsAnErrorOfTheCallAndNothingElse(kind: String, text: String) async throws {
        let server = try await OperatedProgram(["workers=1", "helpers=1"])
        let pid = try server.ask().pid
        let answer = try get("/helper/\(kind)", port: server.port).body
        #expect(answer.hasPrefix(text), "\(answer)")
        #expect(try server.ask().pid == pid)
        #expect(server.count("restart") == 0, "\(server.program.errors)")
        #expect(try await server.end())
    }

    @Test func nothingIsLeftWhenTheCallerIsKilledOrItsTimeIsOver() async throws {
        let server = try await OperatedProgram(["workers=1", "helpers=1", "drain=500"])
        let pid = try server.ask().pid
        _ = try Asking("/helper/wait", server.port)
        // Supervisor, worker, the process that forks, and its helper.
        try await eventually("a helper") { server.program.groupSize == 4 }
        kill(pid, SIGKILL)
        try await eventually("a successor and no helper") {
            server.program.groupSize == 3 && (try? server.ask().pid).map { $0 != pid } == true
        }
        _ = try Asking("/helper/wait", server.port)
        try await eventually("another helper") { server.program.groupSize == 4 }
        #expect(try await server.end())
    }

    @Test func withoutFunctionsThereIsNoOtherProcessAndOneWithThreadsGetsNone() async throws {
        let server = try await OperatedProgram(["workers=1"])
        #expect(server.program.groupSize == 2)
        let blocking = try Asking("/blocking/1000", server.port)
        try await eventually("a thread") { (try? get("/single", port: server.port).body) == "false" }
        let answer = try get("/helper/pid", port: server.port).body
        #expect(answer.hasPrefix("helpers cannot be forked: this process has"), "\(answer)")
        #expect(server.program.groupSize == 2)
        try await eventually("the thread is done") { blocking.isOver }
        #expect(try await server.end())
    }
}

@Suite(.timeLimit(.minutes(2))) struct LoopStallProcessTests {
    @Test func aLoopThatStandsStillIsReportedOnceWithItsStackAndCounted() async throws {
        let metrics = try temporaryPath()
        let server = try await OperatedProgram(["workers=1"], environment: ["PREFORK_METRICS": metrics, "PREFORK_LOOP_STALL": "100ms"])
        _ = try get("/spin/1200", port: server.port)
        try await server.waitForLog(containing: "its event loop turns again")
        #expect(server.count("its event loop stands still") == 1, "\(server.program.errors)")
        let lines = server.program.errors.split(separator: "\n")
        let stall = try #require(lines.firstIndex { $0.contains("its event loop stands still") })
        #expect(lines[stall...].contains { $0.contains("worker 0: stack of thread") || $0.contains("ops-fixture") }, "\(lines)")
        // The next one is told, too. This one sleeps, and is not woken for its stack.
        _ = try get("/block/500", port: server.port)
        try await server.waitForLog(containing: "its event loop stands still", times: 2)
        #expect(try await server.end())
    }

    @Test(arguments: ["0", "off"]) func itCanBeTurnedOff(value: String) async throws {
        let server = try await OperatedProgram(["workers=1"], environment: ["PREFORK_LOOP_STALL": value])
        _ = try get("/spin/500", port: server.port)
        _ = try server.ask()
        #expect(try await server.end())
        #expect(server.count("stands still") == 0)
    }

    /// The kernel gives each queue its share of the connections, whether its worker accepts or not.
    @Test func theQueueOfAWorkerThatStandsStillIsServedByAnother() async throws {
        let server = try await OperatedProgram(["workers=2", "queues=2"], environment: ["PREFORK_LOOP_STALL": "100ms"])
        let first = try server.ask().pid
        let stalled = try Asking("/spin/4000", server.port)
        try await server.waitForLog(containing: "its event loop stands still")
        // Some of these come to the queue of the worker that stands still.
        var pids: Set<Int32> = []
        for _ in 0..<40 { pids.insert(try server.ask().pid) }
        #expect(!stalled.isOver, "all were answered while it stood still")
        #expect(pids.count == 1)
        try await eventually("it ends") { stalled.isOver }
        try await server.waitForLog(containing: "its event loop turns again")
        try await eventually("both serve again") {
            for _ in 0..<20 { pids.insert(try server.ask().pid) }
            return pids.count == 2
        }
        #expect(pids.contains(first))
        #expect(try await server.end())
    }

    /// Voluntary context switches of a process that sleeps in epoll_wait(2).
    private func wakeUps(_ pid: Int32) -> Int {
        let line = read("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches") }
        return line?.split(whereSeparator: { $0 == "\t" }).last.flatMap { Int($0) } ?? -1
    }

    @Test func anIdlePoolIsNotLookedAt() async throws {
        let server = try await OperatedProgram(["workers=2"], environment: ["PREFORK_LOOP_STALL": "100ms"])
        _ = try server.ask()
        var before = wakeUps(server.program.pid)
        // What is due after the start passes by. Then there is nothing in ten times the limit.
        try await eventually("the supervisor sleeps") {
            try await Task.sleep(for: .seconds(1))
            defer { before = wakeUps(server.program.pid) }
            return wakeUps(server.program.pid) == before
        }
        #expect(try await server.end())
    }
}
