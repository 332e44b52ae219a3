// A worker: counts each request for all workers, and greets as the last change of the configuration says.

import Prefork
import Synchronization

/// What can be changed while the workers run.
struct Greeting: Codable, Equatable {
    var text = "Hello"
    /// How often it was changed.
    var version = 0
}

final class CounterServer: Sendable {
    private let store: SharedStore
    /// In the worker that speaks with it.
    private let nonebot: ChannelDeliver<String>?
    private let worker: Worker
    private let greeting = Mutex(Greeting())

    init(store: SharedStore, nonebot: ChannelDeliver<String>?, worker: Worker) {
        self.store = store
        self.nonebot = nonebot
        self.worker = worker
    }

    func run(on listener: Listener) async throws {
        // First subscribe, then read the present value: no change falls in between.
        let changes = try store.onSubscriberReceive("greeting") { [self] (new: Greeting) in adopt(new) }
        if let present: Greeting = try store.get("greeting") { adopt(present) }
        let speech = try nonebot.map { nonebot in
            try store.onSubscriberReceive("tell") { [self] text in await tell(text, nonebot) }
        }
        try await listener.serve { [self] connection in try await answer(connection) }
        changes.unsubscribe()
        speech?.unsubscribe()
    }

    private func adopt(_ new: Greeting) {
        greeting.withLock { if new.version > $0.version { $0 = new } }
    }

    private func answer(_ connection: Connection) async throws {
        while try await connection.reader.waitForMessage() {
            let head = try await connection.reader.read(until: "\r\n\r\n", limit: 8192)
            let target = String(decoding: head, as: UTF8.self).split(separator: " ").dropFirst().first ?? "/"
            let (status, body) = try route(target.split(separator: "/").map(String.init))
            let end = connection.isDraining ? "Connection: close\r\n" : ""
            try await connection.writer.write(
                "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(end)\r\n\(body)")
            if connection.isDraining { return }
        }
    }

    private func route(_ path: [String]) throws -> (status: String, body: String) {
        let requests = try store.increment("requests")
        try store.increment("requests of worker \(worker.taskID)")
        switch (path.first, path.dropFirst().first) {
        case (nil, _):
            let text = greeting.withLock { $0.text }
            return ("200 OK", "\(text)! Request \(requests), answered by worker \(worker.taskID).\n")
        case ("greeting", let text?):
            try change(text)
            return ("200 OK", "done\n")
        case ("tell", let text?):
            try store.publish("tell", text)
            return ("200 OK", "told\n")
        case ("counts", _):
            let counts = store.getAll(prefix: "requests").sorted { $0.key < $1.key }
            let lines = try counts.map { "\($0.key): \(try $0.value.decoded(as: Int.self, codec: store.codec))\n" }
            return ("200 OK", lines.joined())
        default: return ("404 Not Found", "use /, /greeting/TEXT, /tell/TEXT or /counts\n")
        }
    }

    /// Stores the new greeting for workers that come later, and tells those that are here.
    private func change(_ text: String) throws {
        let readable = text.replacing("%20", with: " ")
        var new = Greeting(text: readable, version: 1)
        var present: Greeting? = try store.get("greeting")
        // Of two workers that change it at the same time, the second sees the first and counts on.
        while true {
            new.version = (present?.version ?? 0) + 1
            if try store.compareAndSet("greeting", expecting: present, to: new) { break }
            present = try store.get("greeting")
        }
        try store.publish("greeting", new)
    }

    private func tell(_ text: String, _ nonebot: ChannelDeliver<String>) async {
        do {
            try await nonebot.passive.send("\(text) (passive)")
            try await nonebot.active.send("\(text) (active)")
        } catch {
            say("nonebot was not told: \(error)")
        }
    }
}
