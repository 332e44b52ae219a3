// A main process that receives: what a managed process sends, and what workers publish.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// Notes "PID NUMBER" of a sender: each process counts from 1. What was noted is in the store, so that it outlives the
/// program.
private func note(_ kind: String, _ text: String, in store: SharedStore) {
    let words = text.split(separator: " ").compactMap { Int($0) }
    guard words.count == 2 else { return say("strange \(kind) \(text)") }
    let key = "\(kind) \(words[0])"
    do {
        let last = try store.get(key, as: Int.self) ?? 0
        if words[1] != last + 1 { say("gap \(key): \(words[1]) after \(last)") }
        try store.set(key, words[1])
    } catch {
        say("gap \(key): \(error)")
    }
    if threadCount() != 1, !isEnding.load(ordering: .acquiring) { say("gap \(key): \(threadCount()) threads") }
    if words[1] % 20 == 0 { say("\(kind) \(words[1]) of \(words[0]) by image \(image)") }
}

/// Where `run` has returned, a thread of the runtime turns the loop again, and what is left of the messages comes there.
private let isEnding = Atomic<Bool>(false)

/// Which image of the program runs: an upgrade leaves it what it has made.
private nonisolated(unsafe) var image = 0

/// The main process of a pool: registered before `run` and, from a hook, while it runs.
func mainReceivesScenario(_ arguments: [String]) throws {
    let store = try SharedStore(name: "main-receives")
    image = Int(try store.increment("images"))
    var options = TargetOptions(readiness: .manual)
    options.grace = .seconds(60)
    var runtime = ForkRuntime(workers: .count(2))
    try runtime.manager.addTarget("talker", options) { child in
        child.ready()
        say("talker is \(getpid())")
        var number = 0
        while !child.stopRequested.isRequested {
            number += 1
            try await child.active.send("\(getpid()) \(number)")
            try await EventLoop.sleep(for: .milliseconds(1))
        }
        return 0
    }
    let talker = try ChannelDeliver<String>.facing("talker")
    try talker.active.onReceive { text in
        // One that suspends is in hand for longer than a turn.
        if text.hasSuffix("7") { try await EventLoop.sleep(for: .milliseconds(2)) }
        note("channel", text, in: store)
    }
    try store.onSubscriberReceive("news", as: String.self, onLag: { say("gap news: \($0) lost") }) { text in
        if text.hasSuffix("7") { try? await EventLoop.sleep(for: .milliseconds(2)) }
        note("news", text, in: store)
    }
    runtime.hooks.onAllReady = {
        say("all ready, image \(image), threads \(threadCount())")
        do {
            try store.onSubscriberReceive("late", as: String.self) { text in say("late \(text)") }
        } catch {
            say("gap late: \(error)")
        }
    }
    runtime.hooks.onStop = { _ in isEnding.store(true, ordering: .releasing) }
    let summary = try runtime.run { worker in
        say("worker \(worker.taskID) is \(getpid()), threads \(threadCount())")
        var number = 0
        while !worker.stopRequested.isRequested {
            number += 1
            try store.publish("news", "\(getpid()) \(number)")
            if number % 100 == 0 { try store.publish("late", "\(getpid())") }
            try await EventLoop.sleep(for: .milliseconds(2))
        }
    }
    say("outcome \(summary.outcome), children \(childCount)")
    exit(summary.outcome.exitCode)
}

/// A loop over messages in the main process, which has each of them in hand for some time.
func mainLoopsScenario(_ arguments: [String]) throws {
    let store = try SharedStore(name: "main-loops")
    image = Int(try store.increment("images"))
    var options = TargetOptions(readiness: .manual)
    options.grace = .seconds(60)
    var runtime = ForkRuntime(workers: .count(1))
    let lines = try Channel<String>(name: "lines")
    try runtime.manager.addTarget("talker", options) { child in
        child.ready()
        say("talker is \(getpid())")
        var number = 0
        while !child.stopRequested.isRequested {
            number += 1
            try await lines.send("\(getpid()) \(number)")
            try await EventLoop.sleep(for: .milliseconds(10))
        }
        return 0
    }
    _ = Task(executorPreference: try EventLoop.shared) {
        do {
            for try await text in lines.messages {
                try await EventLoop.sleep(for: .milliseconds(5))
                note("channel", text, in: store)
            }
            say("gap: the loop has ended")
        } catch {
            say("gap: \(error)")
        }
    }
    runtime.hooks.onAllReady = { say("all ready, image \(image), threads \(threadCount())") }
    runtime.hooks.onStop = { _ in isEnding.store(true, ordering: .releasing) }
    let summary = try runtime.run { worker in try await worker.stopRequested.wait() }
    say("outcome \(summary.outcome), children \(childCount)")
    exit(summary.outcome.exitCode)
}

/// A manager by hand: callbacks run in its calls, and on a thread between them.
func mainReceivesByHandScenario(_ arguments: [String]) throws {
    let manager = ProcessManager(log: { _ in })
    try manager.addTarget("talker") { child in
        for number in 1...20 { try child.active.sendBlocking("\(getpid()) \(number)") }
        sleepForEver()
    }
    let heard = Mutex(0)
    let talker = try ChannelDeliver<String>.facing("talker")
    try talker.active.onReceive { _ in heard.withLock { $0 += 1 } }
    say("threads \(threadCount())")
    try manager.launch("talker")
    // The program does not call the manager.
    while heard.withLock({ $0 }) < 20 { usleep(1_000) }
    say("heard 20 between calls")
    try manager.send(.restart, to: "talker")
    try turn(manager) { try manager.status(of: "talker").generation == 2 && heard.withLock { $0 } == 40 }
    say("heard 40 within them")
    try manager.terminateAll()
    say("children \(childCount)")
}

/// Senders that never stop, to a main process that takes a tenth of a millisecond for each message.
func mainFloodScenario(_ arguments: [String]) throws {
    let store = try SharedStore(name: "main-flood")
    var runtime = ForkRuntime(workers: .count(1))
    try runtime.manager.addTarget("talker") { child in
        while true { try child.active.sendBlocking("x") }
    }
    @Sendable func work() { let end = MonotonicInstant.now + .microseconds(100); while .now < end {} }
    try ChannelDeliver<String>.facing("talker").active.onReceive { _ in work() }
    try store.onSubscriberReceive("news", as: String.self) { _ in work() }
    runtime.hooks.onAllReady = { say("all ready") }
    let summary = try runtime.run { worker in
        while !worker.stopRequested.isRequested {
            for _ in 0..<100 { try store.publish("news", "x") }
            try await EventLoop.sleep(for: .milliseconds(1))
        }
    }
    exit(summary.outcome.exitCode)
}
