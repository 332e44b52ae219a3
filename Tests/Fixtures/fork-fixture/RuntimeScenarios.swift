// The main form: an async body in each worker.

import Prefork
import PreforkFixtureSupport
import PreforkSystem
import StepsC

/// Workers that wait until they are asked to stop.
func serveScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(arguments.number(0, default: 3)))
    runtime.hooks.onAllReady = { say("all ready") }
    let summary = try runtime.run { worker in
        say("worker \(worker.taskID) \(getpid())")
        try await worker.stopRequested.wait()
        say("worker \(worker.taskID) stops")
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// Workers that block before they are ready.
func slowBootScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    runtime.bootTimeout = .milliseconds(arguments.number(0, default: 60_000))
    runtime.drainTimeout = .milliseconds(300)
    runtime.restarts.bootLimit = 2
    runtime.restarts.backoff.maximum = .zero
    let summary = try runtime.run { worker in
        say("boots \(worker.taskID)")
        while true { sleep(100) }
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// Workers that do not care about a stop.
func ignoreStopScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    runtime.drainTimeout = .milliseconds(300)
    // So long that only a second interrupt can end it.
    runtime.quickTimeout = .seconds(1_000)
    runtime.readiness = .manual
    runtime.hooks.onAllReady = { say("all ready") }
    runtime.hooks.onExit = { say("exit \($0.taskID) \($0.status) \($0.killReason.map { "\($0)" } ?? "-")") }
    let summary = try runtime.run { worker in
        try await EventLoop.sleep(for: .milliseconds(1))
        // From here on its loop does not turn: no request to end is heard.
        worker.ready()
        while true { sleep(100) }
    }
    say("outcome \(summary.outcome)")
}

/// A worker that dies as soon as it is ready, with long delays between its lives.
func crashLoopScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    runtime.restarts.backoff = Backoff(immediate: 0, base: .seconds(1_000), maximum: .seconds(1_000))
    runtime.hooks.onExit = { say("exit \($0.consequence)") }
    let summary = try runtime.run { worker in
        try await EventLoop.sleep(for: .milliseconds(1))
        worker.exit(code: 5)
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// The kernel refuses processes for a while: a user without privileges, whose limit is raised after some refusals.
func forkRefusedScenario(_ arguments: [String]) throws {
    setLimit(1)
    guard setgid(54_321) == 0, setuid(54_321) == 0 else { return say("skipped: cannot change user") }
    nonisolated(unsafe) var attempts = 0
    var runtime = ForkRuntime(workers: .count(3))
    runtime.log = { line in if line.text.contains("not started") { say("refused: \(line.text)") } }
    runtime.hooks.beforeFork = { _ in
        attempts += 1
        if attempts == 7 { setLimit(100) }
    }
    runtime.hooks.onAllReady = { say("all ready after \(attempts) attempts") }
    let summary = try runtime.run { worker in
        try await worker.stopRequested.wait()
    }
    say("outcome \(summary.outcome)")
}

/// RLIMIT_NPROC, which is 6 on Linux and a macro of itself that does not import.
private func setLimit(_ processes: UInt) {
    var limit = rlimit(rlim_cur: processes, rlim_max: 100)
    _ = setrlimit(__rlimit_resource_t(6), &limit)
}

/// Every hook says its name.
func hooksScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    let supervisor = getpid()
    @Sendable func tell(_ text: String) { say("\(getpid() == supervisor ? "supervisor" : "worker"): \(text)") }
    runtime.hooks.beforeFork = { tell("beforeFork \($0.taskID) pid \($0.pid.map { _ in "set" } ?? "nil")") }
    runtime.hooks.afterFork = { tell("afterFork \($0.taskID) generation \($0.generation)") }
    runtime.hooks.onReady = { tell("onReady \($0.taskID)") }
    runtime.hooks.onAllReady = { tell("onAllReady") }
    runtime.hooks.onExit = { exit in
        let hasUsage = exit.usage.peakMemory > 0 && exit.uptime > .zero
        tell("onExit \(exit.taskID) \(exit.status) ready \(exit.wasReady) usage \(hasUsage) oom \(exit.outOfMemory)")
    }
    runtime.hooks.onStop = { tell("onStop \($0)") }
    runtime.log = { line in
        tell("log \(line.level) \(line.text.split(separator: " ").prefix(2).joined(separator: " "))")
    }
    _ = try runtime.run { worker in
        try await worker.stopRequested.wait()
    }
}

private actor Counter {
    var value = 0

    func add() async {
        value += 1
        try? await Task.sleep(for: .milliseconds(1))
    }
}

@MainActor private func threadsSeenByMainActor() -> Int {
    MainActor.assertIsolated()
    return threadCount()
}

/// Tasks, sleeps, actors and the main actor in a worker: how many threads are there afterwards?
func oneThreadScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    switch arguments.first {
    case "body-only": runtime.executor = .bodyOnly
    // As a library does that has its own executor for all tasks.
    case "hooked": fixture_hook_executors()
    default: break
    }
    try runtime.run { worker in
        let counter = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    await counter.add()
                    await Task.detached { await counter.add() }.value
                    await Task { await counter.add() }.value
                }
            }
        }
        // Without the process executor no thread runs the main actor's queue, so that it cannot be waited for.
        let main = ForkRuntime.isSingleThreaded ? await threadsSeenByMainActor() : 0
        let threads = threadCount()
        say(
            "worker \(worker.taskID): \(await counter.value) calls, \(threads == 1 ? "one thread" : "more threads"), "
                + "main \(main), single-threaded \(ForkRuntime.isSingleThreaded)")
    }
}

