// Targets that need each other.

import Prefork
import PreforkFixtureSupport

func dependenciesScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    manager.hooks.onReport.append { report in
        switch report {
        case .forked(let name, _, _): say("forked \(name)")
        case .ready(let name, _, _): say("ready \(name)")
        case .stopping(let name, _): say("stopping \(name)")
        default: break
        }
    }
    try manager.addTarget("web", TargetOptions(dependencies: ["cache", "migration"], readiness: .manual)) { child in
        child.ready()
        sleepForEver()
    }
    try manager.addTarget("cache", TargetOptions(dependencies: ["database"], readiness: .manual)) { child in
        usleep(20_000)
        child.ready()
        sleepForEver()
    }
    try manager.addTarget("migration", TargetOptions(dependencies: ["database"], readiness: .manual)) { child in
        usleep(20_000)
        return 0
    }
    try manager.addTarget("database", TargetOptions(readiness: .manual)) { child in
        usleep(20_000)
        child.ready()
        sleepForEver()
    }
    say("plan \(try manager.plan())")
    try manager.startAll(waitingForReadiness: .seconds(20))
    say("all ready")
    try manager.terminateAll()
    say("children \(childCount)")
    // One alone brings what it needs.
    try manager.launch("cache")
    try turn(manager) { try manager.status(of: "cache").phase == .running }
    say("alive \(try manager.statuses().filter { $0.pid != nil }.map(\.name))")
    try manager.terminateAll()
}

func dependencyFailsScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("database", TargetOptions(readiness: .manual)) { child in 5 }
    try manager.addTarget("cache", TargetOptions(dependencies: ["database"])) { child in sleepForEver() }
    try manager.addTarget("web", TargetOptions(dependencies: ["cache"])) { child in sleepForEver() }
    say("startAll: \(failure { try manager.startAll(waitingForReadiness: .seconds(20)) })")
    say("start: \(failure { try manager.start("web") })")
    for status in try manager.statuses() { say("\(status.name) \(status.phase) \(status.missingDependency ?? "-")") }
    say("children \(childCount)")
}

func badDependenciesScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("a", TargetOptions(dependencies: ["b"])) { child in 0 }
    try manager.addTarget("free") { child in 0 }
    try manager.addTarget("b", TargetOptions(dependencies: ["c"])) { child in 0 }
    say(failure { try manager.startAll() })
    say(failure { try manager.launch("a") })
    try manager.addTarget("c", TargetOptions(dependencies: ["a"])) { child in 0 }
    say(failure { try manager.startAll() })
    say(failure { _ = try manager.plan() })
    say("started \(try manager.statuses().map(\.generation))")
    say(failure { try manager.removeTarget("c") })
}

func notReadyScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("late", TargetOptions(readiness: .manual)) { child in sleepForEver() }
    try manager.addTarget("well") { child in sleepForEver() }
    try manager.launch("well")
    try turn(manager) { try manager.status(of: "well").phase == .running }
    say(failure { try manager.startAll(waitingForReadiness: .milliseconds(100)) })
    say("children \(childCount)")
    say("joined \(try manager.joinAll(for: .milliseconds(10)).count), \(try manager.joinAll(for: .seconds(-1)).count)")
    try manager.terminateAll()
}
