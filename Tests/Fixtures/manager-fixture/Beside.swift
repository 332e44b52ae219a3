// Managed processes beside workers, bodies on loops, signals.

import Prefork
import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// Async bodies: they hear of the stop, talk over both channels, and their tasks run on one thread.
func loopScenario(_ arguments: [String]) throws {
    let manager = talkingManager(grace: .seconds(30))
    try manager.addTarget("loop") { child in
        let answers = child.active
        try child.passive.onReceive { text in
            say("passive \(text)")
            try? await answers.send("answer to \(text)")
        }
        child.ready()
        try await child.stopRequested.wait()
        say("stops, threads \(threadCount()), current \((try? ChannelDeliver<String>.current.process) ?? "-")")
        return 12
    }
    try manager.addTarget("fails", TargetOptions(dependencies: ["loop"])) { child in
        try await EventLoop.sleep(for: .milliseconds(1))
        throw SystemError("open", .notPermitted, on: "/etc/nothing")
    }
    try manager.addTarget("cancelled", TargetOptions(grace: .seconds(10))) { child in
        try await EventLoop.sleep(for: .seconds(1_000))
        return 0
    }
    try manager.startAll()
    let channels = try ChannelDeliver<String>.facing("loop")
    try channels.passive.sendBlocking("one")
    say(try channels.active.receiveBlocking(timeout: .seconds(20)))
    try turn(manager) { try manager.status(of: "fails").lastExit != nil }
    try turn(manager) { try manager.status(of: "cancelled").phase == .running }
    say("\(try manager.terminate("loop").map { "\($0.status)" } ?? "nil")")
    say("\(try manager.terminate("cancelled").map { "\($0.status) \($0.killReason == nil)" } ?? "nil")")
}

/// Until a signal comes.
func runScenario(_ arguments: [String]) throws {
    let manager = talkingManager(grace: .seconds(arguments.first.flatMap { Int($0) } ?? 30))
    let isStubborn = arguments.dropFirst().first == "stubborn"
    manager.hooks.onReport.append { report in
        if case .stopping(let name, _) = report { say("stopping \(name)") }
        if case .ready("two", _, _) = report { say("all ready") }
    }
    try manager.addTarget("one", TargetOptions(readiness: .manual)) { child in
        if isStubborn { signal(SIGTERM, SIG_IGN) }
        child.ready()
        sleepForEver()
    }
    try manager.addTarget("two", TargetOptions(dependencies: ["one"])) { child in
        try await child.stopRequested.wait()
        return 0
    }
    let outcome = try manager.run()
    say("outcome \(outcome), children \(childCount)")
    exit(outcome.exitCode)
}

/// Two workers and two targets. A worker stops one target and sends to the other.
func besideScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    let manager = runtime.manager
    manager.hooks.beforeProcessShutdown.append { say("shutdown \($0)") }
    manager.hooks.afterExit.append { name, exit in say("exit \(name) \(exit.generation) \(exit.status)") }
    try manager.addTarget("reader") { child in
        for try await text in child.active.messages { say("reader \(child.generation) got \(text)") }
        return 0
    }
    try manager.addTarget("sleeper", TargetOptions(onFailure: .restart(RestartPolicy()))) { child in
        say("sleeper \(child.generation) pid \(getpid()) descriptors \(supervisionDescriptors())")
        sleepForEver()
    }
    runtime.hooks.onExit = { say("worker exit \($0.taskID) \($0.status)") }
    runtime.hooks.onAllReady = { say("all ready") }
    let manages = runtime
    let summary = try runtime.run { worker in
        if worker.taskID == 0 {
            say("worker: \(failure { try manages.manager.launch("reader") })")
            try await ChannelDeliver<String>.facing("reader").active.send("hello from worker \(worker.taskID)")
            try Channel<String>.named("sleeper-active").send(control: .restart)
        }
        try await worker.stopRequested.wait()
    }
    say("outcome \(summary.outcome), children \(childCount), alive \(try manager.isProcessAlive("reader"))")
    exit(summary.outcome.exitCode)
}

/// How many descriptors of supervision a child has: pidfds, epolls, signalfds.
private func supervisionDescriptors() -> Int {
    DirectoryListing.names("/proc/self/fd").count { name in
        var target = [UInt8](repeating: 0, count: 64)
        let count = readlink("/proc/self/fd/\(name)", &target, target.count)
        let text = String(decoding: target.prefix(max(0, count)), as: UTF8.self)
        return ["anon_inode:[pidfd]", "anon_inode:[eventpoll]", "anon_inode:[signalfd]"].contains(text)
    }
}

func besideCrashScenario(_ arguments: [String]) throws {
    let runtime = ForkRuntime(workers: .count(2))
    try runtime.manager.addTarget("vital", TargetOptions(onFailure: .crashTree)) { child in
        _ = try child.active.receiveBlocking()
        return 9
    }
    let summary = try runtime.run { worker in
        if worker.taskID == 1 { try await ChannelDeliver<String>.facing("vital").active.send("end") }
        try await worker.stopRequested.wait()
        say("worker \(worker.taskID) stops")
    }
    say("outcome \(summary.outcome), children \(childCount)")
    exit(summary.outcome.exitCode)
}

func threadsScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("one") { child in 0 }
    nonisolated(unsafe) let shared = manager
    nonisolated(unsafe) var elsewhere = ""
    nonisolated(unsafe) var isDone = false
    try startThread {
        elsewhere = failure { try shared.launch("one") }
        isDone = true
        while true { pause() }
    }
    while !isDone { usleep(1_000) }
    say("elsewhere: \(elsewhere)")
    say("here: \(failure { try manager.launch("one") }), \(failure { try manager.startAll() })")
    say("\(try manager.status(of: "one").phase), children \(childCount)")
}

private let counter = Mutex(0)

/// A lock that the manager has used before, wanted by three threads of a child, and of a child's child.
func locksScenario(_ arguments: [String]) throws {
    counter.withLock { $0 = 1 }
    let manager = talkingManager()
    try manager.addTarget("child") { child in
        let inner = talkingManager()
        try inner.addTarget("grandchild") { child in contend() }
        try inner.run()
        return contend()
    }
    try manager.run()
}

private func contend() -> Int32 {
    let running = Atomic<Int>(3)
    for _ in 0..<3 {
        try? startThread {
            for _ in 0..<2_000 { counter.withLock { count in for _ in 0..<200 { count += 1 } } }
            running.subtract(1, ordering: .releasing)
        }
    }
    while running.load(ordering: .acquiring) > 0 { usleep(1_000) }
    say("counted \(counter.withLock { $0 })")
    return 0
}

/// Two targets at rest beside a worker, to be looked at by strace or by the kernel's counters.
func idleScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    for name in ["one", "two"] { try runtime.manager.addTarget(name) { child in sleepForEver() } }
    runtime.hooks.onAllReady = { say("all ready") }
    try runtime.run { worker in try await worker.stopRequested.wait() }
}
