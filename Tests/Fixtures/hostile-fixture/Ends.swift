// One attack on how the supervisor hears of ends, in the first life of one process: `ends attack=NAME [for=MS]
// [target=1]`. The environment says as whom the workers run.

import HostileC
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// A pool of two. Worker 0 attacks, or with `target` a managed process beside it.
func endsScenario(_ arguments: [String]) throws {
    hostile_die_with_parent()
    let settings = Settings(arguments)
    let attack = try EndAttack(settings)
    var runtime = ForkRuntime(workers: .count(2))
    runtime.restarts = Pool.restarts
    runtime.drainTimeout = .milliseconds(500)
    let isTarget = settings["target"] != nil
    if isTarget {
        try runtime.manager.addTarget(
            "hostile", TargetOptions(onFailure: .restart(Pool.restarts), grace: .milliseconds(500))
        ) { (child: borrowing ChildContext<String>) in
            attack.live()
            while true { pause() }
        }
    }
    runtime.hooks.onAllReady = { say("all ready \(getpid())") }
    var wire: Channel<String>? = try Channel(name: "wire")
    let summary = try runtime.run { worker in
        if worker.taskID == 1 { attack.countContinues() }
        if worker.taskID == 0, !isTarget { attack.live() }
        try await worker.stopRequested.wait()
    }
    // A program that ends closes what it has made.
    withExtendedLifetime(wire) {}
    wire = nil
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// A manager that is all its program does, with a managed process that attacks.
func managedEndsScenario(_ arguments: [String]) throws {
    hostile_die_with_parent()
    let attack = try EndAttack(Settings(arguments))
    let manager = ProcessManager(log: { complain($0.text) })
    try manager.addTarget(
        "hostile", TargetOptions(onFailure: .restart(Pool.restarts), grace: .milliseconds(500))
    ) { child in
        attack.live()
        while true { pause() }
    }
    say("outcome \(try manager.run())")
}

/// One process alone, which has its parent trace it and stops.
func trappedScenario(_ arguments: [String]) throws {
    hostile_die_with_parent()
    say("stops")
    hostile_be_trapped()
}

/// | attack       | does                                                                        |
/// |--------------|-----------------------------------------------------------------------------|
/// | traced       | is traced and ends                                                          |
/// | held         | is traced, and held at its end                                              |
/// | children     | leaves 200 children to the supervisor                                       |
/// | stops        | is stopped and continued without pause                                      |
/// | lingers      | leaves sockets in a channel whose last close waits for 300 s                |
/// | orphans      | has the kernel send SIGHUP to the supervisor's process group, 20 times      |
/// | continues    | sends SIGCONT to the supervisor without pause; worker 1 counts what it gets |
private struct EndAttack: Sendable {
    private let name: String
    private let length: Int
    private let supervisor = getpid()
    private let words: SharedWords
    /// Two counters: rounds of the attack, and SIGCONTs.
    private let counters: Counters

    private struct Counters: @unchecked Sendable {
        // Sendable: shared memory that is never unmapped. One process writes each word.
        let base: UnsafeMutablePointer<Int64>
    }

    init(_ settings: Settings) throws {
        name = settings["attack"] ?? "none"
        length = settings.number("for") ?? 3_000
        words = try SharedWords()
        counters = Counters(base: try sharedBytes(4096).assumingMemoryBound(to: Int64.self))
    }

    func countContinues() {
        guard name == "continues" else { return }
        hostile_count_continues(counters.base + 1)
        var resume = sigset_t()
        sigemptyset(&resume)
        sigaddset(&resume, SIGCONT)
        pthread_sigmask(SIG_UNBLOCK, &resume, nil)
        try? startThread {
            while true {
                usleep(20_000)
                if counters.base[1] > 0, words.next(1) == 1 { say("continued") }
            }
        }
    }

    func live() {
        let life = words.next(0)
        say("life \(life) \(getpid()) user \(getuid())")
        guard life == 1 else { return }
        let deadline = MonotonicInstant.now.nanoseconds + Int64(length) * 1_000_000
        switch name {
        case "traced":
            say("tracer \(hostile_be_traced(false, deadline))")
            _exit(7)
        case "held":
            say("tracer \(hostile_be_traced(true, deadline))")
        case "children":
            hostile_leave_children(200)
            say("left 200")
        case "lingers":
            say("keeper \(hostile_leave_lingering(300))")
        case "orphans":
            say("joined \(hostile_orphan_group(getpgid(supervisor), 20))")
        case "stops":
            _ = hostile_be_stopped(counters.base, deadline)
            try? startThread {
                while MonotonicInstant.now.nanoseconds < deadline + 50_000_000 { usleep(10_000) }
                say("rounds \(counters.base[0])")
            }
        case "continues":
            let isAllowed = hostile_continue(supervisor, counters.base, deadline)
            say("rounds \(counters.base[0]) allowed \(isAllowed)")
        default: break
        }
    }
}
