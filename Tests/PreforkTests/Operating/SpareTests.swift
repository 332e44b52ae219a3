// Spare workers in real processes: what hands a slot to them, what ends them, and that nothing is left.

import Glibc
import Prefork
import PreforkEventLoop
import PreforkTestSupport
import Testing

/// `ops-fixture spares`, and what it has said.
private final class SpareProgram {
    let server: OperatedProgram

    init(_ arguments: [String] = [], spares: Int = 1, environment: [String: String] = [:]) async throws {
        server = try await OperatedProgram(
            arguments, environment: environment.merging(["PREFORK_SPARES": "\(spares)"]) { own, _ in own },
            scenario: "spares")
    }

    var program: ChildProgram { server.program }

    struct Answer {
        let task: Int
        let pid: Int32
        let generation: Int
        let configuration: Int
        let user: UInt32
        let isSingleThreaded: Bool
        let random: String
    }

    func ask() throws -> Answer {
        let words = try get("/", port: server.port).body.split(separator: " ").map(String.init)
        guard words.count == 7 else { throw ClientError.strange(words.joined(separator: " ")) }
        return Answer(
            task: Int(words[0]) ?? -1, pid: Int32(words[1]) ?? -1, generation: Int(words[2]) ?? -1,
            configuration: Int(words[3]) ?? -1, user: UInt32(words[4]) ?? 0, isSingleThreaded: words[5] == "true",
            random: words[6])
    }

    private func lines(_ kind: String) -> [[Substring]] {
        program.output.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.first == Substring(kind) }
    }

    /// The workers that were spares.
    var handed: Set<Int32> { Set(lines("handed").compactMap { Int32($0[2]) }) }
    /// The workers that were forked as such.
    var forked: Set<Int32> { Set(lines("forked").compactMap { Int32($0[2]) }) }

    /// The process IDs of a kind, by their titles.
    func processes(_ kind: String) -> [Int32] {
        program.children.filter { read("/proc/\($0)/cmdline").hasPrefix("prefork: \(kind) ") }
    }

    var parked: [Int32] {
        processes("spare").filter { read("/proc/\($0)/cmdline").contains(" parked") }
    }

    var workers: [Int32] { processes("worker") }

    @discardableResult
    func waitForSpare(other than: Set<Int32> = []) async throws -> Int32 {
        var found: Int32 = 0
        try await eventually("a spare waits\n\(program.output)\n\(program.errors)") {
            found = self.parked.first { !than.contains($0) } ?? 0
            return found > 0
        }
        return found
    }

    /// The worker of that process ID serves.
    func waitForWorker(_ pid: Int32) async throws -> Answer {
        var found: Answer?
        try await eventually("process \(pid) answers\n\(program.output)\n\(program.errors)") {
            found = try? self.ask()
            return found?.pid == pid
        }
        return found!
    }

    func end() async throws -> Bool { try await server.end() }
}

