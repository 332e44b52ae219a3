// The service: senders of numbers, and processes that handle them.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

final class Service: Sendable {
    private let plan: Plan
    private let ledgers: [Part: Ledger]
    private let listener: Listener
    private let lanes: [Part: Channel<Int>]
    private let large: Channel<[Int]>
    private let queue: WorkQueue<Int>
    private let careful: WorkQueue<Int>
    private let store: SharedStore

    init(_ plan: Plan) throws {
        self.plan = plan
        ledgers = try Dictionary(uniqueKeysWithValues: plan.parts.map { ($0, try Ledger(plan.path(of: $0))) })
        listener = try Listener(.tcp("127.0.0.1", 0))
        lanes = try Dictionary(
            uniqueKeysWithValues: [Part.active, .passive, .call].map { ($0, try Channel<Int>(name: "lane-\($0)")) })
        var small = ChannelOptions()
        small.ringBytes = 32 << 10
        large = try Channel(name: "large", small)
        queue = try WorkQueue<Int>(name: "queue")
        careful = try WorkQueue<Int>(name: "careful", .init(redelivery: .unacknowledged(attempts: 30)))
        store = try SharedStore(capacity: .init(entries: 1000, bytes: 1 << 20))
    }

    func run() throws -> Int32 {
        let runtime = ForkRuntime(workers: .count(2))
        let options = TargetOptions(onFailure: .restart(RestartPolicy()))
        try runtime.manager.addTarget("source", options) { child in
            for part in self.plan.parts {
                try self.lanes[part]?.onPeer { self.note("event", "\($0)", part) }
            }
            try await withThrowingDiscardingTaskGroup { group in
                for part in self.plan.parts where part != .managed {
                    group.addTask { try await self.send(part, until: child.stopRequested) }
                }
            }
            return 0
        }
        try runtime.manager.addTarget("sink", carrying: Int.self, options) { child in
            if self.plan.parts.contains(.managed) {
                for try await number in child.active.messages { try await self.handle(number, .managed) }
            }
            try await child.stopRequested.wait()
            return 0
        }
        say("port \(listener.address)")
        let summary = try runtime.run { worker in
            try await withThrowingDiscardingTaskGroup { group in
                for part in self.plan.parts { group.addTask { try await self.handle(part, in: worker) } }
                group.addTask { try await self.serve(worker) }
            }
        }
        say("outcome \(summary.outcome)")
        return summary.outcome.exitCode
    }

    private func note(_ word: String, _ text: some CustomStringConvertible, _ part: Part) {
        ledgers[part]?.note(word, text)
    }

    /// Answers each HTTP request with the worker's process ID.
    private func serve(_ worker: Worker) async throws {
        try await listener.serve { connection in
            while try await connection.reader.waitForMessage() {
                let head = try await connection.reader.read(until: "\r\n\r\n", limit: 8192)
                let asksToClose = String(decoding: head, as: UTF8.self).contains("Connection: close")
                let isLast = connection.isDraining || asksToClose
                let body = "\(getpid())"
                worker.countRequest()
                try await connection.writer.write(
                    """
                    HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\
                    \(isLast ? "Connection: close\r\n" : "")\r\n\(body)
                    """)
                if isLast { return }
            }
        }
    }

    // Sending

    /// A number is noted before it is sent and after: a process may be killed in between. Each sender's numbers are of
    /// a million of their own.
    private func send(_ part: Part, until stop: StopRequest) async throws {
        var number = Int(MonotonicInstant.now.nanoseconds / 1_000_000) * 1_000_000
        while !stop.isRequested {
            if access(plan.pause, F_OK) == 0 {
                note("paused", number, part)
                while access(plan.pause, F_OK) == 0, !stop.isRequested {
                    try await EventLoop.sleep(for: .milliseconds(5))
                }
                continue
            }
            number += 1
            note("begin", number, part)
            do {
                try await send(number, part)
            } catch let error as ChannelError where error.isPeerStopping {
                // It was not handled. This process is asked to stop as soon as the workers have ended.
                note("refused", number, part)
            } catch {
                note("error", "send \(number): \(error)", part)
            }
            note("sent", number, part)
            _ = try await stop.wait(atMost: plan.rest)
        }
        note("source-ends", number, part)
    }

