// Trees of blocking services in a program without workers and in a managed process.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

private final class Telling: BlockingService {
    let serviceName: String?
    let dependencies: [any BlockingService]

    init(_ name: String, _ dependencies: [any BlockingService] = []) {
        serviceName = name
        self.dependencies = dependencies
    }

    func start() { say("start \(serviceName ?? "")") }
    func stop() { say("stop \(serviceName ?? "")") }
}

private func body(_ way: String, _ server: Telling) throws {
    switch way {
    case "wait": say("reason \(try server.wait())")
    case "queue":
        do {
            _ = try WorkQueue<Int>(name: "jobs").receiveBlocking()
        } catch let error as WorkQueueError where error.code == .stopping {}
    case "channel":
        do {
            _ = try Channel<Int>(name: "jobs").receiveBlocking()
        } catch let error as ChannelError where error.code == .stopping {}
    case "sleep": sleep(1_000)
    default:
        try server.wait()
        say("asked")
        while true { sleep(1_000) }
    }
}

/// `blocking WAY`: the body is ended by a signal, and the tree is stopped on the program's only thread.
func blockingScenario(_ arguments: [String]) throws {
    try Telling("server", [Telling("database")]).withRunning { server in
        say("up")
        try body(arguments.first ?? "", server)
    }
    say("over, threads \(threadCount())")
    if arguments.last == "again" {
        say("afterwards")
        sleep(1_000)
    }
}

/// The same in a managed process without a loop, which its manager asks to end.
func blockingManagedScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    manager.hooks.afterExit.append { name, exit in say("exit \(name) \(exit.status)") }
    try manager.addTarget("blocking", TargetOptions(readiness: .manual, grace: .seconds(60))) { child in
        try Telling("server", [Telling("database")]).withRunning { server in
            child.ready()
            try body(arguments.first ?? "", server)
        }
        return 0
    }
    try manager.startAll(waitingForReadiness: .seconds(20))
    try manager.terminate("blocking")
}
