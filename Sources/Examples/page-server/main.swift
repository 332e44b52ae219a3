// A page that talks to its server by fetch, an upload and a WebSocket: page-server [ADDRESS]; then open http://127.0.0.1:8080/

import Prefork
import PreforkHTTP

let address = CommandLine.arguments.dropFirst().first ?? "127.0.0.1:8080"
// Before the fork: all workers have the same store.
let chat = Chat(store: try SharedStore())

ForkRuntime().runAndExit(on: address) { [chat] worker, listener in
    try await listener.serveHTTP { request in
        switch (request.method, request.path) {
        case (.get, "/"), (.head, "/"): .html(page)
        case (.get, "/worker"): .json(#"{"worker":\#(worker.taskID),"generation":\#(worker.generation)}"#)
        case (.get, "/count"): .stream { writer in try await count(to: 10, into: writer) }
        case (.put, "/upload"): .json(try await Upload(of: request.body).json)
        case (.get, "/chat"): try chat.join(request, in: worker)
        default: .notFound
        }
    }
}

@Sendable func count(to end: Int, into writer: HTTPBodyWriter) async throws {
    for number in 1...end {
        try await writer.write("\(number) ")
        try await EventLoop.sleep(for: .milliseconds(100))
    }
}
