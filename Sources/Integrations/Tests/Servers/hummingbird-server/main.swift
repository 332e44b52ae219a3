// Hummingbird 2 in each worker, on the inherited listener.

import Glibc
import Hummingbird
import Logging
import Prefork
import PreforkHummingbird
import SlowRequest

let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

var runtime = ForkRuntime()
runtime.readiness = .manual
let summary = try runtime.run { worker in
    let router = Router()
    router.get("/") { _, _ in "\(getpid())" }
    router.get("/slow") { _, _ in
        SlowRequest.begin()
        try await Task.sleep(for: SlowRequest.duration)
        return SlowRequest.answer
    }
    var logger = Logger(label: "hummingbird")
    logger.logLevel = .warning
    let server = try InheritedServer(listener, worker)
    let app = Application(
        router: router, server: server.http1(), configuration: server.configuration,
        onServerRunning: server.accept, eventLoopGroupProvider: .shared(server.group), logger: logger)
    try await server.run(app)
}
exit(summary.outcome.exitCode)
