// A Hummingbird router in each worker, on the worker's own loop.

import Glibc
import Hummingbird
import Logging
import Prefork
import PreforkHummingbird
import SlowRequest

let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

let summary = try ForkRuntime().run { worker in
    let router = Router()
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
    var logger = Logger(label: "router-server")
    logger.logLevel = .warning
    try await listener.serve(router, in: worker, logger: logger)
}
exit(summary.outcome.exitCode)
