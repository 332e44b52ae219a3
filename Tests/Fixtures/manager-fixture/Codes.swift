// Codes on the active channel, data beside them, and hooks.

import Prefork
import PreforkFixtureSupport

/// Data that looks like codes, codes without meaning, codes from both sides.
func codesAndDataScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    try manager.addTarget("echo", carrying: Int.self) { child in
        while true {
            let number = try child.active.receiveBlocking()
            say("child got \(number)")
            try child.active.sendBlocking(number)
            if number == 7 { try child.active.send(control: ControlCode(rawValue: 7)) }
            if number == 8 { try child.send(.restart) }
            if number == 9 { try child.active.send(control: .stop) }
        }
    }
    let channel = try Channel<Int>.named("echo-active")
    try manager.startAll()
    for number in [0, 1, 0, 1] {
        _ = try channel.trySend(number)
        say("echoed \(try channel.receiveBlocking(timeout: .seconds(20)))")
        _ = try manager.turn(waitingAtMost: .zero)
    }
    say("generation \(try manager.status(of: "echo").generation)")
    _ = try channel.trySend(7)
    try turn(manager) { try manager.status(of: "echo").ignoredCodes == 1 }
    try manager.send(ControlCode(rawValue: 200), to: "echo")
    try channel.send(control: ControlCode(rawValue: 255))
    try turn(manager) { try manager.status(of: "echo").ignoredCodes == 3 }
    say("alive \(try manager.isProcessAlive("echo"))")
    _ = try channel.trySend(8)
    // Ready: from then on what is sent is for it.
    try turn(manager) { try manager.status(of: "echo").generation == 2 && manager.status(of: "echo").phase == .running }
    while true {
        do {
            try channel.sendBlocking(9, timeout: .seconds(20))
            break
        } catch let error as ChannelError {
            // The first process's death is reported to every waiter.
            guard case .peerDied = error.code else { throw error }
        }
    }
    try turn(manager) { try manager.status(of: "echo").phase == .stopped }
    say("passive: \(failure { try Channel<Int>.named("echo-passive").send(control: .stop) })")
}

/// What was sent to one process is not for the next.
func generationsScenario(_ arguments: [String]) throws {
    let keeps = arguments.first == "keep"
    let manager = talkingManager()
    var options = TargetOptions()
    if keeps { options.channels.undelivered = .keep }
    options.readiness = .manual
    try manager.addTarget("reader", options) { child in
        child.ready()
        if child.generation == 1 { sleepForEver() }
        say("got \(try child.active.receiveBlocking())")
        return 0
    }
    let channel = try Channel<String>.named("reader-active")
    try manager.startAll(waitingForReadiness: .seconds(20))
    _ = try channel.trySend("old")
    try manager.send(.restart, to: "reader")
    try turn(manager) {
        let status = try manager.status(of: "reader")
        return status.generation == 2 && (status.phase == .running || status.isCompleted)
    }
    _ = try? channel.trySend("new")
    _ = try? channel.trySend("new")
    try manager.joinAll()
}

struct HookFailure: Error {}

func throwingHooksScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    manager.hooks.beforeProcessShutdown.insert({ _ in throw HookFailure() }, at: 0)
    manager.hooks.beforeProcessRestart.append { _ in throw HookFailure() }
    manager.hooks.afterExit.insert({ _, _ in throw HookFailure() }, at: 0)
    manager.hooks.onReport.append { report in
        if case .hookFailed(let name, let hook, _) = report { say("failed \(hook) of \(name)") }
        if case .restartPrevented(let name) = report { say("prevented \(name)") }
    }
    try manager.addTarget("one") { child in sleepForEver() }
    try manager.startAll()
    try manager.send(.restart, to: "one")
    try turn(manager) { try manager.status(of: "one").phase == .running && manager.status(of: "one").generation == 2 }
    manager.hooks.throwingPreventsRestart = true
    try manager.send(.restart, to: "one")
    _ = try manager.turn(waitingAtMost: .zero)
    say("generation \(try manager.status(of: "one").generation) \(try manager.status(of: "one").phase)")
    say("ended \(try manager.terminate("one").map { "\($0.status)" } ?? "nil")")
}

/// Hooks that give orders: orders that wait are refused, others are not.
func waitingHookScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    nonisolated(unsafe) let hooked = manager
    manager.hooks.afterExit.append { name, exit in
        guard name == "one" else { return }
        say("terminate: \(failure { try hooked.terminate("two") })")
        say("turn: \(failure { _ = try hooked.turn(waitingAtMost: .zero) })")
        if exit.generation == 1 { try hooked.launch("one") }
        try hooked.send(.stop, to: "two")
    }
    try manager.addTarget("one") { child in 0 }
    try manager.addTarget("two") { child in sleepForEver() }
    try manager.startAll()
    try manager.joinAll()
    say("generations \(try manager.statuses().map(\.generation))")
}

func namesScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("known") { child in sleepForEver() }
    say("duplicate: \(failure { try manager.addTarget("known") { child in 0 } })")
    say("empty: \(failure { try manager.addTarget("") { child in 0 } })")
    say("launch: \(failure { try manager.launch("stranger") })")
    say("start: \(failure { try manager.start("stranger") })")
    say("terminate: \(failure { try manager.terminate("stranger") })")
    say("send: \(failure { try manager.send(.stop, to: "stranger") })")
    say("alive: \(failure { _ = try manager.isProcessAlive("stranger") })")
    say("status: \(failure { _ = try manager.status(of: "stranger") })")
    say("remove: \(failure { try manager.removeTarget("stranger") })")
    try manager.launch("known")
    say("running: \(failure { try manager.launch("known") }), \(failure { try manager.start("known") })")
    say("in use: \(failure { try manager.removeTarget("known") })")
    try manager.terminate("known")
    let own = try Channel<Int>(name: "mine-active")
    say("taken: \(failure { try manager.addTarget("mine") { child in 0 } })")
    own.unregister()
    try manager.addTarget("mine") { child in 0 }
    say("error text: \(ProcessError(.cycle, path: ["a", "b", "a"]))")
}

/// A restart that is asked for while the manager ends it. Each has its whole grace period to ask for it.
func codeWhileTerminatingScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(grace: .seconds(3), log: { _ in })
    for name in ["one", "two"] {
        try manager.addTarget(name, TargetOptions(readiness: .manual)) { child in
            signal(SIGTERM, SIG_IGN)
            child.ready()
            while !child.isStopRequested { usleep(1_000) }
            try child.send(.restart)
            sleepForEver()
        }
    }
    try manager.startAll(waitingForReadiness: .seconds(20))
    say("one \(try manager.terminate("one").map { "\($0.generation)" } ?? "nil")")
    try turn(manager) { try manager.status(of: "one").phase == .running }
    say("one again \(try manager.status(of: "one").generation)")
    say("all \(try manager.terminateAll().count), children \(childCount)")
    say("ignored \(try manager.status(of: "two").ignoredCodes) of two")
}

/// Codes without end from one target: the others are still looked after.
func floodScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("flood") { child in
        var refused = false
        while true {
            do throws(ProcessError) {
                try child.send(ControlCode(rawValue: 9))
            } catch {
                if !refused { say("refused") }
                refused = true
            }
        }
    }
    try manager.addTarget("other") { child in
        usleep(50_000)
        return 6
    }
    try manager.startAll()
    usleep(100_000)
    try turn(manager) {
        try manager.status(of: "other").lastExit != nil && manager.status(of: "flood").ignoredCodes > 100
    }
    say("ended \(try manager.terminateAll().keys.sorted())")
}
