// The decisions about managed processes, event by event, without a process.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

private let start = MonotonicInstant(nanoseconds: 1_000_000_000)
private let success = ProcessExit(status: .exited(code: 0), usage: ResourceUsage())
private let failure = ProcessExit(status: .exited(code: 3), usage: ResourceUsage())
private let killed = ProcessExit(status: .signaled(.kill, coreDumped: false), usage: ResourceUsage())
private let terminated = ProcessExit(status: .signaled(.terminate, coreDumped: false), usage: ResourceUsage())

/// A table with a clock, the forks and the hooks that the runner would carry out.
private struct TableDriver {
    var table = TargetTable(seed: 1)
    var now = start
    var nextPID: Int32 = 100
    /// What has been done, in short.
    var done: [String] = []
    var exits: [TargetExit] = []
    var preventsRestarts = false
    var crashPolicy = CrashPolicy()

    mutating func add(_ name: String, _ change: (inout TargetSettings) -> Void = { _ in }) throws {
        var settings = TargetSettings(name: name)
        change(&settings)
        _ = try table.add(settings)
        _ = try? table.plan()
    }

    mutating func handle(_ event: TargetEvent) {
        perform(table.handle(event, at: now))
    }

    private mutating func perform(_ actions: [TargetAction]) {
        for action in actions {
            switch action {
            case .fork(let number, let spawn, let generation):
                guard table.isToBeForked(number, at: now) else { continue }
                nextPID += 1
                done.append("fork \(name(number)) \(generation)")
                perform(table.handle(.forked(number, pid: nextPID, spawn: spawn), at: now))
            case .hooks(let number, let order, let deadline):
                done.append("hooks \(name(number)) \(order)")
                let isPrevented = order == .restart && preventsRestarts
                perform(table.handle(.proceed(number, order, deadline: deadline, isPrevented: isPrevented), at: now))
            case .signal(let number, let signal):
                done.append("\(signal) \(name(number))")
            case .killCrashed(let spawn):
                done.append("SIGKILL crashed \(table.crashes[spawn].map { name($0.number) } ?? "?")")
            case .report(.exited(let exit)):
                exits.append(exit)
            case .report, .askElder, .killElder, .adopt:
                break
            }
        }
    }

    private func name(_ number: Int) -> String { table.targets[number]?.name ?? "?" }

    func number(_ name: String) -> Int { table.numbers[name] ?? -1 }
    func state(_ name: String) -> TargetState? { table[name]?.state }
    func phase(_ name: String) -> TargetPhase? { state(name)?.phase }

    mutating func launch(_ name: String) { handle(.start(number(name))) }

    mutating func ready(_ name: String) {
        guard let process = state(name)?.process else { return }
        handle(.ready(number(name), spawn: process.spawn))
    }

    mutating func run(_ names: String...) {
        for name in names {
            launch(name)
            ready(name)
        }
    }

    mutating func exit(_ name: String, _ exit: ProcessExit) { handle(.exited(number(name), exit)) }

    /// Its process says that it crashes.
    mutating func crash(_ name: String, hasBacktracer: Bool = true) {
        guard let process = state(name)?.process else { return }
        let sign = CrashSign(signal: .abort, hadRequest: false, hasBacktracer: hasBacktracer)
        handle(.crashed(number(name), spawn: process.spawn, sign, crashPolicy))
    }

    /// Processes that have said so end.
    mutating func endCrashed() {
        for spawn in table.crashes.keys.sorted() {
            handle(.crashedExited(spawn: spawn, killed, TargetEndNotes(lastWords: LastWords(message: "why"))))
        }
    }

    mutating func code(_ code: UInt8, _ name: String) { handle(.control(number(name), code: code)) }

    mutating func pass(_ duration: Duration) {
        now = now + duration
        handle(.tick)
    }

    mutating func take() -> [String] {
        defer { done = [] }
        return done
    }
}

private func quick(limit: Int = 100, bootLimit: Int = 10) -> RestartPolicy {
    var policy = RestartPolicy(limit: limit, bootLimit: bootLimit)
    policy.backoff.maximum = .zero
    return policy
}

