// A handler that speaks swift-http-types, in each worker.

import Glibc
import HTTPTypes
import Prefork
import PreforkHTTPTypes
import SlowRequest

let listener = try Listener(.tcp("127.0.0.1", portArgument))
print("listening on \(listener.address)")

let summary = try ForkRuntime().run { worker in
    try await listener.serveHTTPTypes { head, request in
        switch (head.method, head.path) {
        case (.get, "/"): return (HTTPResponse(status: .ok), .text("\(getpid())"))
        case (.get, "/slow"):
            SlowRequest.begin()
            try await Task.sleep(for: SlowRequest.duration)
            return (HTTPResponse(status: .ok), .text(SlowRequest.answer))
        case (.post, _):
            // All that the types say, and the body behind it.
            let body = try await request.body.collect()
            let fields = head.headerFields.map { "\($0.name.canonicalName): \($0.value)" }.sorted()
            let text = "\(head.authority ?? "none") \(head.path ?? "none")\n\(fields.joined(separator: "\n"))\n"
            return (
                HTTPResponse(status: .init(code: 299, reasonPhrase: "unusual"), headerFields: [.eTag: "\"1\""]),
                .bytes(Array(text.utf8) + body)
            )
        default: return (HTTPResponse(status: .notFound), .empty)
        }
    }
}
exit(summary.outcome.exitCode)
