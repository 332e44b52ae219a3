// Trees in a program without workers.

import Prefork
import PreforkFixtureSupport

/// Ends by a signal. Afterwards signals have their former actions.
func plainScenario(_ arguments: [String]) async throws {
    for round in 1...2 {
        let reason = try await chain(start: { say("up \(round)") }).run()
        say("reason \(reason)")
    }
    say("over")
    try await Task.sleep(for: .seconds(1_000))
}

private func chain(start: @escaping @Sendable () -> Void) -> Told {
    let root = chain()
    return Told("outer", [.one(root)]) { outer in try outer.addTask { start() } }
}

/// No stop ends by itself.
func stubbornScenario(_ arguments: [String]) async throws {
    let policy = ServicePolicy(gracefulShutdownTimeout: .seconds(1_000))
    let root = chain(policy) { try await Task.sleep(for: .seconds(1_000)) }
    do throws(ServiceError) {
        try root.lifecycle.announceUp(root)
        try await root.run()
    } catch {
        say("\(error)")
        exit(error.exitCode)
    }
}

extension Lifecycle {
    fileprivate func announceUp(_ root: Told) throws(ServiceError) {
        Task {
            try await root.up()
            say("up")
        }
    }
}

extension Told {
    fileprivate func up() async throws {
        while !running { try await Task.sleep(for: .milliseconds(1)) }
    }
}

/// The program has a handler for SIGTERM: that counts, not the tree's. SIGINT ends the tree.
func ownHandlerScenario(_ arguments: [String]) async throws {
    signal(SIGTERM) { _ in say("own handler") }
    let reason = try await chain(start: { say("up") }).run()
    say("reason \(reason)")
}

/// `scope BODY`: a tree as a scope, whose body a signal ends. Afterwards the program continues unless the body was
/// cancelled.
func scopeScenario(_ arguments: [String]) async throws {
    let queue = try WorkQueue<Int>(name: "jobs")
    let body = arguments.first ?? ""
    try await chain().withRunning { server in
        say("up")
        switch body {
        case "wait": say("reason \(try await server.wait())")
        case "queue":
            try await queue.send(1)
            try await queue.onReceive { number in
                say("begin \(number)")
                // Long enough for the signal, and in hand.
                _ = try await server.wait()
                say("end \(number)")
            }
        case "sleep": try await Task.sleep(for: .seconds(1_000))
        default:
            // Hears of the stop, but has more to do.
            _ = try await server.wait()
            say("asked")
            try await Task.sleep(for: .seconds(1_000))
        }
    }
    say("over")
}
