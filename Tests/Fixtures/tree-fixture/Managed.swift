// Trees in managed processes.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

private func slow(_ name: String) -> Told {
    let below = Told("\(name)-below")
    return Told(name, [.one(below)], start: { _ in try await EventLoop.sleep(for: .milliseconds(30)) })
}

/// What needs a tree starts when it is up. Both forms stop in reverse order when they are asked.
func managedScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    manager.hooks.afterExit.append { name, exit in say("exit \(name) \(exit.status)") }
    try manager.addTarget("loop", TargetOptions(readiness: .manual)) { child in
        await child.runTree(slow("loop"))
    }
    try manager.addTarget("blocking", TargetOptions(dependencies: ["loop"], readiness: .manual)) { child in
        let code = child.runTree(slow("blocking"))
        say("again \(child.runTree(slow("again"))), threads \(threadCount())")
        return code
    }
    try manager.addTarget("automatic", TargetOptions(dependencies: ["blocking"])) { (child: ManagedChild<String>) in
        await child.runTree(slow("automatic"))
    }
    try manager.startAll(waitingForReadiness: .seconds(20))
    say("all ready")
    for name in ["automatic", "blocking", "loop"] { try manager.terminate(name) }
}

/// How a process ends whose tree does not end cleanly, in both forms.
func managedEndsScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    manager.hooks.afterExit.append { name, exit in say("exit \(name) \(exit.status)") }
    try manager.addTarget("loop-crash") { child in
        await child.runTree(Told("root") { root in try root.addTask("tick") { throw Broken() } })
    }
    try manager.addTarget("blocking-crash") { child in
        child.runTree(Told("root") { root in try root.addTask("tick") { throw Broken() } })
    }
    try manager.addTarget("blocking-start") { child in
        child.runTree(Told("root") { _ in throw Broken() })
    }
    for name in ["loop-crash", "blocking-crash", "blocking-start"] { try manager.start(name) }
}