struct BodyError: Error {}

/// A body that throws: exit code 1 and a line that says why.
func bodyFailsScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    runtime.restarts.limit = 0
    runtime.hooks.onExit = { say("exit \($0.status) ready \($0.wasReady)") }
    let summary = try runtime.run { _ in
        try await EventLoop.sleep(for: .milliseconds(1))
        throw BodyError()
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// A worker that takes memory until the kernel ends it. The test has put the process into a group with a limit.
func outOfMemoryScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    runtime.restarts.limit = 0
    runtime.hooks.onExit = { say("exit \($0.status) oom \($0.outOfMemory)") }
    let summary = try runtime.run { _ in
        try await EventLoop.sleep(for: .milliseconds(1))
        while true { memset(malloc(1 << 20), 1, 1 << 20) }
    }
    say("outcome \(summary.outcome)")
}

/// A program that a worker has started takes memory until the kernel ends it. The worker lives. A managed process that
/// does the same is a child of the supervisor.
func outOfMemoryBesideScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    runtime.hooks.onExit = { say("exit \($0.status) oom \($0.outOfMemory)") }
    try runtime.manager.addTarget("eater", TargetOptions(onFailure: .ignore)) { _ in
        try await EventLoop.sleep(for: .milliseconds(1))
        while true { memset(malloc(1 << 20), 1, 1 << 20) }
    }
    runtime.manager.hooks.afterExit.append { _, exit in say("eater \(exit.status) oom \(exit.outOfMemory)") }
    _ = try runtime.run { worker in
        say("worker \(getpid())")
        if worker.generation == 1, arguments.first == "program" {
            say("program \(try await Subprocess.run(Command("tail", "/dev/zero")).exit.status)")
        }
        try await worker.stopRequested.wait()
    }
}

/// Workers that start programs: on the worker's own thread, with its own loop.
func subprocessScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(2))
    if arguments.first == "body-only" { runtime.executor = .bodyOnly }
    try runtime.run { worker in
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for index in 0..<20 {
                group.addTask {
                    try await Subprocess.run(Command("echo", "\(index)", stdin: .text("x"))).check().stdoutText
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let process = try await Subprocess.spawn(Command("cat", stdin: .stream, stdout: .stream))
        try await process.stdin!.write("hello\n")
        let line = try await process.stdout!.read(until: "\n", limit: 100)
        let exit = try await process.stop()
        let threads = threadCount()
        say(
            "worker \(worker.taskID): \(Set(texts).count) texts, \(line.count) bytes, \(exit.status), "
                + (threads == 1 ? "one thread" : "more threads"))
    }
}

/// A worker's own functions with numbers and times that make no sense. Then one worker for each exit code.
func workerParametersScenario(_ arguments: [String]) throws {
    for code in [0, 255, 256, -1, Int32.min, Int32.max] {
        var runtime = ForkRuntime(workers: .count(1))
        runtime.readiness = .manual
        runtime.restarts.limit = 0
        runtime.hooks.onExit = { say("exit code \(code): \($0.status)") }
        try runtime.run { worker in
            for count in [0, -1, Int.min, Int.max, Int.max, Int.max] { worker.countRequest(count) }
            for time in [Duration.zero, .seconds(-1), .seconds(Int64.min), .seconds(Int64.max)] {
                worker.heartbeat(extend: time)
            }
            worker.ready()
            worker.exit(code: code)
        }
    }
}