    private func send(_ number: Int, _ part: Part) async throws {
        switch part {
        case .active, .passive: try await lanes[part]?.send(number)
        case .call:
            let answer = try await lanes[part]?.call(number, timeout: .seconds(60))
            if answer != -number { note("error", "call \(number) was answered \(answer ?? 0)", part) }
        case .queue: try await queue.send(number)
        case .unacknowledged: try await careful.send(number)
        case .subscription: try store.publish("numbers", number)
        case .watch: try store.set("number", number)
        case .large:
            let descriptors = number % 4 == 0 ? [STDIN_FILENO] : []
            try await large.send(Array(repeating: number, count: 2000), passing: descriptors)
        case .managed: try await ChannelDeliver<Int>.facing("sink").active.send(number)
        // Workers have their own.
        case .tree, .subprocess: note("handled", number, part)
        }
    }

    // Handling

    private func handle(_ number: Int, _ part: Part) async throws {
        note("got", number, part)
        if plan.isBusy { try await EventLoop.sleep(for: .milliseconds(1)) }
        if access(plan.hold, F_OK) == 0 {
            note("held", number, part)
            while access(plan.hold, F_OK) == 0 { try await EventLoop.sleep(for: .milliseconds(2)) }
        }
        note("handled", number, part)
    }

    private func handle(_ part: Part, in worker: Worker) async throws {
        do {
            if worker.taskID == plan.taskID { try await handleAlone(part, worker) }
            try await handleTogether(part, worker)
        } catch {
            note("error", "worker \(worker.taskID): \(error)", part)
        }
        note("part-ends", worker.taskID, part)
    }

    /// What one worker does for all.
    private func handleAlone(_ part: Part, _ worker: Worker) async throws {
        switch part {
        case .active:
            guard let end = lanes[part]?.opposite else { return }
            for try await number in end.messages { try await handle(number, part) }
        case .passive:
            try lanes[part]?.opposite.onReceive { try await self.handle($0, part) }
            try await worker.stopRequested.wait()
        case .call:
            try lanes[part]?.opposite.onCall { number in
                try await self.handle(number, part)
                return -number
            }
            try await worker.stopRequested.wait()
        case .subscription:
            try store.onSubscriberReceive("numbers", onLag: { self.note("error", "\($0) missed", part) }) {
                (number: Int) in
                try? await self.handle(number, part)
            }
            try await worker.stopRequested.wait()
        case .watch:
            for try await number in try store.watch("number", as: Int.self) {
                if let number { try await handle(number, part) }
            }
        case .large:
            while !worker.stopRequested.isRequested {
                let received: Channel<[Int]>.Passed
                do {
                    received = try await large.opposite.receivePassed()
                } catch let error as ChannelError where error.endsReceiving {
                    continue
                }
                guard let number = received.message.first, received.message == Array(repeating: number, count: 2000),
                    received.descriptors.count == (number % 4 == 0 ? 1 : 0)
                else { return note("error", "\(received.message.count) numbers", part) }
                try await handle(number, part)
            }
        case .managed: try await send(part, until: worker.stopRequested)
        case .queue, .unacknowledged, .tree, .subprocess: break
        }
    }

    private func handleTogether(_ part: Part, _ worker: Worker) async throws {
        switch part {
        case .queue: try await queue.onReceive { try await self.handle($0, part) }
        case .unacknowledged: try await careful.onReceive { try await self.handle($0, part) }
        case .tree: if let ledger = ledgers[part] { try await Server(ledger, isBusy: plan.isBusy).run() }
        case .subprocess:
            while !worker.stopRequested.isRequested {
                note("start", "child", part)
                let time = !plan.isBusy ? "0.2" : plan.parts.count == 1 ? "0.02" : "0.1"
                try await Subprocess.run(Command("sleep", time)).check()
                note("stop", "child", part)
            }
        case .active, .passive, .call, .subscription, .watch, .managed, .large: break
        }
    }
}

extension ChannelError {
    /// As `messages` takes them: the next one may come, or the loop looks whether this process stops.
    fileprivate var endsReceiving: Bool {
        switch code {
        case .stopping, .peerDied: true
        default: false
        }
    }

    fileprivate var isPeerStopping: Bool { if case .peerStopping = code { true } else { false } }
}
