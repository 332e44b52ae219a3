// A server on a loop and a thread of its own, as in a worker, and blocking clients beside it.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Synchronization

@testable import PreforkHTTP

final class TestServer: Sendable {
    let port: UInt16
    private let loop: EventLoop
    private let end = Mutex<Result<Void, any Error>?>(nil)
    private let failures = Mutex<[String]>([])

    init(
        options: HTTPServerOptions = .patient,
        _ handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let loop = try EventLoop()
        self.loop = loop
        port = listener.address.port!
        try startThread { [self] in
            let result = Result {
                try loop.run {
                    try await listener.serveHTTP(options: options, report: { self.note($0) }, handler)
                }
            }
            listener.close()
            end.withLock { $0 = result }
        }
    }

    /// What handlers have thrown.
    var reports: [String] { failures.withLock { $0 } }

    private func note(_ event: ServingEvent) {
        switch event {
        // The handler of a WebSocket is its connection's.
        case .requestFailed(let error, _, _), .handlerFailed(let error, _):
            failures.withLock { $0.append("\(error)") }
        default: break
        }
    }

    func beginStop() { loop.stopRequest.request(.service) }

    func stop() async throws {
        beginStop()
        try await eventually("the server has ended") { self.end.withLock { $0 != nil } }
        try end.withLock { try $0?.get() }
    }

    /// What the server answers to `text` until it closes the connection, without dates.
    func answer(to text: String) throws -> String {
        let client = try Client(port: port)
        try client.send(text)
        return withoutDates(try client.receiveAll())
    }
}

extension HTTPServerOptions {
    /// For clients whose test waits for its turn on a busy machine.
    static var patient: HTTPServerOptions {
        var options = HTTPServerOptions()
        for path in [\Self.headTimeout, \.bodyTimeout, \.keepAliveTimeout, \.writeTimeout] {
            options[keyPath: path] = .seconds(100)
        }
        options.minimumRate = 0
        return options
    }
}

/// A gate that handlers wait at and tests open.
final class Gate: Sendable {
    private let isOpen = Atomic(false)
    private let arrived = Atomic(0)

    var waiting: Int { arrived.load(ordering: .sequentiallyConsistent) }

    var isOpened: Bool { isOpen.load(ordering: .sequentiallyConsistent) }

    func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }

    func wait() async throws {
        arrived.add(1, ordering: .sequentiallyConsistent)
        while !isOpen.load(ordering: .sequentiallyConsistent) { try await EventLoop.sleep(for: .milliseconds(1)) }
    }
}

/// Without the lines of `Date`, each of which must be one.
func withoutDates(_ text: String) -> String {
    text.replacing(#/Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/#, with: "")
}

/// A request for `/`, which ends its connection unless `fields` say otherwise.
func request(_ line: String, _ fields: String..., keep: Bool = false, body: String = "") -> String {
    let all = [line + " HTTP/1.1", "Host: a"] + fields + (keep ? [] : ["Connection: close"])
    return all.joined(separator: "\r\n") + "\r\n\r\n" + body
}

extension Client {
    /// What comes until `end` has come, and no more.
    func receive(until end: String) throws -> String {
        var text = ""
        while !text.hasSuffix(end) {
            let more = try receive()
            guard !more.isEmpty else { throw NotInTime(description: "the end after \(text.debugDescription)") }
            text += String(decoding: more, as: UTF8.self)
        }
        return withoutDates(text)
    }
}
