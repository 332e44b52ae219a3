// How a connection moves to the next worker, and continues there.

import PreforkEventLoop
import PreforkSystem

extension HTTPServer {
    /// Continues connections of the worker before this one. Runs before that one gives them up.
    var resumption: ConnectionResumption {
        ConnectionResumption(
            name: ConnectionState.name, versions: ConnectionState.version...ConnectionState.version
        ) { [self] handed in
            let state = try ConnectionState(handed.state, options)
            return { connection in try await HTTPConnection(connection, self, resuming: state).serve() }
        }
    }
}

extension HTTPConnection {
    /// What the next worker gets of a connection that waits for a request, or for the rest of a head. No byte of a head is
    /// consumed before the head is whole, so that the unread bytes are the parser's whole state.
    ///
    /// - Returns: nil while a response is on its way.
    func pack() -> HandoverParcel? {
        guard output.count == 0, !isFlushing, !mustClose, !isReadingBody, bodyRest == .none else { return nil }
        return HandoverParcel(state: state.bytes)
    }

    /// Without that of a WebSocket or a response.
    var state: ConnectionState {
        var state = ConnectionState()
        state.hasServed = hasServed
        state.awaitsProxyHeader = awaitsProxyHeader
        state.claim = claim?.address
        return state
    }

    /// Continues before a request. Its deadline begins again.
    func begin(_ resumed: ConnectionState) {
        take(resumed)
        if hasServed { server.awaitsRequest(self) } else { server.awaitsHead(self) }
    }

    private func take(_ resumed: ConnectionState) {
        hasServed = resumed.hasServed
        awaitsProxyHeader = resumed.awaitsProxyHeader
        claim = resumed.claim.map { ClientClaim($0) }
    }

    /// A WebSocket is served with the means of this connection to move it.
    func serve(_ opening: WebSocketOpening, on connection: Connection, resuming socket: SocketState? = nil) async throws {
        let webSocket = WebSocket(
            connection, role: .server, subprotocol: opening.subprotocol, opening.options)
        if server.mayMove {
            webSocket.mover = WebSocketMover(state: state, head: requestHead)
            // Until its handler has given a state: a socket without one is closed at once when the worker leaves. One that has
            // just moved will have one.
            connection.onHandover(socket == nil ? nil : { nil })
        }
        // The closure of `handoverState` refers to what the handler has.
        defer { webSocket.handoverState = nil }
        if let socket, !webSocket.resume(socket) {
            BuiltInMetrics.countMoves("version")
            return try await webSocket.serve { socket in try await socket.close(code: .serviceRestart) }
        }
        try await webSocket.serve(opening.handler)
    }

    /// Continues a WebSocket: the handler is asked again what belongs to its request.
    func resume(_ socket: SocketState) async throws {
        let response = try await answerAgain(socket.head)
        requestEnds()
        guard let response, case .webSocket(let opening) = response.body.kind else {
            BuiltInMetrics.countMoves("noServer")
            let socket = WebSocket(connection, role: .server, WebSocketOptions())
            return try await socket.serve { socket in try await socket.close(code: .serviceRestart) }
        }
        try await serve(opening, on: connection, resuming: socket)
    }

    /// Asks the handler with the request that another worker has answered.
    ///
    /// - Returns: nil if it has failed, or may not be asked.
    func answerAgain(_ head: [UInt8]) async throws -> HTTPResponse? {
        if let resumed { take(resumed) }
        guard readHead(head) else { return nil }
        do {
            return try await server.handler(HTTPRequest(storage: requestStorage))
        } catch let error as CancellationError {
            throw error
        } catch {
            report(error)
        }
        return nil
    }
}
