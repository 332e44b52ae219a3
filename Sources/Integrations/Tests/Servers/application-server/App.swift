// An application as Hummingbird's templates write it, with the type's name changed and on the main actor.

import Glibc
import Hummingbird
import Logging
import PreforkHummingbird
import ServiceLifecycle
import SlowRequest

@main
struct App {
    // Without the main actor, Swift's own threads would run it, and there must be none before the fork.
    @MainActor
    static func main() async throws {
        let app = try await buildApplication()
        try await app.runService()
    }
}

@MainActor
func buildApplication() async throws -> ForkedApplication<RouterResponder<BasicRequestContext>> {
    var logger = Logger(label: "application-server")
    logger.logLevel = .warning
    var app = ForkedApplication(
        router: buildRouter(),
        configuration: .init(address: .hostname("127.0.0.1", port: Int(portArgument)), serverName: "application"),
        services: [Store(name: "first")],
        onServerRunning: { channel in
            SlowRequest.tell("\(getpid()): running")
            SlowRequest.tell("listening on \(channel.localAddress.map { "\($0)" } ?? "nothing")")
        },
        logger: logger)
    app.addServices(Store(name: "second"))
    app.beforeServerStarts { SlowRequest.tell("\(getpid()): prepared") }
    return app
}

func buildRouter() -> Router<BasicRequestContext> {
    let router = Router()
    router.addMiddleware {
        LogRequestsMiddleware(.info)
    }
    router.get("/") { _, _ in "\(getpid())" }
    router.get("/slow") { _, _ in
        SlowRequest.begin()
        try await Task.sleep(for: SlowRequest.duration)
        return SlowRequest.answer
    }
    router.get("/crash") { _, _ -> String in
        kill(getpid(), SIGSEGV)
        return "not crashed"
    }
    return router
}

/// Something that is opened before the server and closed after it.
struct Store: Service {
    let name: String

    func run() async throws {
        SlowRequest.tell("\(getpid()): \(name) open")
        try await gracefulShutdown()
        SlowRequest.tell("\(getpid()): \(name) closed")
    }
}
