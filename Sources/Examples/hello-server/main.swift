// A pre-forked HTTP server that says Hello World: hello-server [ADDRESS]; then: curl http://127.0.0.1:8080/

import Prefork
import PreforkHTTP

// `0.0.0.0:8080`, `[::]:8080`, `unix:/run/hello.sock`
let address = CommandLine.arguments.dropFirst().first ?? "127.0.0.1:8080"

// In each worker, on its own event loop. A crash costs one worker, SIGTERM finishes what is in flight, SIGHUP reloads.
// Every other setting is a variable: PREFORK_WORKERS=4, PREFORK_CONTROL=/run/hello.control, ...
ForkRuntime().runAndExit(on: address) { worker, listener in
    // Ends and drains when the worker is asked to stop.
    try await listener.serveHTTP { request in
        switch (request.method, request.path) {
        case (.get, "/"), (.head, "/"): .text("Hello World")
        case (.get, "/worker"): .text("worker \(worker.taskID), generation \(worker.generation)\n")
        // What the client sends comes back piece by piece, no faster than the client takes it.
        case (.post, "/echo"): .stream(request.body)
        case (.get, "/slow"): .stream { writer in try await count(to: 10, into: writer) }
        default: .notFound
        }
    }
}

@Sendable func count(to end: Int, into writer: HTTPBodyWriter) async throws {
    for number in 1...end {
        try await writer.write("\(number)\n")
        try await EventLoop.sleep(for: .seconds(1))
    }
}
