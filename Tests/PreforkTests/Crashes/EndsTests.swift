// What a worker can do to how its supervisor hears of ends.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

/// `hostile-fixture ends`: one process attacks in its first life.
private final class EndsProgram {
    let program: ChildProgram

    init(
        _ arguments: [String], scenario: String = "ends", environment: [String: String] = [:],
        preparation: String? = nil, ownSession: Bool = false
    ) throws {
        program = try ChildProgram(
            "hostile-fixture", [scenario] + arguments,
            environment: environment.merging(["PREFORK_USER": "nobody"]) { first, _ in first }, preparation: preparation,
            ownSession: ownSession)
    }

    /// The process of the first, second, ... life.
    func process(ofLife life: Int) async throws -> Int32 {
        let words = try await program.waitForLine("life \(life) ").split(separator: " ")
        #expect(words.last == "65534")
        return words.first.flatMap { Int32($0) } ?? -1
    }

    /// - Parameters:
    ///   - kind: the scenario, and `target` where a managed process beside a pool attacks.
    ///   - attack: what `EndAttack` does.
    convenience init(_ kind: String, _ attack: [String]) throws {
        let words = kind.split(separator: " ").map(String.init)
        try self.init(attack + words.dropFirst().map { "\($0)=1" }, scenario: words[0])
    }

    /// The process that traces the one which attacks.
    func tracer() async throws -> Int32 {
        let words = try await program.waitForLine("tracer ")
        let tracer = try #require(Int32(words), "\(words)")
        #expect(tracer > 0)
        return tracer
    }

    func waitForLog(_ text: String) async throws {
        try await eventually("the log says '\(text)'\n\(program.output)\n\(program.errors)") {
            self.program.errors.contains(text)
        }
    }

    /// Ends it, which must succeed within a few seconds, whichever process is held.
    func end() async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0, "\(program.output)\n\(program.errors)")
        #expect(program.output.contains("outcome stopped"), "\(program.output)\n\(program.errors)")
    }

    /// Processor time in clock ticks (proc(5): fields 14 and 15).
    var processorTime: Int {
        let fields = read("/proc/\(program.pid)/stat").split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
    }

    var zombies: Int { program.children.count(where: isZombie) }
}

@Suite(
    .timeLimit(.minutes(3)),
    .enabled(if: geteuid() == 0 && getpwnam("nobody") != nil, "workers must change to another user: run as root, with a user 'nobody'"))
struct EndsTests {
    /// Its end shows to the tracer alone. The supervisor took it for alive for ever, and asked again without a pause.
    @Test(arguments: ["ends", "ends target", "managed-ends"])
    func oneThatEndsWhileItIsTracedGetsASuccessor(_ kind: String) async throws {
        let pool = try EndsProgram(kind, ["attack=traced", "for=6000"])
        let traced = try await pool.process(ofLife: 1)
        let tracer = try await pool.tracer()
        _ = try await pool.process(ofLife: 2)
        try await pool.waitForLog("process \(traced) cannot be collected: it is traced by process \(tracer)")
        #expect(pool.program.errors.contains("(pid \(traced)) ended (status lost"), "\(pool.program.errors)")
        #expect(isZombie(traced))
        // One second of a loop that asks would be 100 ticks.
        let before = pool.processorTime
        try await Task.sleep(for: .seconds(1))
        #expect(pool.processorTime - before < 50)
        try await eventually("it is collected when the tracer has ended") { !pool.program.children.contains(traced) }
        try await pool.end()
    }

    /// A tracer can keep a process from ending after SIGKILL.
    @Test(arguments: ["ends", "ends target", "managed-ends"])
    func oneThatIsHeldAtItsEndKeepsNoStopWaiting(_ kind: String) async throws {
        let pool = try EndsProgram(kind, ["attack=held", "for=60000"])
        let held = try await pool.process(ofLife: 1)
        let tracer = try await pool.tracer()
        if kind == "ends" {
            try await pool.program.waitForLine("all ready ")
            pool.program.send(.hangUp)
            try await pool.waitForLog("reload: generation 2 serves")
            try await pool.waitForLog("process \(held) cannot be collected: it is traced by process \(tracer)")
            #expect(pool.program.children.contains(held))
        }
        try await pool.end()
        #expect(pool.program.errors.contains("process \(held) cannot be collected"), "\(pool.program.errors)")
    }

