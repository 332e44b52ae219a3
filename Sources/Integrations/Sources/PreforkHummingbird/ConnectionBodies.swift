// Bodies of Hummingbird over a connection of PreforkHTTP.

import HTTPTypes
import Hummingbird
import PreforkHTTP
import PreforkHTTPTypes

/// The pieces of a request's body as buffers. Each is read from the connection when it is asked for. What has come with
/// the head is there without waiting.
struct BodyBuffers: AsyncSequence, Sendable {
    let body: HTTPBody

    struct AsyncIterator: AsyncIteratorProtocol {
        var pieces: HTTPBody.Iterator

        mutating func next() async throws -> ByteBuffer? {
            try await pieces.next().map { ByteBuffer(bytes: $0) }
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pieces: body.makeAsyncIterator()) }
}

/// No body.
struct NoBuffers: AsyncSequence, Sendable {
    struct AsyncIterator: AsyncIteratorProtocol {
        mutating func next() async -> ByteBuffer? { nil }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}

/// Writes a response's body to the connection: each buffer when the client takes it.
struct ConnectionBodyWriter: ResponseBodyWriter {
    let writer: HTTPBodyWriter

    nonisolated(nonsending) mutating func write(_ buffer: ByteBuffer) async throws {
        if try buffer.withUnsafeReadableBytes({ try writer.writeNow($0) }) { return }
        try await writer.write(buffer.withUnsafeReadableBytes { Array($0) })
    }

    nonisolated(nonsending) consuming func finish(_ trailingHeaders: HTTPTypes.HTTPFields?) async throws {
        guard let trailingHeaders, !trailingHeaders.isEmpty else { return }
        try await writer.setTrailers(PreforkHTTP.HTTPFields(trailingHeaders))
    }
}

/// Where the body of a response without one goes.
struct NoBodyWriter: ResponseBodyWriter {
    /// Ends a body that would be written in vain, perhaps without end.
    struct HasBody: Error {}

    mutating func write(_ buffer: ByteBuffer) async throws {
        if buffer.readableBytes > 0 { throw HasBody() }
    }

    consuming func finish(_ trailingHeaders: HTTPTypes.HTTPFields?) async throws {}
}
