// Trees of services in real processes: workers, managed processes, plain programs, and the example.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct ServiceTreeTests {
    private let downwards = ["server", "cache", "database"].flatMap { ["stop \($0)", "stopped \($0)"] }

    private func lines(of program: ChildProgram) -> [String] {
        program.output.split(separator: "\n").map(String.init)
    }

    // Workers

    @Test(arguments: ["whole-process", "body-only"])
    func aWorkersStopRequestEndsTheTreeInReverseOrder(executor: String) async throws {
        let program = try ChildProgram("tree-fixture", ["order", executor])
        try await program.waitForLine("all ready")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let lines = lines(of: program)
        #expect(lines.prefix(3) == ["start database", "start cache", "start server"])
        #expect(Array(lines.drop { !$0.hasPrefix("stop ") }.prefix(6)) == downwards)
        #expect(lines.suffix(2) == ["reason signal(15)", "exit exited with code 0, killed false"])
    }

    @Test(arguments: ["whole-process", "body-only"])
    func aWorkerIsReadyWhenItsTreeIsUp(executor: String) async throws {
        let program = try ChildProgram("tree-fixture", ["ready", executor])
        try await program.waitForLine("all ready")
        #expect(lines(of: program) == ["start slow", "all ready"])
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
    }

    @Test func aWorkerWhoseTreeDoesNotComeUpAndWhichGoesOnIsReadyAllTheSame() async throws {
        let program = try ChildProgram("tree-fixture", ["gives-up"])
        try await program.waitForLine("all ready")
        #expect(lines(of: program) == ["broken: start failed: Broken()", "all ready"])
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
    }

    @Test(arguments: [("clean", 0), ("cancelled", 0), ("task", 70), ("start", 75), ("stop-late", 76)])
    func aWorkerEndsWithTheExitCodeOfItsTreesError(kind: String, code: Int) async throws {
        let program = try ChildProgram("tree-fixture", ["ends", kind])
        _ = try await program.waitForExit()
        #expect(lines(of: program).contains("exit exited with code \(code), killed false"), "\(program.errors)")
        if kind == "task" {
            #expect(program.errors.contains("root#tick: task failed: Broken()\n"))
            #expect(program.errors.contains("):   root/below: stop failed: Broken()\n"))
        }
    }

    @Test(arguments: [["budget"], ["budget", "deaf"], ["budget", "scope"], ["late"], ["late", "scope"], ["quick"]])
    func aTreeEndsBeforeTheSupervisorKills(arguments: [String]) async throws {
        let program = try ChildProgram("tree-fixture", arguments)
        try await program.waitForLine("all ready")
        if arguments[0] == "late" { try await program.waitForLine("stop server") }
        program.send(arguments == ["quick"] ? .interrupt : .terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let lines = lines(of: program)
        // Every level has had its turn.
        #expect(lines.filter { $0.hasPrefix("stop ") } == ["stop server", "stop cache", "stop database"])
        let code = arguments == ["budget", "scope"] ? 70 : 76
        #expect(lines.last == "exit exited with code \(code), killed false")
        #expect(program.errors.contains("server/cache/database: stop timed out"))
    }

    @Test(arguments: [[], ["late"]])
    func aScopeInAWorkerEndsByTheStopRequest(arguments: [String]) async throws {
        let program = try ChildProgram("tree-fixture", ["worker-scope"] + arguments)
        try await program.waitForLine("waits")
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(20)) == 0, "\(program.errors)")
        let lines = lines(of: program).filter { $0 != "all ready" && $0 != "waits" }
        #expect(
            lines == ["start database", "start cache", "start server", "reason signal(15)"] + downwards
                + ["exit exited with code 0, killed false"])
    }

    // Managed processes

    @Test func managedTreesAreReadyWhenTheyAreUpAndEndInReverseWhenAsked() async throws {
        let program = try ChildProgram("tree-fixture", ["managed"])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        let names = ["loop", "blocking", "automatic"]
        var expected = names.flatMap { ["start \($0)-below", "start \($0)"] } + ["all ready"]
        for name in names.reversed() {
            expected += ["stop \(name)", "stopped \(name)", "stop \(name)-below", "stopped \(name)-below"]
            // A second tree, after the request to end.
            if name == "blocking" { expected.append("again 0, threads 1") }
            expected.append("exit \(name) exited with code 0")
        }
        #expect(lines(of: program) == expected)
    }

    @Test func aManagedTreesErrorIsItsProcesssExitCode() async throws {
        let program = try ChildProgram("tree-fixture", ["managed-ends"])
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(
            lines(of: program).filter { $0.hasPrefix("exit") } == [
                "exit loop-crash exited with code 70", "exit blocking-crash exited with code 70",
                "exit blocking-start exited with code 75",
            ])
    }

    // Plain programs

    @Test(arguments: [Signal.terminate, .interrupt])
    func aSignalEndsTheTreeOfAPlainProgramAndAfterwardsTheProgram(signal: Signal) async throws {
        let program = try ChildProgram("tree-fixture", ["plain"])
        for round in 1...2 {
            try await program.waitForLine("up \(round)")
            program.send(signal)
            try await eventually("tree \(round) is down") {
                lines(of: program).count { $0 == "reason signal(\(signal.rawValue))" } == round
            }
        }
        #expect(lines(of: program).filter { $0.hasPrefix("stop") }.suffix(6) == downwards)
        try await program.waitForLine("over")
        program.send(signal)
        #expect(try await program.waitForExit() == -signal.rawValue)
    }

    @Test func aSecondSignalCancelsEveryStop() async throws {
        let program = try ChildProgram("tree-fixture", ["stubborn"])
        try await program.waitForLine("up")
        program.send(.terminate)
        try await program.waitForLine("stop server")
        program.send(.terminate)
        #expect(try await program.waitForExit() == 76)
        #expect(lines(of: program).contains("stop database"))
    }

    @Test func aHandlerOfTheProgramsOwnStays() async throws {
        let program = try ChildProgram("tree-fixture", ["own-handler"])
        try await program.waitForLine("up")
        program.send(.terminate)
        try await program.waitForLine("own handler")
        program.send(.interrupt)
        #expect(try await program.waitForExit() == 0)
        #expect(lines(of: program).last == "reason signal(2)")
    }

    @Test(arguments: ["wait", "queue"], [Signal.terminate, .interrupt])
    func aSignalEndsAScopeThatWaitsAndTheProgramGoesOn(body: String, signal: Signal) async throws {
        let program = try ChildProgram("tree-fixture", ["scope", body])
        try await program.waitForLine(body == "queue" ? "begin 1" : "up")
        program.send(signal)
        #expect(try await program.waitForExit(within: .seconds(20)) == 0, "\(program.errors)")
        let said = body == "queue" ? ["begin 1", "end 1"] : ["reason signal(\(signal.rawValue))"]
        #expect(Array(lines(of: program).drop { $0 != "up" }) == ["up"] + said + downwards + ["over"])
    }

    @Test(arguments: ["sleep", "deaf"]) func aBodyThatDoesNotReturnIsCancelledAndTheSignalEndsTheProgram(
        body: String
    ) async throws {
        let program = try ChildProgram("tree-fixture", ["scope", body])
        try await program.waitForLine("up")
        program.send(.interrupt)
        if body == "deaf" {
            try await program.waitForLine("asked")
            program.send(.interrupt)
        }
        #expect(try await program.waitForExit(within: .seconds(20)) == -Signal.interrupt.rawValue, "\(program.errors)")
        #expect(lines(of: program).suffix(6) == downwards)
    }

    @Test(arguments: ["wait", "queue", "channel", "sleep"], [Signal.terminate, .interrupt])
    func aSignalEndsATreeOfBlockingServices(body: String, signal: Signal) async throws {
        let program = try ChildProgram("tree-fixture", ["blocking", body])
        try await program.waitForLine("up")
        // The body may not have come to where it waits.
        try await eventually("the body waits\n\(program.output)") { processState(program.pid) == "S" }
        program.send(signal)
        #expect(try await program.waitForExit(within: .seconds(20)) == 0, "\(program.errors)")
        let said = body == "wait" ? ["reason signal(\(signal.rawValue))"] : []
        #expect(
            lines(of: program) == ["start database", "start server", "up"] + said
                + ["stop server", "stop database", "over, threads 1"])
    }

    @Test func aSecondSignalEndsABlockingBodyAndAfterItsTreeTheFirst() async throws {
        let deaf = try ChildProgram("tree-fixture", ["blocking", "deaf"])
        try await deaf.waitForLine("up")
        deaf.send(.interrupt)
        try await deaf.waitForLine("asked")
        deaf.send(.interrupt)
        #expect(try await deaf.waitForExit(within: .seconds(20)) == -Signal.interrupt.rawValue)
        let over = try ChildProgram("tree-fixture", ["blocking", "wait", "again"])
        try await over.waitForLine("up")
        over.send(.terminate)
        try await over.waitForLine("afterwards")
        over.send(.terminate)
        #expect(try await over.waitForExit(within: .seconds(20)) == -Signal.terminate.rawValue)
    }

    @Test(arguments: ["wait", "queue"]) func aManagersStopEndsATreeOfBlockingServices(body: String) async throws {
        let program = try ChildProgram("tree-fixture", ["blocking-managed", body])
        #expect(try await program.waitForExit(within: .seconds(20)) == 0, "\(program.errors)")
        #expect(lines(of: program).suffix(3) == ["stop server", "stop database", "exit blocking exited with code 0"])
    }

    private func processState(_ pid: Int32) -> Substring? {
        read("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ").first
    }

    // The example

    @Test func theExamplePrintsItsPlan() async throws {
        let program = try ChildProgram("service-tree", ["--plan"])
        #expect(try await program.waitForExit() == 0)
        #expect(program.output.hasPrefix("flowchart TD\n    s0[\"server\"]\n"))
        #expect(program.output.contains("s0 -->|2| s3"))
    }

    @Test func theExampleAnswersAndEndsInOrderInBothWorkers() async throws {
        let program = try ChildProgram("service-tree", ["--port", "0"])
        let place = try await program.waitForLine("listening on http://127.0.0.1:")
        #expect(
            try get("/", port: try #require(UInt16(place.prefix { $0.isNumber }))).body.hasPrefix("Hello from worker "))
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        for worker in 0...1 {
            let stops = lines(of: program).filter { $0.hasPrefix("worker \(worker): ") && $0.hasSuffix(" stops") }
            #expect(stops.first == "worker \(worker): server stops")
            #expect(stops.last == "worker \(worker): database stops")
            #expect(stops.count == 4)
        }
        #expect(program.groupSize == 0)
    }

    @Test(arguments: ["database", "cache", "mail", "server"])
    func theExampleShowsHowItUnwinds(name: String) async throws {
        let program = try ChildProgram("service-tree", ["--port", "0", "--crash", name])
        #expect(try await program.waitForExit() == 70)
        let path = name == "server" ? name : "server/\(name)"
        #expect(
            program.errors.contains("\(path)#connection: task failed: connection lost\n")
                && program.errors.contains("):   \(path): stop failed: no connection to say goodbye on\n"),
            "\(program.errors)")
        #expect(program.errors.contains("exited with code 70"))
        #expect(program.groupSize == 0)
    }
}