@Suite(.timeLimit(.minutes(3))) struct SpareTests {
    private func isGone(_ pid: Int32) -> Bool { kill(pid, 0) != 0 || isZombie(pid) }

    @Test func theSlotOfACrashedWorkerGetsTheSpare() async throws {
        let pool = try await SpareProgram(["workers=1"])
        var spare = try await pool.waitForSpare()
        var numbers: Set<String> = []
        for _ in 0..<3 {
            let victim = try #require(pool.workers.first)
            kill(victim, SIGKILL)
            let worker = try await pool.waitForWorker(spare)
            #expect(worker.task == 0)
            #expect(worker.generation == 1)
            #expect(worker.isSingleThreaded == (ProcessExecutor.absence == nil))
            numbers.insert(worker.random)
            #expect(pool.program.output.contains("handed 0 \(spare) 1 0\n"))
            spare = try await pool.waitForSpare(other: [spare])
        }
        #expect(numbers.count == 3)
        // As after any restart.
        #expect(pool.server.count("restart at once, 3 of") == 1)
        #expect(pool.forked.count == 1)
        #expect(try await pool.end())
    }

    @Test func aRecycledWorkersSlotGetsTheSpare() async throws {
        let pool = try await SpareProgram(["workers=1", "requests=3"])
        let spare = try await pool.waitForSpare()
        let worker = try await pool.waitForWorker(spare)
        #expect(worker.task == 0)
        #expect(try await pool.end())
    }

    @Test func aPoolThatIsMadeLargerGetsTheSpare() async throws {
        let pool = try await SpareProgram(["workers=1"])
        let spare = try await pool.waitForSpare()
        pool.program.send(.moreWorkers)
        #expect(try await pool.waitForWorker(spare).task == 1)
        #expect(try await pool.end())
    }

    /// The workers of a reload have what the program has read for them, and so have the spares after it.
    @Test func aReloadLetsTheSpareGo() async throws {
        let pool = try await SpareProgram(["workers=2"])
        let old = try await pool.waitForSpare()
        pool.program.send(.hangUp)
        try await pool.server.waitForLog(containing: "reload: generation 2 serves")
        #expect(pool.handed.isEmpty)
        #expect(isGone(old))
        let spare = try await pool.waitForSpare(other: [old])
        kill(try #require(pool.workers.first), SIGKILL)
        let worker = try await pool.waitForWorker(spare)
        #expect(worker.generation == 2)
        #expect(worker.configuration == 2)
        #expect(try await pool.end())
    }

    /// It may have changed something before it refused.
    @Test func aRefusedReloadLetsTheSpareGoToo() async throws {
        let pool = try await SpareProgram(["workers=1"])
        let old = try await pool.waitForSpare()
        pool.server.turnOn("refuse")
        pool.program.send(.hangUp)
        try await pool.server.waitForLog(containing: "reload refused")
        let spare = try await pool.waitForSpare(other: [old])
        kill(try #require(pool.workers.first), SIGKILL)
        #expect(try await pool.waitForWorker(spare).configuration == 2)
        #expect(try await pool.end())
    }

    @Test func anUpgradeLetsTheSpareGoAndTheNextProgramHasItsOwn() async throws {
        let pool = try await SpareProgram(["workers=2"], spares: 2)
        let old = try await pool.waitForSpare()
        pool.program.send(.user2)
        try await pool.server.waitForLog(containing: "reload: generation 2 serves")
        #expect(isGone(old))
        let spare = try await pool.waitForSpare(other: [old])
        // No process is left that this program does not know.
        try await eventually("2 workers and 2 spares") {
            pool.program.children.count == 4 && pool.parked.count == 2 && pool.workers.count == 2
        }
        kill(try #require(pool.workers.first), SIGKILL)
        try await eventually("a spare has a slot") { !pool.handed.isEmpty }
        #expect(pool.handed.contains(spare) || pool.handed.isDisjoint(with: [old]))
        #expect(try await pool.end())
    }

    @Test(arguments: [Signal.terminate, .interrupt]) func aStopLeavesNoSpare(signal: Signal) async throws {
        let pool = try await SpareProgram(["workers=1"], spares: 3)
        try await eventually("3 spares wait") { pool.parked.count == 3 }
        pool.program.send(signal)
        #expect(try await pool.program.waitForExit() == 0)
        #expect(pool.program.groupSize == 0)
        #expect(!pool.program.errors.contains("spare worker"))
    }

    @Test func aSupervisorThatIsKilledLeavesNoSpare() async throws {
        let pool = try await SpareProgram(["workers=1"], spares: 2)
        try await eventually("2 spares wait") { pool.parked.count == 2 }
        pool.program.send(.kill)
        _ = try await pool.program.waitForExit()
        try await eventually("no process is left") { pool.program.groupSize == 0 }
    }

    @Test func aKilledSpareIsReplacedAndCountsForNothing() async throws {
        let pool = try await SpareProgram(["workers=1"], environment: ["PREFORK_MAX_RESTARTS": "0"])
        var seen: Set<Int32> = []
        for _ in 0..<3 {
            let spare = try await pool.waitForSpare(other: seen)
            seen.insert(spare)
            kill(spare, SIGKILL)
            try await eventually("it is collected") { !pool.program.children.contains(spare) }
        }
        #expect(pool.server.count("spare worker (pid ") >= 1)
        #expect(pool.forked.count == 1)
        #expect(try await pool.end())
    }

    /// Killed before it waits, a slot does not get it.
    @Test func aSpareThatIsKilledWhileItBootsLeavesItsSlotToAFork() async throws {
        let pool = try await SpareProgram(["workers=1"])
        let first = try await pool.waitForSpare()
        pool.server.turnOn("hang-spare")
        kill(first, SIGKILL)
        try await eventually("a spare boots") { pool.processes("spare").contains { $0 != first } }
        let victim = try #require(pool.workers.first)
        kill(victim, SIGKILL)
        try await eventually("a worker was forked") { pool.forked.count == 2 }
        #expect(pool.handed.isEmpty)
        pool.processes("spare").forEach { kill($0, SIGKILL) }
        pool.server.turnOff("hang-spare")
        try await pool.waitForSpare()
        #expect(try await pool.end())
    }

    /// The worker and the spare at the same moment: whichever the supervisor hears of first.
    @Test func aSpareThatDiesWithTheWorkerLeavesItsSlotToAFork() async throws {
        let pool = try await SpareProgram(["workers=1"])
        for round in 0..<4 {
            let spare = try await pool.waitForSpare()
            let victim = try #require(pool.workers.first)
            let victims = round % 2 == 0 ? [victim, spare] : [spare, victim]
            // Both are dead before the supervisor hears of either.
            pool.program.send(.stop)
            for pid in victims { kill(pid, SIGKILL) }
            try await eventually("both are dead") { victims.allSatisfy(isGone) }
            pool.program.send(.resume)
            try await eventually("a worker was forked") { pool.forked.count == round + 2 }
        }
        #expect(pool.handed.isEmpty)
        #expect(try await pool.end())
    }

    @Test func aSpareThatDiesWithItsSlotLeavesItToAFork() async throws {
        let pool = try await SpareProgram(["workers=1"], environment: ["PREFORK_MAX_BOOT_FAILURES": "5"])
        let spare = try await pool.waitForSpare()
        pool.server.turnOn("crash-worker")
        kill(try #require(pool.workers.first), SIGKILL)
        try await eventually("it died") { pool.server.count("(pid \(spare)) exited with code 8") == 1 }
        pool.server.turnOff("crash-worker")
        try await eventually("another worker serves") { (try? pool.ask().pid).map { $0 != spare } == true }
        #expect(try await pool.end())
    }

    @Test func sparesThatDieAtOnceAreTurnedOff() async throws {
        let pool = try await SpareProgram(["workers=1"])
        let first = try await pool.waitForSpare()
        pool.server.turnOn("crash-spare")
        kill(first, SIGKILL)
        try await pool.server.waitForLog(containing: "no spare workers until the next reload: 5 in a row")
        #expect(pool.processes("spare").isEmpty)
        kill(try #require(pool.workers.first), SIGKILL)
        try await eventually("a worker was forked") { pool.forked.count == 2 }
        pool.server.turnOff("crash-spare")
        pool.program.send(.hangUp)
        try await pool.server.waitForLog(containing: "reload: generation 2 serves")
        try await pool.waitForSpare()
        #expect(try await pool.end())
    }

    /// It gives no heartbeat.
    @Test func aSpareThatWaitsIsNotHung() async throws {
        let pool = try await SpareProgram(["workers=1", "soft=100"])
        let spare = try await pool.waitForSpare()
        let start = ContinuousClock.now
        try await eventually("several deadlines have passed") { ContinuousClock.now - start > .milliseconds(700) }
        kill(try #require(pool.workers.first), SIGKILL)
        _ = try await pool.waitForWorker(spare)
        #expect(!pool.program.errors.contains("is hung"))
        #expect(try await pool.end())
    }

    /// A worker that is forked has the listener, and so must the one that gets the slot.
    @Test func aSpareWithoutAListenerGetsNoSlot() async throws {
        let pool = try await SpareProgram(["workers=1"], spares: 2)
        try await eventually("2 spares wait") { pool.parked.count == 2 }
        let old = pool.parked
        pool.server.turnOn("listen")
        kill(try #require(pool.workers.first), SIGKILL)
        try await eventually("a spare has the slot") { pool.handed.count == 1 }
        let rest = old.filter { !pool.handed.contains($0) }
        try await pool.server.waitForLog(containing: "ready (pid \(pool.handed.first ?? 0))")
        let worker = try #require(pool.handed.first)
        try await eventually("it serves") { (try? pool.ask().pid) == worker }
        kill(worker, SIGKILL)
        try await eventually("the slot has another worker") { pool.handed.count + pool.forked.count == 3 }
        #expect(pool.handed.isDisjoint(with: rest))
        #expect(try await pool.end())
    }

    @Test(.enabled(if: geteuid() == 0)) func aSpareHasGivenUpItsRightsBeforeItWaits() async throws {
        let pool = try await SpareProgram(
            ["workers=1"], environment: ["PREFORK_USER": "nobody", "PREFORK_AFFINITY": "worker"])
        let spare = try await pool.waitForSpare()
        let status = read("/proc/\(spare)/status")
        let user = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }?.split(separator: "\t").dropFirst()
        #expect(user?.allSatisfy { $0 == "65534" } == true, "\(user ?? [])")
        kill(try #require(pool.workers.first), SIGKILL)
        #expect(try await pool.waitForWorker(spare).user == 65_534)
        #expect(try await pool.end())
    }

    @Test func tornadosFormHasNoSpare() async throws {
        let server = try await OperatedProgram(
            ["workers=2"], environment: ["PREFORK_SPARES": "3"], scenario: "tornado")
        for _ in 0..<3 {
            let victim = try #require(server.workers.first)
            kill(victim, SIGKILL)
            try await eventually("a successor") {
                !server.workers.contains(victim) && server.workers.count >= 2
            }
            #expect(server.workers.count == 2)
        }
        server.program.send(.terminate)
        #expect(try await server.program.waitForExit() == 0)
    }
}
