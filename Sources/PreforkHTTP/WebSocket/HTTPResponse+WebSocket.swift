// The way from a request to a WebSocket.

/// What a handler has answered with a WebSocket.
struct WebSocketOpening: Sendable {
    let subprotocol: String?
    let options: WebSocketOptions
    let handler: @Sendable (WebSocket) async throws -> Void
}

extension HTTPResponse {
    /// Opens a WebSocket (RFC 6455) and runs `handler` with it. A request that does not ask for one correctly gets its
    /// refusal instead: 405, 426, 400, or 403 for a page of another origin.
    ///
    /// ```swift
    /// case (.get, "/chat"):
    ///     .webSocket(for: request) { socket in
    ///         for try await message in socket { try await socket.send(message) }
    ///     }
    /// ```
    ///
    /// When `handler` returns, the socket is closed with 1000, and with 1011 if it throws.
    ///
    /// A socket whose handler has set `WebSocket.handoverState` moves to the next worker when this one leaves. There the
    /// server's handler is called again with the same request (`HTTPRequest.isResumed`), and `handler` with the socket.
    ///
    /// - Parameters:
    ///   - request: the request that is answered.
    ///   - options: limits, times, subprotocols, and whose pages may connect.
    ///   - handler: runs on the connection's task until the conversation is over.
    public static func webSocket(
        for request: HTTPRequest, options: WebSocketOptions = WebSocketOptions(),
        _ handler: @escaping @Sendable (WebSocket) async throws -> Void
    ) -> HTTPResponse {
        let fields = request.fields
        let handshake = WebSocketHandshake.answer(
            to: WebSocketHandshake.Request(
                method: request.method.name, isHTTP11: request.isHTTP11, hasBody: request.body.count != 0,
                values: { fields.values(of: $0) }), options)
        switch handshake {
        case .accepted(_, let subprotocol):
            let opening = WebSocketOpening(subprotocol: subprotocol, options: options, handler: handler)
            return HTTPResponse(
                status: .switchingProtocols, fields: Self.fields(handshake), body: Body(kind: .webSocket(opening)))
        case .refused(let status, _, let reason):
            var response = HTTPResponse.text(reason + "\n", status: HTTPStatus(status) ?? .badRequest)
            for field in Self.fields(handshake) { try? response.fields.append(field.name, field.value) }
            return response
        }
    }

    /// Without those that the server adds to a 101.
    private static func fields(_ handshake: WebSocketHandshake) -> HTTPFields {
        var fields = HTTPFields()
        for field in handshake.fields {
            if case .accepted = handshake, field.name == "Upgrade" || field.name == "Connection" { continue }
            // Made of tokens and Base64: what cannot be a value was refused.
            try? fields.append(field.name, field.value)
        }
        return fields
    }
}