@Suite(.timeLimit(.minutes(2))) struct TargetTableTests {
    @Test func aTargetIsForkedReadyStoppedAndReaped() throws {
        var driver = TableDriver()
        try driver.add("a")
        #expect(driver.phase("a") == .stopped)
        driver.launch("a")
        #expect(driver.phase("a") == .starting)
        driver.ready("a")
        #expect(driver.phase("a") == .running)
        driver.handle(.stop(driver.number("a"), within: nil))
        #expect(driver.phase("a") == .stopping)
        driver.exit("a", terminated)
        #expect(driver.phase("a") == .stopped)
        #expect(driver.take() == ["fork a 1", "hooks a stop", "SIGTERM a"])
        #expect(!driver.table.isBusy)
    }

    @Test func `A target is followed while its policy or an order brings another process`() throws {
        var driver = TableDriver()
        try driver.add("a") { $0.onFailure = .restart(RestartPolicy()) }
        try driver.add("once") { $0.onFailure = .ignore }
        func isFollowed(_ name: String) -> Bool { driver.table[name].map(driver.table.isFollowed) ?? false }
        #expect(!isFollowed("a"))
        driver.run("a", "once")
        #expect(isFollowed("a") && !isFollowed("once"))
        driver.exit("a", killed)
        #expect(isFollowed("a"))
        driver.ready("a")
        driver.code(1, "once")
        #expect(driver.phase("once") == .stopping && isFollowed("once"), "to be restarted")
        driver.code(0, "once")
        #expect(!isFollowed("once"))
        driver.handle(.stop(driver.number("a"), within: nil))
        #expect(driver.phase("a") == .stopping && !isFollowed("a"))
        driver.exit("a", terminated)
        driver.run("a")
        #expect(isFollowed("a"))
        driver.exit("a", success)
        #expect(!isFollowed("a"), "it has finished")
        driver.run("a")
        driver.handle(.stopAll(within: nil))
        #expect(!isFollowed("a"))
    }

    @Test func `A target that could not be forked again is not ended by an order to restart`() throws {
        var driver = TableDriver()
        try driver.add("a")
        driver.run("a")
        _ = driver.take()
        func refused(_ actions: [TargetAction]) -> Bool {
            actions == [.report(.restartRefused(name: "a", reason: "2 threads"))]
        }
        let order = TargetEvent.control(driver.number("a"), code: 1, isPaced: true, obstacle: "2 threads")
        #expect(refused(driver.table.handle(order, at: driver.now)))
        #expect(driver.phase("a") == .running)
        // An order to stop needs no fork, and one to restart that has begun is not taken back.
        driver.code(1, "a")
        driver.handle(order)
        #expect(driver.take() == ["hooks a restart", "SIGTERM a"])
        driver.exit("a", terminated)
        #expect(driver.take() == ["fork a 2"])
        driver.handle(.control(driver.number("a"), code: 0, obstacle: "2 threads"))
        driver.exit("a", terminated)
        #expect(refused(driver.table.handle(order, at: driver.now)))
        #expect(driver.phase("a") == .stopped)
    }

    @Test func theGracePeriodEndsWithAKillAndOnlyOne() throws {
        var driver = TableDriver()
        try driver.add("a") { $0.grace = .seconds(10) }
        driver.run("a")
        driver.code(0, "a")
        driver.pass(.seconds(9))
        #expect(!driver.take().contains("SIGKILL a"))
        driver.pass(.seconds(1))
        driver.pass(.seconds(100))
        #expect(driver.take() == ["SIGKILL a"])
        #expect(driver.table.nextDeadline == nil)
    }

    @Test func codeOneRestartsAndCodeOneAfterZeroStartsAgain() throws {
        var driver = TableDriver()
        try driver.add("a")
        driver.run("a")
        driver.code(1, "a")
        driver.exit("a", terminated)
        #expect(driver.take() == ["fork a 1", "hooks a restart", "SIGTERM a", "fork a 2"])
        driver.code(0, "a")
        driver.exit("a", terminated)
        #expect(driver.phase("a") == .stopped)
        driver.code(1, "a")
        #expect(driver.take().last == "fork a 3")
    }

    @Test func ofTwoOrdersTheLaterOneCounts() throws {
        var driver = TableDriver()
        try driver.add("a")
        driver.run("a")
        driver.code(1, "a")
        driver.code(0, "a")
        driver.exit("a", terminated)
        #expect(driver.phase("a") == .stopped)
        driver.code(1, "a")
        driver.code(0, "a")
        driver.code(1, "a")
        driver.exit("a", terminated)
        #expect(driver.phase("a") == .starting)
    }

    @Test func otherCodesAreCountedAndChangeNothing() throws {
        var driver = TableDriver()
        try driver.add("a")
        driver.run("a")
        let before = driver.state("a")
        for code in UInt8(2)...255 { driver.code(code, "a") }
        #expect(driver.state("a") == before)
        #expect(driver.table["a"]?.ignoredCodes == 254)
    }

    @Test func aPreventedRestartLeavesTheProcessAlone() throws {
        var driver = TableDriver()
        try driver.add("a")
        driver.run("a")
        driver.preventsRestarts = true
        driver.code(1, "a")
        #expect(driver.phase("a") == .running)
        #expect(!driver.take().contains("SIGTERM a"))
    }

    @Test func crashesFollowTheFailureAction() throws {
        var driver = TableDriver()
        try driver.add("ignored")
        try driver.add("restarted") { $0.onFailure = .restart(quick(limit: 2)) }
        driver.run("ignored", "restarted")
        driver.exit("ignored", failure)
        #expect(driver.phase("ignored") == .stopped)
        for _ in 0..<2 {
            driver.exit("restarted", failure)
            #expect(driver.phase("restarted") == .starting)
            driver.ready("restarted")
        }
        driver.exit("restarted", failure)
        #expect(driver.phase("restarted") == .failed)
        #expect(driver.table["restarted"]?.lastExit?.consequence == .failed)
        // A start by a caller begins anew.
        driver.launch("restarted")
        driver.ready("restarted")
        driver.exit("restarted", failure)
        #expect(driver.phase("restarted") == .starting)
    }

    @Test func `One that says that it crashes has a successor at once, and its report at the reap`() throws {
        var driver = TableDriver()
        try driver.add("a") { $0.onFailure = .restart(quick()) }
        driver.run("a")
        let first = try #require(driver.state("a")?.process)
        driver.crash("a")
        #expect(driver.take() == ["fork a 1", "fork a 2"])
        driver.ready("a")
        #expect(driver.phase("a") == .running && driver.table["a"]?.score.restarts == 1)
        // What it says again, and its successor's mark under the first one's number, count for nothing.
        let sign = CrashSign(signal: .abort, hadRequest: false, hasBacktracer: true)
        driver.handle(.crashed(driver.number("a"), spawn: first.spawn, sign, driver.crashPolicy))
        #expect(driver.exits.isEmpty && driver.table["a"]?.lastExit == nil)
        driver.pass(.seconds(9))
        #expect(driver.take().isEmpty)
        driver.pass(.seconds(1))
        driver.pass(.seconds(100))
        #expect(driver.take() == ["SIGKILL crashed a"])
        driver.endCrashed()
        let exit = try #require(driver.exits.first)
        #expect(driver.exits.count == 1 && exit == driver.table["a"]?.lastExit)
        #expect(exit.pid == first.pid && exit.generation == 1 && exit.wasReady && exit.killReason == .crashed)
        #expect(exit.status == killed.status && exit.lastWords?.message == "why")
        #expect(exit.uptime == .seconds(110) && exit.consequence == .restart(in: .zero, number: 1))
        #expect(driver.phase("a") == .running && driver.table["a"]?.score.restarts == 1)
    }

    @Test func `No more backtracers at once than are allowed, and a stop leaves them no more time`() throws {
        var driver = TableDriver()
        driver.crashPolicy = CrashPolicy(timeout: .seconds(600), backtracersAtOnce: 1)
        for name in ["a", "b", "c"] { try driver.add(name) }
        driver.run("a", "b", "c")
        _ = driver.take()
        driver.crash("a")
        driver.crash("b", hasBacktracer: false)
        #expect(driver.take().isEmpty && driver.table.isBusy)
        driver.crash("c")
        #expect(driver.take() == ["SIGKILL crashed c"])
        #expect(driver.phase("a") == .stopped && !driver.table.isBusy)
        // Its end is pending: it cannot be removed, and a stop ends it.
        #expect(throws: ProcessError(.inUse("a"))) { try driver.table.remove("a") }
        driver.handle(.stop(driver.number("a"), within: .seconds(5)))
        driver.pass(.seconds(5))
        #expect(driver.take() == ["SIGKILL crashed a"])
        driver.handle(.stopAll(within: nil))
        driver.pass(.zero)
        #expect(driver.take() == ["SIGKILL crashed b"])
        driver.endCrashed()
        #expect(driver.exits.map(\.consequence) == [.ignored, .ignored, .ignored])
        try driver.table.remove("a")
    }

    @Test func `A crash that ends everything does so at once`() throws {
        var driver = TableDriver()
        try driver.add("a")
        try driver.add("vital") { $0.onFailure = .crashTree }
        driver.run("a", "vital")
        _ = driver.take()
        driver.crash("vital")
        #expect(driver.take() == ["hooks a stop", "SIGTERM a"] && driver.table.crashed == "vital")
        // One that is asked to end and crashes meanwhile has ended for its order.
        driver.crash("a")
        #expect(driver.phase("a") == .stopped && !driver.table.isBusy)
        driver.pass(.seconds(10))
        driver.endCrashed()
        #expect(driver.exits.map(\.consequence).contains(.crashTree) && driver.table.crashes.isEmpty)
    }

    @Test func exitCodeZeroIsNoCrash() throws {
        var driver = TableDriver()
        try driver.add("a") { $0.onFailure = .restart(quick()) }
        driver.run("a")
        driver.exit("a", success)
        #expect(driver.phase("a") == .stopped)
        #expect(driver.table["a"]?.isCompleted == true)
    }

    @Test func aVitalTargetsCrashStopsTheOthersAndRestartsAreRefusedMeanwhile() throws {
        var driver = TableDriver()
        try driver.add("a")
        try driver.add("b")
        try driver.add("vital") { $0.onFailure = .crashTree }
        driver.run("a", "b", "vital")
        _ = driver.take()
        driver.exit("vital", failure)
        #expect(driver.take() == ["hooks b stop", "SIGTERM b", "hooks a stop", "SIGTERM a"])
        #expect(driver.table.crashed == "vital")
        driver.code(1, "a")
        driver.launch("vital")
        driver.exit("a", terminated)
        driver.exit("b", terminated)
        #expect(!driver.table.isBusy)
        #expect(!driver.table.isStoppingAll)
        driver.launch("vital")
        #expect(driver.phase("vital") == .starting)
        #expect(driver.table.crashed == nil)
    }

    @Test func stopAllAsksInReverseAndSharesOneDeadline() throws {
        var driver = TableDriver()
        for name in ["a", "b", "c"] { try driver.add(name) { $0.grace = .seconds(name == "b" ? 20 : 5) } }
        driver.run("b", "a", "c")
        _ = driver.take()
        driver.handle(.stopAll(within: nil))
        #expect(driver.take().filter { $0.hasPrefix("SIGTERM") } == ["SIGTERM c", "SIGTERM a", "SIGTERM b"])
        #expect(driver.table.nextDeadline == start + .seconds(20))
        driver.handle(.stopAll(within: .seconds(1)))
        #expect(driver.table.nextDeadline == start + .seconds(1))
        driver.pass(.seconds(1))
        #expect(driver.take().filter { $0.hasPrefix("SIGKILL") }.count == 3)
    }

    @Test func noTimeMeansAKillAtOnce() throws {
        var driver = TableDriver()
        try driver.add("a")
        driver.run("a")
        _ = driver.take()
        driver.handle(.stop(driver.number("a"), within: .seconds(-5)))
        #expect(driver.take() == ["hooks a stop", "SIGKILL a"])
    }

    @Test func dependentsWaitForReadinessOrForExitCodeZero() throws {
        var driver = TableDriver()
        try driver.add("web") { $0.dependencies = ["cache", "migration"] }
        try driver.add("cache")
        try driver.add("migration")
        _ = try driver.table.plan()
        driver.launch("web")
        #expect(driver.take().sorted() == ["fork cache 1", "fork migration 1"])
        driver.ready("cache")
        #expect(driver.take().isEmpty)
        driver.exit("migration", success)
        #expect(driver.take() == ["fork web 1"])
    }

    @Test func dependentsOfWhatCannotBecomeReadyFail() throws {
        var driver = TableDriver()
        try driver.add("a")
        try driver.add("b") { $0.dependencies = ["a"] }
        try driver.add("c") { $0.dependencies = ["b"] }
        _ = try driver.table.plan()
        driver.launch("c")
        driver.exit("a", failure)
        #expect(driver.phase("b") == .failed && driver.phase("c") == .failed)
        #expect(driver.table["c"]?.missingDependency == "b")
        #expect(!driver.table.isBusy)
    }

    @Test func aRefusedForkIsTriedAgainLater() throws {
        var table = TargetTable(seed: 1)
        let number = try table.add(TargetSettings(name: "a"))
        guard case .fork = table.handle(.start(number), at: start).last else { throw ProcessError(.fork) }
        let actions = table.handle(.forkFailed(number, reason: "EAGAIN"), at: start)
        #expect(!actions.contains { if case .fork = $0 { true } else { false } })
        let deadline = try #require(table.nextDeadline)
        #expect(deadline >= start + .milliseconds(50))
        #expect(table.handle(.tick, at: deadline).contains { if case .fork = $0 { true } else { false } })
    }

    /// Whatever comes in whatever order: no state traps, each fork follows an end, and a stop of all ends all.
    @Test(arguments: 0..<200) func anyOrderOfEventsEndsInRestAfterStopAll(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var driver = TableDriver()
        let names = ["a", "b", "c", "d"]
        for (index, name) in names.enumerated() {
            try driver.add(name) { settings in
                settings.onFailure = [.ignore, .restart(quick(limit: 3)), .crashTree, .restart(RestartPolicy())][index]
                if index > 0, Bool.random(using: &random) { settings.dependencies = [names[index - 1]] }
                settings.startTimeout = index == 1 ? .seconds(1) : nil
            }
        }
        _ = try driver.table.plan()
        for _ in 0..<300 {
            let name = names.randomElement(using: &random)!
            switch Int.random(in: 0..<10, using: &random) {
            case 8: driver.crash(name)
            case 9: driver.endCrashed()
            case 0: driver.launch(name)
            case 1: driver.ready(name)
            case 2: driver.exit(name, [success, failure, terminated].randomElement(using: &random)!)
            case 3: driver.code(UInt8.random(in: 0...2, using: &random), name)
            case 4:
                let limit = Duration.milliseconds(Int64.random(in: -1...5, using: &random))
                driver.handle(.stop(driver.number(name), within: limit))
            case 5: driver.pass(.milliseconds(Int64.random(in: 0...2_000, using: &random)))
            case 6: driver.handle(.exited(driver.number(name) + 17, failure))
            default: driver.handle(.stopAll(within: .seconds(1)))
            }
        }
        driver.handle(.stopAll(within: .zero))
        for name in names where driver.state(name)?.process != nil { driver.exit(name, terminated) }
        driver.endCrashed()
        #expect(!driver.table.isBusy && driver.table.crashes.isEmpty, "seed \(seed)")
        #expect(names.allSatisfy { driver.state($0)?.isAtRest == true }, "seed \(seed)")
    }
}
