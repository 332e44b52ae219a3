// What honest workers do for their clients: one operation on shared memory for each request, and its outcome.

import Prefork
import PreforkFixtureSupport
import PreforkSystem
import Synchronization

/// Serves `TASK PID GENERATION OPERATION OUTCOME MICROSECONDS`. An outcome is `ok` or an error's type and code.
final class Answers: Sendable {
    private let worker: Worker
    private let shared: SharedThings
    /// Outcomes of what no client waits for: the subscription, and the listeners.
    private let aside = Mutex<[String]>([])
    private let subscription: StoreSubscription?

    init(worker: Worker, shared: SharedThings) throws {
        self.worker = worker
        self.shared = shared
        // The publish log may be damaged, and the worker must serve all the same.
        do {
            subscription = try shared.store.onSubscriberReceive("news", as: String.self) { _ in }
        } catch {
            subscription = nil
            note("subscribe", error)
        }
    }

    func note(_ event: ServingEvent) {
        aside.withLock { if $0.count < 64 { $0.append("serving") } }
    }

    private func note(_ what: String, _ error: any Error) {
        aside.withLock { if $0.count < 64 { $0.append("\(what) \(outcome(of: error))") } }
    }

    func serve(_ connection: Connection) async throws {
        while try await connection.reader.waitForMessage() {
            let head = try await connection.reader.read(until: "\r\n\r\n", limit: 8192)
            let target = String(decoding: head, as: UTF8.self).split(separator: " ").dropFirst().first ?? "/"
            // A label that the hostile worker has had refused is answered all the same.
            let mark = try? worker.beginRequest(target)
            defer { mark?.end() }
            let body = target == "/check" ? await check() : await work()
            worker.countRequest()
            let end = connection.isDraining ? "Connection: close\r\n" : ""
            try await connection.writer.write(
                "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\(end)\r\n\(body)")
            if connection.isDraining { return }
        }
    }

    private func work() async -> String {
        let names = ["get", "set", "increment", "publish", "send", "receive", "wire", "all"]
        return await line(names.randomElement()!)
    }

    private func line(_ name: String) async -> String {
        let begin = MonotonicInstant.now
        var outcome = "ok"
        do { try await perform(name) } catch { outcome = Answers.outcome(of: error) }
        let took = (MonotonicInstant.now - begin).saturatedNanoseconds / 1_000
        return "\(worker.taskID) \(getpid()) \(worker.generation) \(name) \(outcome) \(took)"
    }

    private func perform(_ name: String) async throws {
        let key = "key-\(Int.random(in: 0..<200))"
        switch name {
        case "get": _ = try shared.store.get(key, as: String.self)
        case "set": try shared.store.set(key, String(repeating: "v", count: .random(in: 1...200)))
        case "increment": _ = try shared.store.increment("count-\(Int.random(in: 0..<20))")
        case "publish": try shared.store.publish("news", "\(getpid())")
        case "send": _ = try shared.queue.trySend(key)
        case "receive":
            do {
                try await shared.queue.receive(timeout: .milliseconds(5)).acknowledge()
            } catch let error as WorkQueueError {
                guard case .timedOut = error.code else { throw error }
            }
        case "all": _ = shared.store.getAll(prefix: "key-1")
        // The supervisor has the channel's home end, and the helper the other one: this worker takes the home's.
        case "wire" where worker.taskID == 1: _ = try shared.wire.opposite.trySend(key)
        default: break
        }
    }

    /// Everything once, on keys of all stripes: whether the shared things are usable. `ok`, or what is not.
    private func check() async -> String {
        var bad: [String] = []
        func attempt(_ name: String, _ body: () async throws -> Void) async {
            do { try await body() } catch { bad.append("\(name):\(outcome(of: error))") }
        }
        // The first error says enough: each key of a stripe that is locked would cost a whole time limit.
        for number in 0..<128 where bad.isEmpty {
            await attempt("store") {
                let key = "check-\(number)"
                try shared.store.set(key, "\(number)")
                let value = try shared.store.get(key, as: String.self)
                if value != "\(number)" { throw Unexpected.value }
                _ = try shared.store.increment("sum-\(number)")
                try shared.store.delete(key)
            }
            // What has the wrong type by a damage is no fault of the store: it is replaced.
            if bad.last == "store:StoreError.mismatch" {
                bad.removeLast()
                _ = try? shared.store.delete("sum-\(number)")
            }
        }
        await attempt("publish") { try shared.store.publish("news", "check") }
        await attempt("queue") {
            for _ in 0..<3 where try !shared.queue.trySend("check") {
                try await shared.queue.receive(timeout: .seconds(1)).acknowledge()
            }
            try await shared.queue.receive(timeout: .seconds(1)).acknowledge()
        }
        let stats = shared.store.stats
        let others = aside.withLock { list in
            defer { list = [] }
            return list
        }
        let words = Set(bad).sorted().joined(separator: ",")
        return "\(worker.taskID) \(getpid()) \(worker.generation) check \(words.isEmpty ? "ok" : words) 0 "
            + "damages=\(stats.damages) recoveries=\(stats.recoveries) aside=\(others.count)"
    }

    private enum Unexpected: Error { case value }

    private static func outcome(of error: any Error) -> String {
        let code =
            switch error {
            case let error as StoreError: "\(error.code)"
            case let error as WorkQueueError: "\(error.code)"
            case let error as ChannelError: "\(error.code)"
            default: "\(error)"
            }
        return "\(type(of: error)).\(code.prefix { $0.isLetter || $0.isNumber })"
    }

    private func outcome(of error: any Error) -> String { Answers.outcome(of: error) }
}
