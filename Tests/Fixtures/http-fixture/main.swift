// A pool of HTTP servers for tests: what a worker's supervisor learns of requests, and how they end.

import Glibc
import Prefork
import PreforkHTTP

/// Not in the closure of main.swift, which belongs to the main actor.
@Sendable func respond(to request: HTTPRequest, in worker: Worker) async throws -> HTTPResponse {
    switch request.path {
    case "/crash": fatalError("a crash in a handler")
    case "/late-crash":
        try await EventLoop.sleep(for: .milliseconds(1))
        fatalError("a late crash in a handler")
    case "/pid": return .text("\(getpid())")
    case "/slow":
        while !worker.stopRequested.isRequested { try await EventLoop.sleep(for: .milliseconds(1)) }
        return .text("done")
    case "/wait":
        try await EventLoop.sleep(for: .seconds(3_600))
        return .noContent
    default: return .text(request.path)
    }
}

let listener = try Listener(.tcp("127.0.0.1", 0))
var runtime = ForkRuntime(workers: Int(CommandLine.arguments[1]))
runtime.hooks.onAllReady = {
    print("port \(listener.address.port ?? 0)")
    fflush(nil)
}
runtime.runAndExit { worker in
    try await listener.serveHTTP { request in try await respond(to: request, in: worker) }
}
