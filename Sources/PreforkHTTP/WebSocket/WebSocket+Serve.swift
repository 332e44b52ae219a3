// The life of a WebSocket on a connection whose handshake is done.

package import PreforkEventLoop

extension WebSocket {
    /// Runs `handler` with the WebSocket on `connection`, and closes it after that: with 1000, with 1011 if the handler
    /// throws, with 1001 if the task is cancelled. On the connection's loop.
    ///
    /// - Throws: what the handler throws, except `WebSocketError`: that is the client's doing.
    package static func serve(
        _ connection: Connection, subprotocol: String? = nil, _ options: WebSocketOptions,
        _ handler: @Sendable (WebSocket) async throws -> Void
    ) async throws {
        try await WebSocket(connection, role: .server, subprotocol: subprotocol, options).serve(handler)
    }

    /// Runs `handler`, and closes after it.
    func serve(_ handler: @Sendable (WebSocket) async throws -> Void) async throws {
        let socket = self
        startTimers()
        do {
            try await handler(socket)
        } catch {
            await socket.end(after: error)
            if error is WebSocketError { return }
            throw error
        }
        await socket.end(after: nil)
    }

    private func end(after error: (any Error)?) async {
        guard Task.isCancelled else { return await finish(error == nil ? .normal : closesAfterError) }
        // No wait of a cancelled task lasts. The goodbye needs another one, which the close timer bounds.
        await Task(executorPreference: loop.preference) { [self] in await beginClosing(.goingAway, "") }.value
        end(.closedHere)
        await finish(.goingAway)
    }
}
