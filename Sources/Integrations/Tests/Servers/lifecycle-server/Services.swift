// What the group holds beside the server, and its requests.

import Glibc
import Logging
import Prefork
import ServiceLifecycle
import SlowRequest
import Synchronization

/// Something that is opened before the server and closed after it.
struct Store: Service {
    let logger: Logger

    func run() async throws {
        logger.info("store open")
        try await gracefulShutdown()
        logger.info("store closed")
    }
}

/// What a request can ask the program for.
final class Orders: Sendable {
    private let leaving = Mutex<(@Sendable () async -> Void)?>(nil)

    func onLeave(_ body: @escaping @Sendable () async -> Void) {
        leaving.withLock { $0 = body }
    }

    func leave() async {
        await leaving.withLock { $0 }?()
    }
}

/// Serves one connection: as much HTTP/1.1 as the contract needs. `/leave` ends the group from inside.
func answer(_ connection: Connection, _ orders: Orders) async throws {
    while try await connection.reader.waitForMessage() {
        let head = String(decoding: try await connection.reader.read(until: "\r\n\r\n", limit: 8192), as: UTF8.self)
        let body: String
        switch head.split(separator: " ").dropFirst().first {
        case "/slow":
            SlowRequest.begin()
            try await Task.sleep(for: SlowRequest.duration)
            body = SlowRequest.answer
        case "/leave":
            await orders.leave()
            body = "left"
        default:
            body = "\(getpid())"
        }
        let closes = connection.isDraining || head.contains("Connection: close")
        let fate = closes ? "close" : "keep-alive"
        try await connection.writer.write(
            "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nConnection: \(fate)\r\n\r\n\(body)")
        if closes { return }
    }
}
