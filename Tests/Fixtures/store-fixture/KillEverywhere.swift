// A writer that is killed after each of its instructions in turn.

import Prefork
import PreforkFixtureSupport
import PreforkStore
import Stepping

/// What a writer does, and what a store may look like when it was killed in the middle.
private struct Operation: Sendable {
    var prepare: @Sendable (SharedStore) throws -> Void = { _ in }
    var act: @Sendable (SharedStore) throws -> Void
    /// The state before or after. Anything else is a failure.
    var isBefore: @Sendable (SharedStore) throws -> Bool
    var isAfter: @Sendable (SharedStore) throws -> Bool
}

private let small = [UInt8](repeating: 7, count: 64)
private let other = [UInt8](repeating: 8, count: 64)
private let large = [UInt8](repeating: 9, count: 20_000)

private let operations: [String: Operation] = [
    "set": Operation(
        prepare: { try $0.set("key", small) }, act: { try $0.set("key", other) },
        isBefore: { try $0.get("key") == small }, isAfter: { try $0.get("key") == other }),
    "set-new": Operation(
        act: { try $0.set("new", small) }, isBefore: { try !$0.contains("new") },
        isAfter: { try $0.get("new") == small }),
    "set-large": Operation(
        prepare: { try $0.set("key", small) }, act: { try $0.set("key", large) },
        isBefore: { try $0.get("key") == small }, isAfter: { try $0.get("key") == large }),
    "delete": Operation(
        prepare: { try $0.set("key", large) }, act: { try $0.delete("key") },
        isBefore: { try $0.get("key") == large }, isAfter: { try !$0.contains("key") }),
    "increment": Operation(
        prepare: { try $0.set("key", 41) }, act: { try $0.increment("key") },
        isBefore: { try $0.get("key") == 41 }, isAfter: { try $0.get("key") == 42 }),
    "step": Operation(
        prepare: { try $0.set("a", 10); try $0.set("b", 20); try $0.set("old", small) }, act: transfer,
        isBefore: { try $0.get("a") == 10 && $0.get("b") == 20 && $0.contains("old") && !$0.contains("new") },
        isAfter: { try $0.get("a") == 7 && $0.get("b") == 23 && !$0.contains("old") && $0.get("new") == small }),
    "evict": Operation(
        prepare: { store in for index in 0..<64 { try store.set("filler \(index)", small) } },
        act: { try $0.set("one more", small) }, isBefore: { try !$0.contains("one more") && $0.count >= 63 },
        isAfter: { try $0.get("one more") == small && $0.count == 64 }),
    "publish": Operation(
        act: { try $0.publish("news", small) }, isBefore: { _ in true }, isAfter: { _ in true }),
]

@Sendable private func transfer(_ store: SharedStore) throws {
    var step = AtomicStep()
    step.increment("a", by: -3)
    step.increment("b", by: 3)
    step.delete("old")
    step.set("new", small)
    guard try store.perform(step) else { throw StoreError(.badStep("refused")) }
}

/// `kill-everywhere OPERATION STRIDE`: for k = 0, STRIDE, 2 STRIDE ... until the operation is over.
func killEverywhereScenario(_ arguments: [String]) throws {
    guard let name = arguments.first, let operation = operations[name] else {
        say(operations.keys.sorted().joined(separator: " "))
        return
    }
    let stride = max(1, arguments.number(1, default: 1))
    var kills = 0
    var reached = 0
    var insideLock = 0
    var failures = 0
    // Several stripes, so that a step has several locks. A small store for the eviction.
    let capacity = name == "evict" ? StoreCapacity(entries: 64, bytes: 1 << 20) : .init(entries: 1_000, bytes: 4 << 20)
    // The runtime looks up types when they are first used: some hundred thousand instructions that are not the store's.
    let warmUp = try SharedStore(capacity: capacity, whenFull: name == "evict" ? .evictLeastRecentlyUsed : .refuse)
    try operation.prepare(warmUp)
    try operation.act(warmUp)
    for instructions in Swift.stride(from: 0, to: Int.max, by: stride) {
        let store = try SharedStore(
            capacity: capacity, whenFull: name == "evict" ? .evictLeastRecentlyUsed : .refuse, lockTimeout: .seconds(5))
        try operation.prepare(store)
        let pid = try child {
            stepping_begin()
            try operation.act(store)
        }
        guard stepping_wait(pid) == 0, stepping_run(pid, instructions) == instructions else { break }
        // Readers first, before any writer has repaired anything.
        let before = try operation.isBefore(store)
        let after = try operation.isAfter(store)
        if before == after, name != "publish" { failures += 1 }
        stepping_kill(pid)
        kills += 1
        reached = instructions
        try checkAfterwards(store, operation, wasBefore: before, &failures)
        insideLock += store.stats.recoveries
    }
    say("failures \(failures) inside \(insideLock > 0)")
    say("# \(kills) kills at instructions 0 to \(reached), \(insideLock) inside a lock")
}

private func checkAfterwards(
    _ store: SharedStore, _ operation: Operation, wasBefore: Bool, _ failures: inout Int
) throws {
    // Every stripe and the log, so that recovery has run wherever it must.
    store.table.repair()
    try store.publish("news", 1)
    let contradictions = try store.table.contradictions()
    if !contradictions.isEmpty || store.stats.damages > 0 { failures += 1 }
    for contradiction in contradictions.prefix(3) { say("# \(contradiction)") }
    // What a reader has seen stays: recovery completes what was committed and nothing else.
    if try operation.isBefore(store) != wasBefore { failures += 1 }
    // And the store goes on working.
    for index in 0..<40 { try store.set("again \(index)", [UInt8](repeating: 6, count: index * 100)) }
    if try !store.table.contradictions().isEmpty { failures += 1 }
}

/// A writer that is stopped in the middle of its critical section: readers go on, writers get `.busy`, and nothing is
/// taken from it.
func stoppedWriterScenario(_ arguments: [String]) throws {
    let store = try SharedStore(lockTimeout: .milliseconds(20))
    try store.set("key", small)
    let pid = try child {
        stepping_begin()
        try store.set("key", other)
    }
    guard stepping_wait(pid) == 0 else { return say("no child") }
    var isInside = false
    while !isInside, stepping_run(pid, 25) == 25 {
        do {
            try store.set("key", small)
        } catch {
            isInside = error == StoreError(.busy, key: "key")
        }
    }
    say("inside \(isInside)")
    let value: [UInt8]? = try store.get("key")
    say(
        "read \(value == small || value == other), all \(store.getAll().count), keys \(store.keys()), count \(store.count)"
    )
    say("several \(try store.get(several: ["key"]).count)")
    say("written elsewhere \((0..<500).count { index in (try? store.set("other \(index)", index)) != nil } > 400)")
    stepping_release(pid)
    say("child \(waitForEnd(pid))")
    try store.set("key", 1)
    say("recoveries \(store.stats.recoveries) contradictions \(try store.table.contradictions())")
}
