// Trees in workers.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// One worker that says how it ended. It gets no successor.
func oneWorker(_ change: (inout ForkRuntime) -> Void = { _ in }) -> ForkRuntime {
    var runtime = ForkRuntime(workers: .count(1))
    runtime.restarts.limit = 0
    runtime.restarts.bootLimit = 0
    runtime.hooks.onAllReady = { say("all ready") }
    runtime.hooks.onExit = { say("exit \($0.status), killed \($0.killReason != nil)") }
    change(&runtime)
    return runtime
}

func chain(_ policy: ServicePolicy = ServicePolicy(), stop: @escaping @Sendable () async throws -> Void = {}) -> Told {
    let database = Told("database", stop: stop)
    let cache = Told("cache", [.one(database)], stop: stop)
    return Told("server", [.one(cache)], policy: policy, stop: stop)
}

func orderScenario(_ arguments: [String]) throws {
    let summary = try oneWorker { if arguments.first == "body-only" { $0.executor = .bodyOnly } }.run { worker in
        let reason = try await chain().run()
        say("reason \(reason)")
    }
    exit(summary.outcome.exitCode)
}

/// The tree waits while it starts. The worker is not ready before it is up.
func readyScenario(_ arguments: [String]) throws {
    let runtime = oneWorker { if arguments.first == "body-only" { $0.executor = .bodyOnly } }
    let summary = try runtime.run { worker in
        try await Told("slow", start: { _ in try await EventLoop.sleep(for: .milliseconds(50)) }).run()
    }
    exit(summary.outcome.exitCode)
}

/// A tree that does not come up, and a body that goes on without it.
func givesUpScenario(_ arguments: [String]) throws {
    let summary = try oneWorker().run { worker in
        do { try await Told("broken", start: { _ in throw Broken() }).run() } catch { say("\(error)") }
        try await worker.stopRequested.wait()
    }
    exit(summary.outcome.exitCode)
}

/// How the worker ends whose body throws the tree's error.
func endsScenario(_ arguments: [String]) throws {
    let kind = arguments.first ?? ""
    let summary = try oneWorker().run { worker in
        let brief = ServicePolicy(gracefulShutdownTimeout: .milliseconds(100))
        let root: Told
        switch kind {
        case "start": root = Told("root", start: { _ in throw Broken() })
        case "task":
            root = Told("root", [.one(Told("below", stop: { throw Broken() }))]) { root in
                try root.addTask("tick") { throw Broken() }
            }
        case "stop-late": root = Told("root", policy: brief, stop: { try await EventLoop.sleep(for: .seconds(100)) })
        case "cancelled":
            root = Told("root")
            root.requestStop()
        default: root = Told("root")
        }
        if kind == "clean" || kind == "stop-late" {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await root.run() }
                try await root.lifecycle.waitUntilUp(root)
                root.requestStop()
                try await group.waitForAll()
            }
        } else {
            try await root.run()
        }
    }
    exit(summary.outcome.exitCode)
}

extension Lifecycle {
    fileprivate func waitUntilUp(_ service: some AsyncService) async throws {
        while !service.running { try await EventLoop.sleep(for: .milliseconds(1)) }
    }
}

/// The least that leaves a busy machine half a second between the tree's limit and the supervisor's SIGKILL.
private let shortTimeout = Duration.seconds(10)

/// The tree's own budget is longer than the supervisor waits, and no stop ends unless it is cancelled, or not even
/// then.
func budgetScenario(_ arguments: [String]) throws {
    let isDeaf = arguments.first == "deaf"
    let policy = ServicePolicy(gracefulShutdownTimeout: .seconds(1_000))
    let runtime = oneWorker { $0.drainTimeout = shortTimeout }
    let summary = try runtime.run { worker in
        let root = chain(policy) {
            repeat {
                do { try await EventLoop.sleep(for: .seconds(isDeaf ? 1 : 100)) } catch { if !isDeaf { throw error } }
                await Task.yield()
            } while isDeaf
        }
        if arguments.last == "scope" {
            // The body takes all the time it has. A little is left for the tree.
            try await root.withRunning { _ in try await EventLoop.sleep(for: .seconds(1_000)) }
        } else {
            try await root.run()
        }
    }
    exit(summary.outcome.exitCode)
}

/// A stop is under way, with much time, when the supervisor says that there is little.
func lateScenario(_ arguments: [String]) throws {
    let policy = ServicePolicy(gracefulShutdownTimeout: .seconds(1_000))
    let runtime = oneWorker { $0.drainTimeout = shortTimeout }
    let summary = try runtime.run { worker in
        let root = chain(policy) { try await EventLoop.sleep(for: .seconds(1_000)) }
        if arguments.first == "scope" { try await root.withRunning { _ in } } else {
            root.requestStopWhenUp()
            try await root.run()
        }
    }
    exit(summary.outcome.exitCode)
}

extension Told {
    fileprivate func requestStopWhenUp() {
        Task {
            while !running { try await EventLoop.sleep(for: .milliseconds(1)) }
            requestStop()
        }
    }
}

/// The same, and a quick stop.
func quickScenario(_ arguments: [String]) throws {
    let policy = ServicePolicy(gracefulShutdownTimeout: .seconds(1_000))
    let runtime = oneWorker {
        $0.drainTimeout = .seconds(1_000)
        $0.quickTimeout = shortTimeout
    }
    let summary = try runtime.run { worker in
        try await chain(policy) { try await EventLoop.sleep(for: .seconds(1_000)) }.run()
    }
    exit(summary.outcome.exitCode)
}

/// `worker-scope [late]`: a tree as a scope whose body waits for the end. `late`: the scope begins when the worker was
/// already asked to end.
func workerScopeScenario(_ arguments: [String]) throws {
    let isLate = arguments.first == "late"
    let summary = try oneWorker { $0.drainTimeout = .seconds(100) }.run { worker in
        if isLate {
            say("waits")
            try await worker.stopRequested.wait()
        }
        try await chain().withRunning { server in
            say("waits")
            let reason = try await server.wait()
            // In hand.
            try await EventLoop.sleep(for: .milliseconds(20))
            say("reason \(reason)")
        }
    }
    exit(summary.outcome.exitCode)
}