    @Test(arguments: ["ends", "ends target", "managed-ends"])
    func childrenThatAWorkerLeavesToItsSupervisorAreCollected(_ kind: String) async throws {
        let pool = try EndsProgram(kind, ["attack=children"])
        try await pool.program.waitForLine("left 200")
        try await eventually("no zombie is left\n\(pool.program.children)") { pool.zombies == 0 }
        try await pool.end()
    }

    /// The supervisor is the last to close a channel's sockets, and waited for what was in them at the end of its program.
    @Test func aStopDoesNotWaitForSocketsThatAWorkerHasLeftInAChannel() async throws {
        let pool = try EndsProgram(["attack=lingers"])
        _ = try await pool.process(ofLife: 1)
        let keeper = Int32(try await pool.program.waitForLine("keeper ")) ?? -1
        defer { if keeper > 0 { kill(keeper, SIGKILL) } }
        #expect(keeper > 0)
        try await pool.program.waitForLine("all ready ")
        try await pool.end()
    }

    /// SIGCHLD for each stop and each continuation would wake the supervisor some ten thousand times a second.
    @Test func stopsOfAWorkerDoNotWakeTheSupervisor() async throws {
        let pool = try EndsProgram(["attack=stops", "for=2000"])
        _ = try await pool.process(ofLife: 1)
        try await pool.program.waitForLine("all ready ")
        let before = pool.wakeUps
        let rounds = Int(try await pool.program.waitForLine("rounds ")) ?? 0
        #expect(rounds > 500)
        #expect(pool.wakeUps - before < 400, "\(rounds) rounds")
        try await pool.end()
    }

    /// The kernel sends SIGHUP with its own rights to a group that has lost its last parent in the session. Any member of
    /// the group could bring that about, and each SIGHUP was a reload.
    @Test(arguments: ["ends", "ends target"])
    func noWorkerCanHaveTheKernelSignalTheSupervisorsGroup(_ kind: String) async throws {
        let words = kind.split(separator: " ").map(String.init)
        let pool = try EndsProgram(
            ["attack=orphans"] + words.dropFirst().map { "\($0)=1" }, scenario: words[0], ownSession: true)
        let process = try await pool.process(ofLife: 1)
        #expect(getsid(process) == process && getpgid(process) == process)
        #expect(try await pool.program.waitForLine("joined ") == "0")
        try await pool.program.waitForLine("all ready ")
        // What was sent before this is acted on before it.
        pool.program.send(.user1)
        try await pool.waitForLog("logs reopened")
        #expect(!pool.program.errors.contains("reload"), "\(pool.program.errors)")
        try await pool.end()
    }

    /// Any process of the session may send SIGCONT, which a supervisor with the duties of PID 1 passes on: workers of
    /// another user are of another session.
    @Test func onlyRootAndTheSupervisorsUserHaveSignalsPassedOn() async throws {
        let pool = try EndsProgram(
            ["attack=continues", "for=2000"], environment: ["PREFORK_ADOPT_ORPHANS": "on"])
        _ = try await pool.process(ofLife: 1)
        let before = pool.wakeUps
        let rounds = try await pool.program.waitForLine("rounds ").split(separator: " ")
        #expect(rounds.last == "false" && Int(rounds[0]) ?? 0 > 500, "\(rounds)")
        #expect(pool.wakeUps - before < 1_000, "\(rounds)")
        try await pool.program.waitForLine("all ready ")
        #expect(!pool.program.output.contains("continued"))
        // One of the worker's may still be pending, and takes the place of ours.
        try await eventually("root's SIGCONT is passed on") {
            pool.program.send(.resume)
            return pool.program.output.contains("continued")
        }
        try await pool.end()
    }
}

extension EndsProgram {
    /// How often the supervisor has slept (proc(5): voluntary_ctxt_switches).
    fileprivate var wakeUps: Int {
        let line = read("/proc/\(program.pid)/status").split(separator: "\n").first {
            $0.hasPrefix("voluntary_ctxt_switches:")
        }
        return line.flatMap { $0.split(separator: "\t").last }.flatMap { Int($0) } ?? 0
    }
}
