// Responses without an end that continue in the next worker.

import PreforkCBOR
import PreforkSystem

/// What a handler has answered with such a response.
struct ResumableStream: Sendable {
    let versions: ClosedRange<UInt32>
    let body: @Sendable (HTTPBodyWriter) async throws -> Void
}

/// What the body of such a response says about its move. On the connection's loop only.
final class StreamHandover {
    /// What came from the worker before. nil for a response that has begun here.
    let resumed: (version: UInt32, program: [UInt8]?)?
    var closure: HandoverClosure? { didSet { onChange?() } }
    /// The server drains, and the connection does not move: the response ends.
    var isEnding = false
    /// Called when the closure was set.
    var onChange: (() -> Void)?

    init(_ resumed: StreamState?) { self.resumed = resumed.map { ($0.version, $0.program) } }
}

extension HTTPResponse {
    /// What a closure writes, as `stream`, for responses that have no end of their own, such as server-sent events: they
    /// outlive their worker.
    ///
    /// ```swift
    /// .resumableStream(fields: ["Content-Type": "text/event-stream"]) { writer in
    ///     var number = try writer.resumedState(as: Int.self) ?? 0
    ///     writer.handoverState = { number }
    ///     while true {
    ///         try await writer.write("data: \(number)\n\n")
    ///         number += 1
    ///         try await EventLoop.sleep(for: .seconds(1))
    ///     }
    /// }
    /// ```
    ///
    /// When the worker leaves and `body` has set `HTTPBodyWriter.handoverState`, the connection moves to the next worker
    /// between two writes. There the server's handler is called again with the same request (`HTTPRequest.isResumed`), and
    /// must answer in the same way. Its `body` continues the response, whose head was sent already. Here the task of `body` is
    /// cancelled, and `HTTPBodyWriter.write` throws: what it would have written was not sent.
    ///
    /// Where the connection does not move, as at a stop, the task of `body` is cancelled, too. The response then ends in order,
    /// and a browser connects again by itself.
    ///
    /// - Parameters:
    ///   - status: 200 to 599.
    ///   - fields: of the response's head.
    ///   - handoverVersions: of the state. The last one is written, and all of them are read. In the next worker, a response
    ///     with a state of another version is broken off.
    ///   - body: runs in a task of its own on the connection's loop, after the handler has returned.
    public static func resumableStream(
        status: HTTPStatus = .ok, fields: HTTPFields = HTTPFields(), handoverVersions: ClosedRange<UInt32> = 1...1,
        _ body: @escaping @Sendable (HTTPBodyWriter) async throws -> Void
    ) -> HTTPResponse {
        let stream = ResumableStream(versions: handoverVersions, body: body)
        return HTTPResponse(status: status, fields: fields, body: Body(kind: .resumable(stream)))
    }
}

extension HTTPBodyWriter {
    /// What the body of a `resumableStream` needs to continue in the next worker: called between two writes, when this
    /// worker leaves. It returns a `Codable` value, at most 512 KiB as CBOR, or nil if the body needs none. It must not change
    /// anything, because the next worker may refuse the connection, whose response then continues here. nil for other
    /// responses, which do not move. On the loop only.
    public var handoverState: (() throws -> (any Encodable & Sendable)?)? {
        get { state.handover?.closure }
        nonmutating set { state.handover?.closure = newValue }
    }

    /// Whether the response has begun in another worker. On the loop only.
    public var isResumed: Bool { state.handover?.resumed != nil }

    /// The version of the state that came with the response. nil if it has begun here. On the loop only.
    public var resumedVersion: UInt32? { state.handover?.resumed?.version }

    /// What `handoverState` has returned in the worker before. On the loop only.
    ///
    /// - Returns: nil for a response that has begun here, and where the state was nil.
    /// - Throws: `DecodingError` for a state of another form. A body that passes it on breaks the response off.
    public func resumedState<State: Decodable>(as type: State.Type = State.self) throws -> State? {
        guard let bytes = state.handover?.resumed?.program else { return nil }
        do {
            return try CBORCodec().decode(State.self, from: bytes)
        } catch {
            BuiltInMetrics.countMoves("state")
            throw error
        }
    }
}
