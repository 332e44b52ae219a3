// Reloads, scaling, recycling and hung workers, in real processes under load.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct OperationsTests {
    @Test func reloadsUnderLoadLoseNothing() async throws {
        let server = try await OperatedProgram(["workers=3"])
        let old = Set(server.workers)
        let before = server.program.openDescriptors
        let load = try await ConstantLoad(on: server.port)
        for round in 1...10 {
            server.program.send(.hangUp)
            try await server.waitForLog(containing: "reload: generation \(round + 1) serves")
        }
        let result = try await load.stop()
        #expect(result.failures == 0 && result.answers > 100, "\(result)")
        try await eventually("the old ones have ended") { server.workers.count == 3 }
        #expect(old.isDisjoint(with: server.workers))
        // One may have been open for a moment at either look.
        try await eventually("no descriptor is left") { server.program.openDescriptors <= before }
        #expect(try server.ask().generation == 11)
        #expect(try await server.end())
    }

    /// Without other clients: the next client would wake a worker that slept through this one.
    @Test func singleClientsAreAnsweredWhileAnOldWorkerFinishesARequest() async throws {
        let server = try await OperatedProgram(["workers=1"])
        let inFlight = try Client(port: server.port)
        try inFlight.send("GET /slow/3000 HTTP/1.1\r\n\r\n")
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        // The old one may answer the first, if it has not heard of its stop yet.
        for _ in 1...5 { _ = try server.ask() }
        #expect(try server.ask().generation == 2)
        try await eventually("the old one's answer") { inFlight.hasInput }
        #expect(try inFlight.response().body == "done")
        #expect(try await server.end())
    }

    @Test func aBrokenGenerationIsGivenUpAndTheOldOneServesOn() async throws {
        let server = try await OperatedProgram(["workers=3"])
        let old = Set(server.workers)
        let load = try await ConstantLoad(on: server.port)
        server.turnOn("crash-worker")
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload to generation 2 aborted, 3 of 3 old workers stay")
        server.turnOff("crash-worker")
        try await eventually("the old ones are alone") { Set(server.workers) == old }
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload: generation 3 serves")
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(try await server.end())
    }

    @Test func aGenerationThatHangsIsGivenUpAfterTheBootTimeout() async throws {
        let server = try await OperatedProgram(["workers=2", "boot=5000"])
        let old = Set(server.workers)
        server.turnOn("hang-worker")
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "aborted, 2 of 2 old workers stay")
        try await eventually("the new one was reaped") { Set(server.workers) == old }
        #expect(old.contains(try server.ask().pid))
        #expect(try await server.end())
        #expect(server.program.errors.contains("it was not ready within the boot timeout"))
    }

    @Test func aHookThatThrowsRefusesTheReload() async throws {
        let server = try await OperatedProgram(["workers=2"])
        let old = Set(server.workers)
        server.turnOn("refuse")
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload refused, all workers stay: Refusal()")
        #expect(Set(server.workers) == old)
        server.turnOff("refuse")
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        #expect(try await server.end())
    }

    @Test func aStopDuringAReloadThatHangsEndsEverybody() async throws {
        let server = try await OperatedProgram(["workers=2", "drain=500"])
        server.turnOn("hang-worker")
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "its replacement started")
        #expect(try await server.end())
    }

    /// The kernel wakes one worker for a connection, also one that has no descriptor left for it.
    @Test func aConnectionThatWakesAWorkerWithoutDescriptorsIsAnswered() async throws {
        let server = try await OperatedProgram(["workers=2"])
        for worker in server.workers {
            // Up to the first gap: a worker has closed what its supervisor has for itself.
            let open = Set(entries("/proc/\(worker)/fd").compactMap { Int($0) })
            let free = (0...open.count).first { !open.contains($0) } ?? 0
            #expect(system("prlimit --pid \(worker) --nofile=\(free)") == 0)
        }
        for _ in 1...20 { _ = try server.ask() }
        #expect(server.program.errors.contains("accepting is paused"))
        #expect(try await server.end())
    }

    /// As a terminal's hang-up or a service manager ends a process group: workers hear of it before their supervisor.
    @Test func aSignalToTheWholeGroupIsAStopOfTheService() async throws {
        let server = try await OperatedProgram(["workers=2"])
        let kept = try (1...2).map { _ in try Client(port: server.port) }
        for client in kept {
            try client.send("GET / HTTP/1.1\r\n\r\n")
            _ = try client.response()
        }
        kill(-server.program.pid, SIGTERM)
        #expect(try await server.program.waitForExit() == 0)
        #expect(server.program.output.contains("outcome stopped"))
        // One with no connection may be gone before its supervisor says that the service stops. With one it waited for
        // its client, and heard it meanwhile.
        #expect(server.program.errors.contains("exited with code 0"), "\(server.program.errors)")
    }

    @Test func oneMoreAndOneLessUnderLoadLoseNothing() async throws {
        let server = try await OperatedProgram(["workers=2"])
        let before = server.program.openDescriptors
        let load = try await ConstantLoad(on: server.port)
        for signal in [Signal.moreWorkers, .moreWorkers, .fewerWorkers, .fewerWorkers, .fewerWorkers] {
            let count = server.program.errors.split(separator: "\n").count { $0.contains("workers instead of") }
            server.program.send(signal)
            try await server.waitForLog(containing: "workers instead of", times: count + 1)
        }
        server.program.send(.fewerWorkers)
        try await server.waitForLog(containing: "not done: 0 is not within 1...10000 workers")
        try await eventually("one is left") { server.workers.count == 1 }
        server.program.send(.moreWorkers)
        try await eventually("and two again") { server.workers.count == 2 }
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        // One may have been open for a moment at either look.
        try await eventually("no descriptor is left") { server.program.openDescriptors <= before }
        #expect(try await server.end())
    }

    @Test func aPoolGrowsWithItsLoadAndShrinksWithoutAndLosesNothing() async throws {
        let server = try await OperatedProgram(["workers=1", "most=3"])
        let load = try await ConstantLoad(on: server.port)
        try await server.waitForLog(containing: "3 workers instead of 2")
        try await eventually("three serve") { server.workers.count == 3 }
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        try await server.waitForLog(containing: "1 workers instead of 2")
        try await eventually("one is left") { server.workers.count == 1 }
        #expect(try server.ask().task == 0)
        #expect(try await server.end())
    }

    @Test(arguments: ["requests=200", "lifetime=150"]) func recyclingUnderLoadLosesNothing(limit: String) async throws {
        let server = try await OperatedProgram(["workers=2", limit])
        let load = try await ConstantLoad(on: server.port)
        try await server.waitForLog(containing: "is recycled", times: 4)
        let result = try await load.stop()
        #expect(result.failures == 0, "\(result)")
        #expect(try await server.end())
        #expect(!server.program.errors.contains("restart"), "recycled is not restarted")
    }

    @Test func aWorkerThatHasEatenTooMuchIsRecycled() async throws {
        let server = try await OperatedProgram(["workers=1", "memory=150"])
        let old = try #require(server.workers.first)
        #expect(try get("/eat/20", port: server.port).body == "done")
        #expect(try server.ask().pid == old)
        #expect(try get("/eat/200", port: server.port).body == "done")
        try await server.waitForLog(containing: "limit of memory reached")
        try await eventually("another one serves") { try server.ask().pid != old }
        #expect(try await server.end())
    }

    @Test func aStoppedWorkerIsFoundAndReplaced() async throws {
        let server = try await OperatedProgram(["workers=2", "soft=1500", "grace=500"])
        let victim = try #require(server.workers.first)
        kill(victim, SIGSTOP)
        try await server.waitForLog(containing: "(pid \(victim)) gets SIGKILL: hung")
        try await eventually("a successor") { server.workers.count == 2 && !server.workers.contains(victim) }
        #expect(try await server.end())
        #expect(server.program.errors.split(separator: "\n").count { $0.contains("(pid \(victim)) is hung") } == 1)
        #expect(server.program.output.contains("onHang"))
    }

    @Test func aWorkerThatBlocksIsDumpedAndKilled() async throws {
        let server = try await OperatedProgram(["workers=1", "soft=1500", "grace=2000"])
        let victim = try #require(server.workers.first)
        let client = try Client(port: server.port)
        try client.send("GET /block/60000 HTTP/1.1\r\n\r\n")
        try await server.waitForLog(containing: "(pid \(victim)) gets SIGKILL: hung")
        let lines = server.program.errors.split(separator: "\n").map(String.init)
        let hung = try #require(lines.firstIndex { $0.contains("(pid \(victim)) is hung") })
        #expect(lines[hung...].contains { $0.contains("nanosleep") }, "\(lines[hung...])")
        // The supervisor's own lines, with names for what its program has.
        for text in ["stack of thread \(victim):", "  \(ChildProgram.path(of: "ops-fixture"))(", "end of stack"] {
            let line = "prefork[\(server.program.pid)] warning: worker 0: \(text)"
            #expect(lines[hung...].contains { $0.contains(line) }, "\(line)\n\(lines[hung...])")
        }
        try await eventually("another one serves") { try server.ask().pid != victim }
        #expect(try await server.end())
    }

    @Test func whoSaysThatItWillBeSilentIsLeftAlone() async throws {
        let server = try await OperatedProgram(["workers=1", "soft=5000", "grace=500"])
        let worker = try #require(server.workers.first)
        // Longer than both together.
        let client = try Client(port: server.port)
        try client.send("GET /extend/7000/30000 HTTP/1.1\r\n\r\n")
        try await eventually("an answer") { client.hasInput }
        #expect(try client.response().body == "done")
        #expect(try server.ask().pid == worker)
        #expect(try await server.end())
        #expect(!server.program.errors.contains("gets SIGKILL"))
    }

    @Test func aSupervisorThatWasStoppedItselfKillsNobody() async throws {
        let server = try await OperatedProgram(["workers=2", "soft=3000", "grace=1500"])
        let old = Set(server.workers)
        kill(-server.program.pid, SIGSTOP)
        try await Task.sleep(for: .seconds(6))
        kill(-server.program.pid, SIGCONT)
        try await server.waitForLog(containing: "the supervisor did not run for")
        for _ in 0..<20 { #expect(old.contains(try server.ask().pid)) }
        #expect(Set(server.workers) == old)
        #expect(try await server.end())
        #expect(!server.program.errors.contains("gets SIGKILL"))
    }

    @Test func aRequestInHandIsFinishedByTheWorkerThatLeaves() async throws {
        let server = try await OperatedProgram(["workers=1"])
        let client = try Client(port: server.port)
        try client.send("GET /slow/1000 HTTP/1.1\r\n\r\n")
        try await eventually("it has begun") { try server.ask().task == 0 }
        server.program.send(.hangUp)
        try await server.waitForLog(containing: "reload: generation 2 serves")
        try await eventually("an answer") { client.hasInput }
        #expect(try client.response().body == "done")
        #expect(try await server.end())
    }
}
