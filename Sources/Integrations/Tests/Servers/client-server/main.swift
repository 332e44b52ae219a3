// async-http-client in each worker: each answer needs one of an upstream.

import AsyncHTTPClient
import Glibc
import Hummingbird
import Logging
import NIOCore
import Prefork
import PreforkHummingbird
import ServiceLifecycle
import SlowRequest

/// Closes its connections when the server has ended: services end in reverse order.
struct Upstream: Service {
    let client: HTTPClient
    let address: String

    func run() async throws {
        try? await gracefulShutdown()
        try await client.shutdown()
    }

    func ask(_ target: String) async throws -> String {
        let response = try await client.execute(HTTPClientRequest(url: address + target), timeout: .seconds(30))
        return String(buffer: try await response.body.collect(upTo: 1 << 16))
    }
}

let address = "http://127.0.0.1:" + String(cString: getenv("UPSTREAM_PORT") ?? strdup("8080"))
let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

var runtime = ForkRuntime()
runtime.readiness = .manual
let summary = try runtime.run { worker in
    let server = try InheritedServer(listener, worker)
    let client = HTTPClient(eventLoopGroupProvider: .shared(server.group))   // made in the worker: it has connections
    let upstream = Upstream(client: client, address: address)
    let router = Router()
    router.get("/") { _, _ in
        _ = try await upstream.ask("/")
        return "\(getpid())"
    }
    router.get("/slow") { _, _ in
        SlowRequest.begin()
        return try await upstream.ask("/slow")
    }
    var logger = Logger(label: "client-server")
    logger.logLevel = .warning
    let app = Application(
        router: router, server: server.http1(), configuration: server.configuration,
        onServerRunning: server.accept, eventLoopGroupProvider: .shared(server.group), logger: logger)
    try await server.run(app, services: [upstream])
}
exit(summary.outcome.exitCode)
