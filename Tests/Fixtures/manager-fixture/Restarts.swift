// Restarts that other processes ask for: from forks of the program's own, and without end.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// A target that asks for its restart as fast as it can.
func restartFloodScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("flood") { child in
        while true { try? child.send(.restart) }
    }
    try manager.startAll()
    let start = MonotonicInstant.now
    while MonotonicInstant.now - start < .seconds(3) { _ = try manager.turn(waitingAtMost: .milliseconds(50)) }
    let took = MonotonicInstant.now - start
    let generation = try manager.status(of: "flood").generation
    // Eight at once, one each second, and the first process.
    let most = 10 + Int(took.seconds)
    say("generations \(generation > 8 && generation <= most ? "bounded" : "\(generation) of \(most)")")
    _ = try manager.terminateAll()
    say("children \(childCount)")
}

/// Codes from processes that the program has forked by itself: from the manager's process, and from a target's.
func ownForkCodesScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("one") { child in sleepForEver() }
    try manager.addTarget("two") { child in
        let name = "one-active"
        join(try PreforkFixtureSupport.child { try Channel<String>.named(name).send(control: .restart) })
        sleepForEver()
    }
    try manager.launch("one")
    try turn(manager) { try manager.status(of: "one").phase == .running }
    let channel = try Channel<String>.named("one-active")
    let own = try child { try channel.send(control: .restart) }
    try turn(manager) { try manager.status(of: "one").generation == 2 && manager.status(of: "one").phase == .running }
    join(own)
    say("from the manager's fork")
    try manager.launch("two")
    try turn(manager) { try manager.status(of: "one").generation == 3 && manager.status(of: "one").phase == .running }
    say("from a target's fork")
    _ = try manager.terminateAll()
}

/// A target's process, which has a manager of its own, and whose targets order one of the first manager.
func codesUpwardsScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("top") { child in sleepForEver() }
    try manager.addTarget("middle") { child in
        let inner = ProcessManager(log: { _ in })
        try inner.addTarget("bottom") { child in
            try Channel<String>.named("top-active").send(control: .restart)
            sleepForEver()
        }
        try inner.startAll()
        while true { _ = try inner.turn(waitingAtMost: .seconds(1)) }
    }
    try manager.launch("top")
    try turn(manager) { try manager.status(of: "top").phase == .running }
    try manager.launch("middle")
    try turn(manager) { try manager.status(of: "top").generation == 2 }
    say("two floors up")
    _ = try manager.terminateAll()
}

/// The supervising process has a second thread by now, so that it cannot fork.
func restartWithThreadsScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    var isRefused = false
    manager.hooks.onReport.append { report in
        guard case .restartRefused(let name, _) = report else { return }
        isRefused = true
        say("refused \(name)")
    }
    try manager.addTarget("one") { child in
        _ = try child.active.receiveBlocking()
        try child.send(.restart)
        sleepForEver()
    }
    try manager.startAll()
    try startThread { while true { pause() } }
    try ChannelDeliver<String>.facing("one").active.sendBlocking("restart yourself")
    func sayState() throws {
        say("alive \(try manager.isProcessAlive("one")), generation \(try manager.status(of: "one").generation)")
    }
    try turn(manager) { isRefused }
    try sayState()
    say("send: \(failure { try manager.send(.restart, to: "one") })")
    try sayState()
    try manager.terminateAll()
}

/// A pool whose supervisor gets a thread when all is ready.
func besideWithThreadsScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    runtime.hooks.onAllReady = {
        try? startThread { while true { pause() } }
        say("all ready")
    }
    let summary = try runtime.run { worker in try await worker.stopRequested.wait() }
    exit(summary.outcome.exitCode)
}
