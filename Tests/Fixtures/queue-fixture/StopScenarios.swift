// Workers and managed processes that are asked to stop while they wait, and while they have something in hand.

import Prefork
import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// What the workers of a scenario wait for. Two messages lie there before the fork where they are busy.
private struct Sources: Sendable {
    let queue: WorkQueue<Int>
    let channel: Channel<Int>
    let store: SharedStore

    init() throws {
        queue = try WorkQueue(name: "jobs", WorkQueueOptions(redelivery: .unacknowledged()))
        channel = try Channel(name: "jobs")
        store = try SharedStore()
    }

    func fill() throws {
        for number in 1...2 {
            try queue.sendBlocking(number)
            try channel.sendBlocking(number)
        }
    }

    /// Takes work until the process is asked to stop.
    ///
    /// - Parameter handle: takes its time.
    func take(by way: String, _ handle: @escaping @Sendable (Int) async -> Void) async throws {
        switch way {
        case "queue-onReceive": try await queue.onReceive(handle)
        case "queue-receive":
            try await untilStopping {
                let delivery = try await queue.receive()
                await handle(delivery.message)
                try delivery.acknowledge()
            }
        case "queue-timeout": try await untilStopping { _ = try await queue.receive(timeout: .seconds(1_000)) }
        case "queue-deliveries":
            for try await delivery in queue.deliveries {
                await handle(delivery.message)
                try delivery.acknowledge()
            }
        case "queue-blocking": try await onThread { _ = try queue.receiveBlocking() }
        case "channel-receive": try await untilStopping { await handle(try await channel.receive()) }
        case "channel-messages": for try await number in channel.messages { await handle(number) }
        case "channel-call": try await untilStopping { _ = try await channel.receiveCall() }
        case "channel-passed": try await untilStopping { _ = try await channel.receivePassed() }
        case "channel-blocking": try await onThread { _ = try channel.receiveBlocking() }
        case "subscribe": for try await _ in try store.subscribe("news", as: Int.self) {}
        case "watch": for try await _ in try store.watch("key", as: Int.self) {}
        default: say("no way \(way)")
        }
    }

    private func untilStopping(_ step: () async throws -> Void) async throws {
        do {
            while true { try await step() }
        } catch let error as WorkQueueError where error.code == .stopping {
        } catch let error as ChannelError where error.code == .stopping {
        }
    }

    private func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
        let (ends, end) = AsyncThrowingStream.makeStream(of: Never.self)
        try startThread {
            do { try body() } catch { end.finish(throwing: error) }
        }
        try await untilStopping { for try await _ in ends {} }
    }
}

/// `stopping WAY FORM [busy]`: one process in which WAY waits, as FORM: `worker`, `body-only` or `managed`. It has much
/// more time to drain than the test.
func stoppingScenario(_ arguments: [String]) throws {
    let sources = try Sources()
    let isBusy = arguments.dropFirst(2).first == "busy"
    if isBusy { try sources.fill() }
    let body: @Sendable (StopRequest) async throws -> Void = { stop in
        if !isBusy {
            Task {
                try await EventLoop.sleep(for: .milliseconds(20))
                say("waits")
            }
        }
        let handle: @Sendable (Int) async -> Void = { number in
            say("begin \(number)")
            try? await stop.wait()
            try? await EventLoop.sleep(for: .milliseconds(50))
            say("end \(number), cancelled \(Task.isCancelled)")
        }
        switch arguments[0] {
        case "channel-onReceive":
            try sources.channel.onReceive(handle)
            try await stop.wait()
        case "onSubscriberReceive":
            try sources.store.onSubscriberReceive("news", handle)
            for number in 1...2 { try sources.store.publish("news", number) }
            try await stop.wait()
        default: try await sources.take(by: arguments[0], handle)
        }
        say("returns")
    }
    var runtime = ForkRuntime(workers: .count(1))
    runtime.drainTimeout = .seconds(100)
    runtime.restarts.limit = 0
    runtime.log = { _ in }
    switch arguments[1] {
    case "managed":
        runtime.settings.workers = .count(1)
        try runtime.manager.addTarget("taker", TargetOptions(grace: .seconds(100))) { (child: ManagedChild<String>) in
            try await body(child.stopRequested)
            return 0
        }
        try runtime.run { worker in try await worker.stopRequested.wait() }
    case "body-only":
        runtime.executor = .bodyOnly
        try runtime.run { worker in try await body(worker.stopRequested) }
    default:
        try runtime.run { worker in try await body(worker.stopRequested) }
    }
    say("queued \(sources.queue.count), in flight \(sources.queue.inFlight)")
}
