// Responses that are made while they are sent: events, and a writer around another one.

import Hummingbird
import SlowRequest

/// Server-sent events, until `count` or the client's end.
func addEvents(to router: Router<AppContext>) {
    router.get("events/:count") { _, context in
        let count = try context.parameters.require("count", as: Int.self)
        return Response(status: .ok, headers: [.contentType: "text/event-stream"], body: .init { writer in
            do {
                for number in 0..<count {
                    try await writer.write(ByteBuffer(string: "data: \(number)\n\n"))
                    try await Task.sleep(for: .milliseconds(10))
                }
                try await writer.finish(nil)
            } catch {
                SlowRequest.tell("events ended early")
                throw error
            }
        })
    }
}

/// Adds up what goes through it, and sends the sum as a trailer.
struct ChecksumWriter: ResponseBodyWriter {
    private var parent: any ResponseBodyWriter
    private var sum: UInt32 = 0

    init(_ parent: any ResponseBodyWriter) { self.parent = parent }

    mutating func write(_ buffer: ByteBuffer) async throws {
        for byte in buffer.readableBytesView { sum = sum &* 31 &+ UInt32(byte) }
        try await parent.write(buffer)
    }

    consuming func finish(_ trailers: HTTPFields?) async throws {
        var trailers = trailers ?? [:]
        trailers[.init("X-Checksum")!] = "\(sum)"
        try await parent.finish(trailers)
    }
}

struct ChecksumMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: AppContext, next: (Request, AppContext) async throws -> Response
    ) async throws -> Response {
        let response = try await next(request, context)
        // Only chunks have trailers.
        if response.body.contentLength != nil { return response }
        var other = response
        other.body = .init { writer in try await response.body.write(ChecksumWriter(writer)) }
        return other
    }
}
