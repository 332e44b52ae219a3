// The service: a source of numbers, and workers that handle them.

import Glibc
import Prefork
import PreforkFixtureSupport

/// A part of the package that is in use while the service is deployed.
enum Part: String, CaseIterable, Sendable {
    case active, passive, call, queue, unacknowledged, subscription, watch, managed, tree, subprocess
}

final class Service: Sendable {
    private let part: Part
    private let ledger: Ledger
    private let pause: String
    private let isBusy: Bool
    private let listener: Listener
    private let lane: Channel<Int>
    private let queue: WorkQueue<Int>
    private let careful: WorkQueue<Int>
    private let store: SharedStore

    init(_ part: Part, _ ledger: Ledger, pausedBy pause: String, isBusy: Bool) throws {
        self.part = part
        self.ledger = ledger
        self.pause = pause
        self.isBusy = isBusy
        listener = try Listener(.tcp("127.0.0.1", 0))
        lane = try Channel<Int>(name: "lane")
        queue = try WorkQueue<Int>(name: "queue")
        careful = try WorkQueue<Int>(name: "careful", .init(redelivery: .unacknowledged(attempts: 30)))
        store = try SharedStore(capacity: .init(entries: 1000, bytes: 1 << 20))
    }

    func run() throws -> Int32 {
        let runtime = ForkRuntime(workers: .count(2))
        try runtime.manager.addTarget("source", TargetOptions(onFailure: .restart(RestartPolicy()))) { child in
            try await self.send(until: child.stopRequested)
            return 0
        }
        let summary = try runtime.run { worker in
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask { try await self.handle(in: worker) }
                group.addTask {
                    try await self.listener.serve { connection in
                        for try await line in connection.reader.lines(limit: 100) {
                            try await connection.writer.write("\(getpid()) \(line)\n")
                        }
                    }
                }
            }
        }
        return summary.outcome.exitCode
    }

    // The source

    private var rest: Duration { isBusy ? .milliseconds(2) : .milliseconds(100) }

    /// A number is noted before it is sent and after: a process may be killed in between.
    private func send(until stop: StopRequest) async throws {
        var number = Int(getpid()) * 1_000_000
        while !stop.isRequested {
            if access(pause, F_OK) == 0 {
                ledger.note("paused", number)
                while access(pause, F_OK) == 0, !stop.isRequested { try await EventLoop.sleep(for: .milliseconds(5)) }
                continue
            }
            number += 1
            ledger.note("begin", number)
            do { try await send(number) } catch { ledger.note("error", "send \(number): \(error)") }
            ledger.note("sent", number)
            try await EventLoop.sleep(for: rest)
        }
        ledger.note("source-ends", number)
    }

    private func send(_ number: Int) async throws {
        switch part {
        case .active, .passive: try await lane.send(number)
        case .call:
            let answer = try await lane.call(number, timeout: .seconds(10))
            if answer != -number { ledger.note("error", "call \(number) was answered \(answer)") }
        case .queue: try await queue.send(number)
        case .unacknowledged: try await careful.send(number)
        case .subscription: try store.publish("numbers", number)
        case .watch: try store.set("number", number)
        // It runs, and its steps are its own.
        case .managed: ledger.note("handled", number)
        // Workers have their own.
        case .tree, .subprocess: ledger.note("handled", number)
        }
    }

    // The workers

    private func handle(_ number: Int) async throws {
        ledger.note("got", number)
        if isBusy { try await EventLoop.sleep(for: .milliseconds(1)) }
        ledger.note("handled", number)
    }

    private func handle(in worker: Worker) async throws {
        do {
            if worker.taskID == 0 { try await handleAlone(worker) }
            try await handleTogether(worker)
        } catch {
            ledger.note("error", "worker \(worker.taskID): \(error)")
        }
        ledger.note("part-ends", worker.taskID)
    }

    /// What one worker does for all.
    private func handleAlone(_ worker: Worker) async throws {
        let end = lane.opposite
        switch part {
        case .active:
            for try await number in end.messages { try await handle(number) }
        case .passive:
            try end.onReceive { try await self.handle($0) }
            try await worker.stopRequested.wait()
        case .call:
            try end.onCall { number in
                try await self.handle(number)
                return -number
            }
            try await worker.stopRequested.wait()
        case .subscription:
            try store.onSubscriberReceive("numbers", onLag: { self.ledger.note("error", "\($0) missed") }) {
                (number: Int) in
                try? await self.handle(number)
            }
            try await worker.stopRequested.wait()
        case .watch:
            for try await number in try store.watch("number", as: Int.self) {
                if let number { try await handle(number) }
            }
        case .queue, .unacknowledged, .managed, .tree, .subprocess: break
        }
    }

    private func handleTogether(_ worker: Worker) async throws {
        switch part {
        case .queue: try await queue.onReceive { try await self.handle($0) }
        case .unacknowledged: try await careful.onReceive { try await self.handle($0) }
        case .tree: try await Server(ledger, isBusy: isBusy).run()
        case .subprocess:
            while !worker.stopRequested.isRequested {
                ledger.note("start", "child")
                try await Subprocess.run(Command("sleep", isBusy ? "0.02" : "0.2")).check()
                ledger.note("stop", "child")
            }
        case .active, .passive, .call, .subscription, .watch, .managed: break
        }
    }
}

/// A tree of two services, which note their steps.
final class Server: AsyncService {
    let lifecycle = Lifecycle("server")
    private let database: Database
    private let ledger: Ledger
    private let isBusy: Bool

    init(_ ledger: Ledger, isBusy: Bool) {
        self.ledger = ledger
        self.isBusy = isBusy
        database = Database(ledger)
    }

    var dependencies: [DependencyGroup] { [.one(database)] }

    func start() async throws {
        ledger.note("start", "server")
        if !isBusy { return }
        try addTask("tick") { while true { try await Task.sleep(for: .milliseconds(5)) } }
    }

    func stop() async throws { ledger.note("stop", "server") }
}

final class Database: AsyncService {
    let lifecycle = Lifecycle("database")
    private let ledger: Ledger

    init(_ ledger: Ledger) { self.ledger = ledger }

    func start() async throws { ledger.note("start", "database") }
    func stop() async throws { ledger.note("stop", "database") }
}
