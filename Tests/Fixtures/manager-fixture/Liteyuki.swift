// One scenario for each defect of the original that must be absent here.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Names of two letters, and others.
func joinScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    for name in ["ab", "nonebot", "x"] { try manager.addTarget(name) { child in 0 } }
    try manager.startAll()
    say("joined \(try manager.joinAll().keys.sorted())")
}

func aliveScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    say("unknown: \(failure { _ = try manager.isProcessAlive("one") })")
    try manager.addTarget("one") { child in sleepForEver() }
    say("not started: \(try manager.isProcessAlive("one"))")
    try manager.startAll()
    say("started: \(try manager.isProcessAlive("one"))")
    kill(try manager.status(of: "one").pid!, SIGKILL)
    // Without a turn: the kernel knows.
    while try manager.isProcessAlive("one") { usleep(1_000) }
    say("killed: \(try manager.isProcessAlive("one")), still to be reaped: \(childCount)")
}

func removeScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("one") { child in sleepForEver() }
    try manager.startAll()
    try manager.terminate("one")
    say("known: \(try manager.statuses().map(\.name))")
    try manager.launch("one")
    try manager.terminate("one")
    try manager.removeTarget("one")
    let channel = failure { _ = try Channel<String>.named("one-active") }
    say("known: \(try manager.statuses().map(\.name)), channel: \(channel)")
    try manager.addTarget("one") { child in 0 }
    say("generation \(try manager.status(of: "one").generation)")
}

func twiceScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("one") { child in sleepForEver() }
    try manager.launch("one")
    let pid = try manager.status(of: "one").pid
    say("again: \(failure { try manager.launch("one") })")
    say("same \(try manager.status(of: "one").pid == pid), children \(childCount)")
    try manager.startAll()
    say("same \(try manager.status(of: "one").pid == pid), children \(childCount)")
    try manager.terminateAll()
    say("children \(childCount)")
}

/// No process reads or writes a channel.
func noticeScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    try manager.addTarget("one") { child in
        raise(SIGSEGV)
        return 0
    }
    try manager.addTarget("two", TargetOptions(onFailure: .restart(RestartPolicy()))) { child in
        if child.generation == 1 { return 2 }
        sleepForEver()
    }
    try manager.startAll()
    try turn(manager) { try manager.status(of: "one").phase == .stopped && manager.status(of: "two").generation == 2 }
    say("two \(try manager.status(of: "two").restarts)")
    try manager.terminateAll()
}

func oneAfterZeroScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    try manager.addTarget("one", TargetOptions(readiness: .manual)) { child in
        child.ready()
        sleepForEver()
    }
    // The original form: returns when the target is stopped.
    nonisolated(unsafe) let held = manager
    var isFirst = true
    manager.hooks.onReport.append { report in
        guard case .ready(let name, _, _) = report, isFirst else { return }
        isFirst = false
        try? held.send(.stop, to: name)
    }
    say("start returned \(try manager.start("one").map { "\($0.status)" } ?? "nil")")
    try Channel<String>.named("one-active").send(control: .restart)
    try turn(manager) { try manager.status(of: "one").phase == .running }
    say("running again, generation \(try manager.status(of: "one").generation)")
    try manager.send(.stop, to: "one")
    try turn(manager) { try manager.status(of: "one").phase == .stopped }
    // Nothing is left of the 1.
    try manager.launch("one")
    try turn(manager) { try manager.status(of: "one").phase == .running }
    _ = try manager.turn(waitingAtMost: .zero)
    say("generation \(try manager.status(of: "one").generation) \(try manager.status(of: "one").phase)")
    try manager.terminateAll()
}

/// L7 and L8: hooks have names, in the right order, each time.
func hookNamesScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    try manager.addTarget("one") { child in sleepForEver() }
    try manager.startAll()
    for generation in 2...3 {
        try Channel<String>.named("one-active").send(control: .restart)
        try turn(manager) {
            try manager.status(of: "one").generation == generation && manager.status(of: "one").phase == .running
        }
    }
    try manager.send(.stop, to: "one")
    try turn(manager) { try manager.status(of: "one").phase == .stopped }
}

/// L9 and L10.
func oneGraceScenario(_ arguments: [String]) throws {
    try hundredScenario(["8", "stubborn"])
}

func noThreadScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    for number in 0..<10 { try manager.addTarget("t\(number)") { child in sleepForEver() } }
    try manager.startAll()
    say("threads \(threadCount()), children \(childCount)")
    try manager.terminateAll()
    say("threads \(threadCount())")
}

/// While one has its ten seconds, the others are looked after.
func nobodyWaitsScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    manager.hooks.afterExit.append { name, exit in say("exit \(name) \(exit.generation)") }
    try manager.addTarget("stubborn", TargetOptions(readiness: .manual, grace: .seconds(1_000))) { child in
        signal(SIGTERM, SIG_IGN)
        child.ready()
        sleepForEver()
    }
    try manager.addTarget("ill", TargetOptions(onFailure: .restart(RestartPolicy()))) { child in
        if child.generation < 3 { return 1 }
        sleepForEver()
    }
    try manager.launch("stubborn")
    try turn(manager) { try manager.status(of: "stubborn").phase == .running }
    try manager.send(.stop, to: "stubborn")
    _ = try manager.turn(waitingAtMost: .zero)
    say("stubborn \(try manager.status(of: "stubborn").phase)")
    try manager.launch("ill")
    try turn(manager) { try manager.status(of: "ill").generation == 3 }
    say("stubborn \(try manager.status(of: "stubborn").phase)")
    try manager.terminateAll(within: .zero)
}

/// A managed process that manages processes, and one that forks workers.
func nestedScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    nonisolated(unsafe) let outer = manager
    try manager.addTarget("parent") { child in
        say("task ID \(taskID().map { "\($0)" } ?? "nil"), outer: \(failure { try outer.launch("parent") })")
        let inner = talkingManager()
        try inner.addTarget("child") { child in 7 }
        try inner.startAll()
        try inner.joinAll()
        return 0
    }
    try manager.addTarget("pool") { child in
        let summary = try ForkRuntime(workers: .count(2)).run { worker in say("worker \(worker.taskID)") }
        say("pool \(summary.outcome)")
        return 0
    }
    try manager.startAll()
    try manager.joinAll()
}

func delaysScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    let backoff = Backoff(immediate: 1, base: .seconds(1_000), maximum: .seconds(1_000))
    try manager.addTarget("ill", TargetOptions(onFailure: .restart(RestartPolicy(backoff: backoff)))) { child in 1 }
    try manager.launch("ill")
    try turn(manager) { try manager.status(of: "ill").phase == .backoff }
    let status = try manager.status(of: "ill")
    say("\(status.phase) after \(status.generation) processes")
    say("start: \(failure { try manager.launch("ill") })")
    // Code 1 does not wait.
    try manager.send(.restart, to: "ill")
    try turn(manager) { try manager.status(of: "ill").generation == 3 }
    try turn(manager) { try manager.status(of: "ill").phase == .backoff }
    say("terminate \(try manager.terminate("ill").map { "\($0)" } ?? "nil")")
    say("\(try manager.status(of: "ill").phase)")
}
