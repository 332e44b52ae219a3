// How managed processes end, and what follows.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// The first program of the README, with something to hear.
func firstScenario(_ arguments: [String]) throws {
    let manager = ProcessManager()
    try manager.addTarget("nonebot") { child in
        say("\(child.name) heard \(try child.active.receiveBlocking()), generation \(child.generation)")
        return 0
    }
    let channel = try Channel<String>.named("nonebot-active")
    say("sent \(try channel.trySend("hello"))")
    say("outcome \(try manager.run())")
}

/// A crash by code, by signal, by an error, and a normal end.
func endsScenario(_ arguments: [String]) throws {
    try makeFirstManager()
    let before = descriptorCount
    do {
        let manager = talkingManager()
        try manager.addTarget("code") { child in 3 }
        try manager.addTarget("signal") { child in
            raise(SIGKILL)
            return 0
        }
        try manager.addTarget("error") { child in throw SystemError("open", .notPermitted, on: "/etc/nothing") }
        try manager.addTarget("done") { child in 0 }
        try manager.startAll()
        let exits = try manager.joinAll()
        for (name, exit) in exits.sorted(by: { $0.key < $1.key }) { say("\(name): \(exit.status) \(exit.consequence)") }
        for status in try manager.statuses() {
            say("\(status.name) is \(status.phase) completed \(status.isCompleted)")
        }
        say("children \(childCount)")
    }
    say("descriptors left \(descriptorCount - before)")
}

/// A process that crashes while a backtracer takes its time, and whose successor does its work meanwhile. `ACTION`:
/// `run`, or what is called while the first one is still there.
func crashesScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    try manager.addTarget("job", TargetOptions(onFailure: .restart(RestartPolicy()))) { child in
        say("job \(child.generation)")
        if child.generation == 1 { CrashKind.fatal.crash(1) }
        return 0
    }
    if arguments.first == "run" {
        say("outcome \(try manager.run())")
    } else {
        try manager.launch("job")
        try turn(manager) { try manager.status(of: "job").isCompleted }
        let status = try manager.status(of: "job")
        let ended = status.lastExit?.generation ?? 0
        say("crashed \(status.crashedProcesses.count) restarts \(status.restarts) ends \(ended)")
        say("remove: \(failure { try manager.removeTarget("job") })")
        switch arguments.first {
        case "terminate": say("\(try manager.terminate("job", within: .zero).map { "\($0.generation)" } ?? "nil")")
        case "join": _ = try manager.joinAll()
        default: try manager.terminateAll()
        }
        say("remove: \(failure { try manager.removeTarget("job") })")
    }
    say("children \(childCount)")
}

/// A process that takes no notice of SIGTERM.
func ignoresTermScenario(_ arguments: [String]) throws {
    let manager = talkingManager(grace: .milliseconds(200))
    try manager.addTarget("stubborn", TargetOptions(readiness: .manual)) { child in
        signal(SIGTERM, SIG_IGN)
        child.ready()
        sleepForEver()
    }
    try manager.startAll(waitingForReadiness: .seconds(20))
    let exit = try manager.terminate("stubborn")
    say("\(exit.map { "\($0.status) \($0.killReason.map { "\($0)" } ?? "-") wasReady \($0.wasReady)" } ?? "nil")")
    say("again \(try manager.terminate("stubborn").map { "\($0)" } ?? "nil")")
    say("children \(childCount)")
    try manager.launch("stubborn")
    let quick = try manager.terminate("stubborn", within: .zero)
    say("at once \(quick.map { "\($0.status)" } ?? "nil")")
    try manager.launch("stubborn")
    let negative = try manager.terminate("stubborn", within: .seconds(-3))
    say("negative \(negative.map { "\($0.status)" } ?? "nil")")
}

func startTimeoutScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    var policy = RestartPolicy(bootLimit: 2)
    policy.backoff.maximum = .zero
    let options = TargetOptions(onFailure: .restart(policy), readiness: .manual, startTimeout: .milliseconds(50))
    try manager.addTarget("slow", options) { child in sleepForEver() }
    try manager.launch("slow")
    try manager.joinAll()
    let status = try manager.status(of: "slow")
    say("\(status.phase) after \(status.generation), \(status.lastExit?.killReason.map { "\($0)" } ?? "-")")
}

