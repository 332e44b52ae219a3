// A process dies with a call in hand. Whom do further calls reach, and when do they fail?

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Words that the processes share.
private enum Word {
    /// How many processes have been the callee.
    static let lives = 0
    /// The callee has taken the call that it dies in.
    static let isTaken = 1
    /// Further calls were made: it may die.
    static let mayDie = 2
    /// Further calls were made after its death: its successor may come to the end.
    static let mayCome = 3
}

/// Calls end the callee by these numbers, and are answered otherwise.
private enum Number {
    static let kill = 1
    static let exit = 2
}

private struct Deaths: Sendable {
    let words: SharedWords
    let lane: Channel<Int>
    /// The supervisor's process.
    let main = getpid()

    init() throws {
        words = try SharedWords()
        lane = try Channel(name: "lane")
    }

    func wait(_ word: Int) async throws {
        while words[word] == 0 { try await EventLoop.sleep(for: .milliseconds(1)) }
    }

    /// Answers calls until this process is asked to stop. Each life adds its number.
    func answer(_ end: Channel<Int>, until stop: StopRequest) async throws {
        let life = words.next(Word.lives)
        if life > 1 { try await wait(Word.mayCome) }
        try end.onCall { number in
            switch number {
            case Number.kill, Number.exit:
                words[Word.isTaken] = 1
                try await wait(Word.mayDie)
                if number == Number.kill { kill(getpid(), SIGKILL) }
                exitChild(code: 0)
            default: return number * 10 + life
            }
        }
        try await stop.wait()
    }

    /// - Returns: the answer, or why there is none.
    func call(_ number: Int, _ lane: Channel<Int>) async -> String {
        do {
            return "\(try await lane.call(number, timeout: .seconds(60)))"
        } catch let error as ChannelError {
            return "\(error.code)"
        } catch {
            return "\(error)"
        }
    }

    /// One call that the callee dies in, one behind it, and one after its death.
    func callAroundADeath(_ lane: Channel<Int>) async throws {
        say("first: \(await call(5, lane))")
        async let dying = call(Number.kill, lane)
        try await wait(Word.isTaken)
        async let queued = call(6, lane)
        // It is in the ring: what the loop has to do comes before its timers.
        try await EventLoop.sleep(for: .milliseconds(1))
        words[Word.mayDie] = 1
        say("dying: \(await dying)")
        async let next = call(7, lane)
        try await EventLoop.sleep(for: .milliseconds(1))
        words[Word.mayCome] = 1
        say("queued: \(await queued)")
        say("next: \(await next)")
        kill(main, SIGTERM)
    }

    /// The callee dies, and no other one comes to its slot.
    ///
    /// - Parameter signal: to the main process while a call waits for the successor.
    func callWithoutSuccessor(_ lane: Channel<Int>, _ number: Int, _ signal: Int32?) async throws {
        async let dying = call(number, lane)
        try await wait(Word.isTaken)
        words[Word.mayDie] = 1
        say("dying: \(await dying)")
        async let next = call(7, lane)
        if let signal {
            try await EventLoop.sleep(for: .milliseconds(1))
            kill(main, signal)
        }
        say("next: \(await next)")
    }
}

/// `callee=worker|managed caller=main|managed|worker made=early|late`: what the calls around a death come to. A channel
/// that is made late is the caller's, after the forks, and comes to the callee by its name.
func slotDeathsScenario(_ arguments: [String]) throws {
    let settings = Settings(arguments)
    let isLate = settings["made"] == "late"
    let deaths = try Deaths()
    @Sendable func callee(until stop: StopRequest) async throws {
        if !isLate {
            // In a child of its maker, `lane` is the other end than in the maker.
            let end = settings["caller"] == "main" ? deaths.lane : deaths.lane.opposite
            return try await deaths.answer(end, until: stop)
        }
        while true {
            if let lane = try? Channel<Int>.named("late") { return try await deaths.answer(lane, until: stop) }
            try await EventLoop.sleep(for: .milliseconds(1))
        }
    }
    @Sendable func caller() async throws {
        if !isLate { return try await deaths.callAroundADeath(deaths.lane) }
        let lane = try Channel<Int>(name: "late")
        try lane.register()
        try await deaths.callAroundADeath(lane)
    }
    var runtime = ForkRuntime(workers: .count(2))
    runtime.log = { _ in }
    if settings["caller"] == "managed" {
        try runtime.manager.addTarget("caller") { child in
            try await caller()
            try await child.stopRequested.wait()
            return 0
        }
    }
    if settings["callee"] == "managed" {
        try runtime.manager.addTarget("callee", TargetOptions(onFailure: .restart(RestartPolicy()))) { child in
            try await callee(until: child.stopRequested)
            return 0
        }
    }
    if settings["caller"] == "main" {
        _ = Task(executorPreference: try EventLoop.shared) {
            do { try await caller() } catch { say("\(error)") }
        }
    }
    let summary = try runtime.run { worker in
        if worker.taskID == 0, settings["callee"] == "worker" { try await callee(until: worker.stopRequested) }
        if worker.taskID == 1, settings["caller"] == "worker" { try await caller() }
        try await worker.stopRequested.wait()
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// `end=ignored|exited|stopped|scaled`: there is no successor, because the policy wants none, because the worker's end was
/// no failure, because the pool stops while it waits to fork one, or because the slot is given up meanwhile.
func slotEndsScenario(_ arguments: [String]) throws {
    let end = Settings(arguments)["end"] ?? ""
    let deaths = try Deaths()
    // No successor comes by itself within the test's time.
    let never = RestartPolicy(
        limit: 10,
        backoff: Backoff(immediate: 0, base: .seconds(3600), maximum: .seconds(3600), resetAfter: .seconds(3600)))
    var runtime = ForkRuntime(workers: .count(2))
    runtime.restarts = never
    runtime.log = { _ in }
    if end == "ignored" {
        try runtime.manager.addTarget("callee", TargetOptions(onFailure: .ignore)) { child in
            try await deaths.answer(deaths.lane.opposite, until: child.stopRequested)
            return 0
        }
    }
    try runtime.manager.addTarget("caller", TargetOptions(grace: .seconds(60))) { child in
        try await deaths.callWithoutSuccessor(
            deaths.lane, end == "exited" ? Number.exit : Number.kill,
            ["stopped": SIGTERM, "scaled": SIGTTOU][end])
        kill(deaths.main, SIGTERM)
        try await child.stopRequested.wait()
        return 0
    }
    let summary = try runtime.run { worker in
        // The last one goes when the pool is made smaller.
        if worker.taskID == 1, end != "ignored" {
            try await deaths.answer(deaths.lane.opposite, until: worker.stopRequested)
        }
        try await worker.stopRequested.wait()
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}
