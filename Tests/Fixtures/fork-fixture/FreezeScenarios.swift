// Frozen values in pools, and where freezing is refused.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Texts that do not lie in the strings themselves, each of them an object.
private func table(of count: Int, _ name: String) -> [String: String] {
    var table: [String: String] = [:]
    for number in 0..<count { table[key(number, name)] = "the value of number \(number) in the table \(name)" }
    return table
}

private func key(_ number: Int, _ name: String) -> String { "the key of number \(number) in the table \(name)" }

/// Reads each entry, and says how many bytes of this process have become its own by that.
private func privateBytes(afterReading table: [String: String], _ name: String) -> Int {
    var reader = ProcessUsageReader()
    let keys = (0..<table.count).map { key($0, name) }
    let before = reader.memory(of: getpid())?.unique ?? -1
    var length = 0
    for key in keys { length += table[key]?.utf8.count ?? 0 }
    require(length > table.count * 40, "all values are there")
    return (reader.memory(of: getpid())?.unique ?? -1) - before
}

/// `freeze [ENTRIES]`: a frozen table and one that is not, read by a worker and a managed process.
func freezeScenario(_ arguments: [String]) throws {
    let count = arguments.number(0, default: 50_000)
    let runtime = ForkRuntime(workers: .count(2))
    let frozen = try runtime.freeze(table(of: count, "frozen"))
    let plain = table(of: count, "plain")
    @Sendable func tell(_ who: String) {
        say("\(who) frozen \(privateBytes(afterReading: frozen, "frozen")) plain \(privateBytes(afterReading: plain, "plain"))")
    }
    try runtime.manager.addTarget("managed") { child in
        tell("managed")
        child.ready()
        try await child.stopRequested.wait()
        return 0
    }
    let summary = try runtime.run { worker in
        tell("worker \(worker.taskID)")
        worker.ready()
        try await worker.stopRequested.wait()
    }
    exit(summary.outcome.exitCode)
}

/// `freeze-refused`: in forked processes and beside threads. What is frozen in `onReload` serves the next workers.
func freezeRefusedScenario(_ arguments: [String]) throws {
    var runtime = ForkRuntime(workers: .count(1))
    let kept = runtime
    @Sendable func attempt(_ who: String) {
        do {
            try kept.freeze(["a text that is longer than fifteen bytes"])
            say("\(who): frozen")
        } catch {
            say("\(who): \(error)")
        }
    }
    attempt("before")
    try runtime.manager.addTarget("managed") { child in
        attempt("managed")
        child.ready()
        try await child.stopRequested.wait()
        return 0
    }
    runtime.hooks.onReload = { _ in attempt("reload") }
    runtime.hooks.onAllReady = { say("all ready") }
    let summary = try runtime.run { worker in
        attempt("worker")
        try await worker.stopRequested.wait()
    }
    var thread = pthread_t()
    pthread_create(&thread, nil, { _ in while true { pause() } }, nil)
    attempt("threads")
    exit(summary.outcome.exitCode)
}

/// `freeze-off`: a runtime that counts in another way. Two values, one warning.
func freezeOffScenario(_ arguments: [String]) throws {
    var layout = ObjectLayout.observed
    require(layout.problem == nil, "this runtime is known: \(layout.problem ?? "")")
    layout.immortalWords[1] += ReferenceWord.strongUnit
    let runtime = ForkRuntime(workers: .count(1))
    let value = FrozenNode("a node")
    for _ in 0..<2 {
        let count = try runtime.freezing(where: layout) { $0.freeze(value) }
        say("frozen \(count), immortal \(ReferenceWord.isImmortal(referenceWord(of: value)))")
    }
    let summary = try runtime.run { [name = value.name] _ in say("worker has \(name)") }
    exit(summary.outcome.exitCode)
}
