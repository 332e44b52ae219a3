// What both forms answer.

import Glibc
import Hummingbird
import Logging

func router() -> Router<BasicRequestContext> {
    let router = Router()
    router.get("/") { _, _ in "Hello World" }
    router.get("/pid") { _, _ in "\(getpid())" }
    // What no server can do anything about: code that keeps its thread.
    router.get("/block") { _, _ in
        usleep(1_000_000)
        return "blocked"
    }
    return router
}

func quietLogger() -> Logger {
    var logger = Logger(label: "measurement")
    logger.logLevel = .critical
    return logger
}