/// A target that crashes as soon as it runs, with no delay, beside one that is well.
func stormScenario(_ arguments: [String]) throws {
    let limit = arguments.first.flatMap { Int($0) } ?? 20
    let manager = ProcessManager(log: { _ in })
    var policy = RestartPolicy(limit: limit, bootLimit: limit)
    policy.backoff.maximum = .zero
    try manager.addTarget("well") { child in sleepForEver() }
    try manager.addTarget("ill", TargetOptions(onFailure: .restart(policy))) { child in 9 }
    // With the pidfd and the doorbell of the one that is well, and the two files of the metrics.
    let before = descriptorCount + 4
    try manager.startAll()
    let well = try manager.status(of: "well").pid
    try turn(manager) { try manager.status(of: "ill").phase == .failed }
    let status = try manager.status(of: "ill")
    let consequence = status.lastExit.map { "\($0.consequence)" } ?? "-"
    say("ill \(status.phase) after \(status.generation) processes, \(consequence)")
    say("well is the same \(try manager.status(of: "well").pid == well) \(try manager.isProcessAlive("well"))")
    say("children \(childCount), descriptors \(descriptorCount - before)")
    try manager.terminateAll()
}

func crashTreeScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    try manager.addTarget("first") { child in sleepForEver() }
    try manager.addTarget("second") { child in sleepForEver() }
    try manager.addTarget("vital", TargetOptions(dependencies: ["second"], onFailure: .crashTree)) { child in 4 }
    let outcome = try manager.run()
    say("outcome \(outcome) \(outcome.exitCode) children \(childCount)")
    exit(outcome.exitCode)
}

func stormTreeScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    var policy = RestartPolicy(limit: 2, bootLimit: 2)
    policy.backoff.maximum = .zero
    try manager.addTarget("other") { child in sleepForEver() }
    try manager.addTarget("ill", TargetOptions(onFailure: .restartThenCrashTree(policy))) { child in 4 }
    let outcome = try manager.run()
    say("outcome \(outcome) after \(try manager.status(of: "ill").generation), children \(childCount)")
}

/// The first one of a process makes what stays for good: the place of the service's names.
private func makeFirstManager() throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("first") { child in 0 }
    try manager.startAll()
    _ = try manager.joinAll()
}

/// Many at once. `stubborn`: none of them hears SIGTERM.
func hundredScenario(_ arguments: [String]) throws {
    let count = arguments.first.flatMap { Int($0) } ?? 100
    let isStubborn = arguments.dropFirst().first == "stubborn"
    // Who obeys has all the time that a busy machine takes.
    let grace = isStubborn ? Duration.seconds(1) : .seconds(60)
    try makeFirstManager()
    let before = descriptorCount
    do {
        let manager = ProcessManager(grace: grace, log: { _ in })
        var asked = 0
        var askedBeforeTheFirstEnd: Int?
        manager.hooks.onReport.append { if case .stopping = $0 { asked += 1 } }
        manager.hooks.afterExit.append { _, _ in if askedBeforeTheFirstEnd == nil { askedBeforeTheFirstEnd = asked } }
        for number in 0..<count {
            try manager.addTarget("t\(number)", TargetOptions(readiness: .manual)) { child in
                if isStubborn { signal(SIGTERM, SIG_IGN) }
                child.ready()
                sleepForEver()
            }
        }
        try manager.startAll(waitingForReadiness: .seconds(60))
        say("ready \(childCount)")
        let exits = try manager.terminateAll()
        let kills = exits.values.count { $0.killReason == .grace }
        say("ended \(exits.count), killed \(kills), children \(childCount)")
        // So the grace periods are one, however long a busy machine takes: never one after the other.
        say("asked before the first end \(askedBeforeTheFirstEnd ?? 0)")
    }
    say("descriptors left \(descriptorCount - before)")
}

/// The last reference goes while a target lives.
func letGoScenario(_ arguments: [String]) throws {
    do {
        let manager = ProcessManager(log: { _ in })
        try manager.addTarget("left") { child in sleepForEver() }
        try manager.startAll()
        say("children \(childCount)")
    }
    say("children \(childCount)")
}
