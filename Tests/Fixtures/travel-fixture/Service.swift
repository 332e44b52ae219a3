// A pool and a managed process that send each other what they have made after the fork.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// Handles inside of a message.
struct Parcel: Codable, Sendable {
    var text = ""
    var channel: Channel<String>?
    var queue: WorkQueue<Int>?
    var store: SharedStore?
}

/// Tries until another process has come so far.
func eventually<Value>(_ body: () throws -> Value) async throws -> Value {
    for _ in 0..<6_000 {
        if let value = try? body() { return value }
        try await EventLoop.sleep(for: .milliseconds(10))
    }
    return try body()
}

/// Worker 0 makes, worker 1 receives by a message, the managed process by a message and by name, and worker 1's
/// successor, which was forked after all of it, by name.
func serviceScenario(_ arguments: [String]) throws {
    let line = try Channel<Parcel>(name: "line")
    let progress = try SharedStore(name: "progress")
    var runtime = ForkRuntime(workers: .count(2))
    try runtime.manager.addTarget("helper", carrying: Parcel.self) { child in
        let parcel = try await child.active.receive()
        try parcel.store!.set("helper", parcel.text)
        // What it has made itself goes the other way.
        let back = try Channel<String>(name: "made by the helper")
        try await child.active.send(Parcel(text: "from the helper", channel: back))
        say("helper hears \(try await back.receive(timeout: .seconds(60)))")
        let named = try await eventually { try Channel<String>.named("by name") }
        try await named.send("the helper, by name")
        say("helper knows \(try Channel<String>.registered().keys.sorted())")
        try await child.stopRequested.first { _ in true }
        return 0
    }
    let summary = try runtime.run { worker in
        switch (worker.taskID, worker.isFirst(in: progress)) {
        case (0, _): try await make(line, progress)
        case (_, true): try await take(line)
        case (_, false): try await takeByName(progress)
        }
    }
    say("outcome \(summary.outcome)")
}

extension Worker {
    fileprivate func isFirst(in progress: SharedStore) -> Bool { (try? progress.increment("spawn \(taskID)")) == 1 }
}

extension AsyncSequence {
    fileprivate func first(_ condition: (Element) -> Bool) async throws {
        for try await element in self where condition(element) { return }
    }
}

private func make(_ line: Channel<Parcel>, _ progress: SharedStore) async throws {
    let channel = try Channel<String>(name: "made after the fork")
    let queue = try WorkQueue<Int>(name: "jobs after the fork")
    let store = try SharedStore(capacity: .init(entries: 100, bytes: 1 << 16))
    try store.set("greeting", "hello")
    try await line.send(Parcel(text: "to worker 1", channel: channel, queue: queue, store: store))
    say("maker hears \(try await channel.receive(timeout: .seconds(60)))")
    say("maker gets job \(try await queue.receive(timeout: .seconds(60)).message)")
    say("maker reads \(try store.get("answer", as: String.self) ?? "nothing")")
    // The one at the other end is killed; what it had is still here.
    try await line.send(Parcel(text: "end"))
    say("maker hears of \(await code { _ = try await channel.receive(timeout: .seconds(60)) })")
    let helper = try ChannelDeliver<Parcel>.facing("helper").active
    try await helper.send(Parcel(text: "to the helper", store: store))
    let back = try await helper.receive(timeout: .seconds(60))
    try await back.channel!.send(back.text)
    let named = try Channel<String>(name: "by name")
    try named.register()
    say("maker hears \(try await named.receive(timeout: .seconds(60)))")
    say("maker reads \(try store.get("helper", as: String.self) ?? "nothing")")
    try queue.register(as: "jobs")
    try store.register(as: "things")
    say("late worker did \(try await queue.receive(timeout: .seconds(60)).message)")
    try progress.set("over", true)
}

/// The code of the channel's error that `body` throws, as text.
func code(_ body: () async throws -> Void) async -> String {
    do {
        try await body()
        return "no error"
    } catch let error as ChannelError {
        return "\(error.code)"
    } catch {
        return "\(error)"
    }
}

private func take(_ line: Channel<Parcel>) async throws {
    // The main process is at the other end of what it has made, unless another one is.
    let parcel = try await line.opposite.receive()
    say("worker 1 reads \(try parcel.store!.get("greeting", as: String.self) ?? "nothing")")
    try parcel.store!.set("answer", "an answer")
    try await parcel.queue!.send(7)
    try await parcel.channel!.send("worker 1, \(parcel.text)")
    _ = try await line.opposite.receive()
    kill(getpid(), SIGKILL)
}

private func takeByName(_ progress: SharedStore) async throws {
    let queue = try await eventually { try WorkQueue<Int>.named("jobs") }
    let store = try await eventually { try SharedStore.named("things") }
    say("late worker reads \(try store.get("greeting", as: String.self) ?? "nothing")")
    try await queue.send(8)
    try await eventually { if try progress.get("over", as: Bool.self) != true { throw CancellationError() } }
}
