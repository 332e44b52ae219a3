// A system that has too little: descriptors, processes, time.

import Prefork
import PreforkFixtureSupport

/// RLIMIT_NPROC, which Glibc's module map has as a macro only.
private func limitProcesses(to processes: rlim_t) {
    let resource = __rlimit_resource_t(6)
    var limit = rlimit()
    getrlimit(resource, &limit)
    limit.rlim_cur = min(processes, limit.rlim_max)
    setrlimit(resource, &limit)
}

/// No descriptor is left for a pidfd, nor for the channels of another target.
func noDescriptorsScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    try manager.addTarget("one") { child in
        if child.generation == 1 { return 5 }
        sleepForEver()
    }
    while dup(0) >= 0 {
        // Up to the soft limit.
    }
    try manager.startAll()
    try manager.joinAll()
    let error = failure { try manager.addTarget("two") { child in 0 } }
    say("add: \(error.hasPrefix("channels(") && error.contains("EMFILE"))")
    try manager.launch("one")
    say("alive \(try manager.isProcessAlive("one"))")
    try manager.terminate("one")
    say("alive \(try manager.isProcessAlive("one")), \(try manager.statuses().map(\.name))")
}

/// The kernel refuses processes for a while.
func forkRefusedScenario(_ arguments: [String]) throws {
    guard setgid(54_322) == 0, setuid(54_322) == 0 else { return say("skipped: cannot change user") }
    limitProcesses(to: 0)
    let manager = talkingManager()
    var refusals = 0
    manager.hooks.onReport.append { if case .forkFailed = $0 { refusals += 1 } }
    try manager.addTarget("one") { child in sleepForEver() }
    say("launch: \(failure { try manager.launch("one") }), \(try manager.status(of: "one").phase)")
    try manager.startAll()
    try turn(manager) { refusals >= 3 }
    say("\(try manager.status(of: "one").phase)")
    limitProcesses(to: 1_000)
    try turn(manager) { try manager.status(of: "one").phase == .running }
    say("\(try manager.status(of: "one").phase), generation \(try manager.status(of: "one").generation)")
    try manager.terminateAll()
}

func slowHookScenario(_ arguments: [String]) throws {
    let manager = talkingManager()
    manager.hooks.beforeProcessShutdown.append { _ in usleep(1_050_000) }
    manager.hooks.onReport.append { report in
        if case .hookWasSlow(let name, let hook, _) = report { say("slow \(hook) of \(name)") }
    }
    try manager.addTarget("one") { child in sleepForEver() }
    try manager.startAll()
    try manager.terminate("one")
}
