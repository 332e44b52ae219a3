// The other end of a WebSocket, which can also do what no client does.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport

@testable import PreforkHTTP

/// A client on the loop of its test, frame by frame.
final class WebSocketPeer: @unchecked Sendable {
    // Sendable: used on the test's loop only.
    let connection: Connection
    private var reader = WebSocketMessageReader(role: .client, maxSize: 100 << 20, maxFragments: 1_000)

    init(_ connection: Connection) { self.connection = connection }

    func send(_ opcode: WebSocketOpcode, isFinal: Bool = true, _ payload: [UInt8]) async throws {
        var bytes: [UInt8] = []
        payload.withUnsafeBytes {
            WebSocketFrameHead.write(
                opcode, isFinal: isFinal, mask: WebSocketMask([1, 2, 3, 4]), $0, to: &bytes)
        }
        try await connection.writer.write(bytes)
    }

    func send(_ text: String) async throws { try await send(.text, Array(text.utf8)) }

    /// All of them in one write.
    func send(_ texts: [String]) async throws {
        var bytes: [UInt8] = []
        for text in texts {
            Array(text.utf8).withUnsafeBytes {
                WebSocketFrameHead.write(.text, mask: WebSocketMask([1, 2, 3, 4]), $0, to: &bytes)
            }
        }
        try await connection.writer.write(bytes)
    }

    func close(_ code: WebSocketCloseCode?, _ reason: String = "") async throws {
        try await send(.close, WebSocketFrameHead.closePayload(code, reason))
    }

    /// What the server sends next, or nil at the end of the connection.
    func next() async throws -> WebSocketEvent? {
        while true {
            var consumed = 0
            let event = try connection.reader.withBufferedBytes { bytes throws(WebSocketViolation) in
                try reader.next(bytes, consumed: &consumed)
            }
            connection.reader.consume(consumed)
            if let event { return event }
            guard try await connection.reader.fill() else { return nil }
        }
    }

    /// As `next`, without pings: a busy machine takes longer than their interval.
    func nextButPings() async throws -> WebSocketEvent? {
        while let event = try await next() {
            if case .ping = event { continue }
            return event
        }
        return nil
    }

    /// What the server sends until the connection ends, without pings.
    func rest() async throws -> [WebSocketEvent] {
        var events: [WebSocketEvent] = []
        while let event = try await next() {
            if case .ping = event { continue }
            events.append(event)
        }
        return events
    }
}

/// A WebSocket on a pair of sockets, both ends on one loop.
enum WebSocketFixture {
    /// How a handler has ended, told to the test.
    struct Ends: Error, Equatable {
        let text: String
    }

    /// Runs a test's body on a loop and a thread of its own, as code in a worker runs.
    static func onLoop(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            do {
                try startThread {
                    do {
                        try EventLoop().run(body)
                        continuation.resume()
                    } catch {
                        continuation.resume(throwing: error)
                    }
                }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    static func pair() throws -> (server: Connection, peer: WebSocketPeer) {
        let (server, client) = try Socket.pair()
        return (try Connection(adopting: server), WebSocketPeer(try Connection(adopting: client)))
    }

    /// Serves one WebSocket while `body` is its peer. Returns when both have ended.
    static func serve(
        _ options: WebSocketOptions = WebSocketOptions(),
        _ handler: @escaping @Sendable (WebSocket) async throws -> Void,
        peer body: @escaping @Sendable (WebSocketPeer) async throws -> Void
    ) async throws {
        try await onLoop {
            let (server, peer) = try pair()
            defer { peer.connection.close() }
            async let serving: Void = {
                defer { server.close() }
                try await WebSocket.serve(server, options, handler)
            }()
            do {
                try await body(peer)
            } catch {
                peer.connection.close()
                try? await serving
                throw error
            }
            peer.connection.close()
            try await serving
        }
    }

    static let echo: @Sendable (WebSocket) async throws -> Void = { socket in
        for try await message in socket { try await socket.send(message) }
    }
}

/// What happened, in order. Used on one loop at a time.
final class WebSocketNotes: @unchecked Sendable {
    // Sendable: appended and read on the test's loop only.
    private(set) var all: [String] = []

    func add(_ text: String) { all.append(text) }
}

extension WebSocketFrameHead {
    /// Appends a frame with this payload.
    static func write(
        _ opcode: WebSocketOpcode, isFinal: Bool = true, mask: WebSocketMask? = nil, _ payload: UnsafeRawBufferPointer,
        to bytes: inout [UInt8]
    ) {
        bytes += [UInt8](unsafeUninitializedCapacity: payload.count + maxLength) { memory, count in
            count = write(opcode, isFinal: isFinal, mask: mask, payload, to: UnsafeMutableRawBufferPointer(memory))
        }
    }
}
