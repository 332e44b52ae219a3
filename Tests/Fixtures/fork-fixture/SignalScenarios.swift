// What workers and managed processes do about signals that are orders to their supervisor.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

private let orders = [SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU]

/// `handled`, `default` or `ignored` for each order.
private func actions() -> String {
    orders.map { number in
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0, let handler = action.__sigaction_handler.sa_handler
        else { return "default" }
        // SIG_IGN, a macro.
        return unsafeBitCast(handler, to: Int.self) == 1 ? "ignored" : "handled"
    }.joined(separator: " ")
}

/// `disregard FORM`: every process says its number and what it does about orders, a worker also what a program has that
/// it executes. FORM: `runtime` with managed processes beside it, or `tornado`.
func disregardScenario(_ arguments: [String]) throws {
    @Sendable func tell(_ name: String) {
        say("\(name) \(getpid()) \(actions())")
        if name == "worker" { system("echo executed $(grep SigIgn /proc/self/status)") }
    }
    if arguments.first == "tornado" {
        _ = try forkProcesses(2)
        tell("worker")
        while true { pause() }
    }
    let runtime = ForkRuntime(workers: .count(2))
    try runtime.manager.addTarget("blocking") { child in
        tell("managed")
        child.ready()
        while true { pause() }
    }
    try runtime.manager.addTarget("looping") { child in
        tell("managed")
        try await child.stopRequested.wait()
        return 0
    }
    let summary = try runtime.run { worker in
        tell("worker")
        try await worker.stopRequested.wait()
        say("stops \(getpid())")
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// A worker that takes three of the orders: by a handler from before the fork, by one of its own, and on its loop.
func takenOrdersScenario(_ arguments: [String]) throws {
    signal(SIGUSR1) { _ in _ = write(STDOUT_FILENO, "early\n", 6) }
    let summary = try ForkRuntime(workers: .count(1)).run { worker in
        signal(SIGUSR2) { _ in _ = write(STDOUT_FILENO, "late\n", 5) }
        // Those that end it are the runtime's whatever it asks for.
        try worker.loop.onSignals([.hangUp, .terminate]) { say("read \($0)") }
        say("worker \(getpid())")
        try await worker.stopRequested.wait()
        say("stops")
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}

/// Workers that have something in hand for a second.
func inHandScenario(_ arguments: [String]) throws {
    let summary = try ForkRuntime(workers: .count(2)).run { worker in
        say("begins \(getpid())")
        try await EventLoop.sleep(for: .seconds(1))
        say("finishes \(getpid())")
        try await worker.stopRequested.wait()
    }
    say("outcome \(summary.outcome)")
    exit(summary.outcome.exitCode)
}
