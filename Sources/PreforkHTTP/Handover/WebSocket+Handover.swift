// How a WebSocket moves to the next worker, and continues there.

import PreforkCBOR
import PreforkEventLoop
import PreforkSystem

/// What a WebSocket needs of its HTTP connection to move.
struct WebSocketMover {
    let state: ConnectionState
    let head: [UInt8]
}

typealias HandoverClosure = () throws -> (any Encodable & Sendable)?

extension WebSocket {
    /// What the handler needs to continue in the next worker: called when this worker leaves while the handler waits for a
    /// message, at a frame's end or within a message. With it the socket moves, and its client notices nothing. Without it the
    /// socket is closed with 1001.
    ///
    /// ```swift
    /// var count = try socket.resumedState(as: Int.self) ?? 0
    /// socket.handoverState = { count }
    /// for try await message in socket {
    ///     count += 1
    ///     try await socket.send("\(count)")
    /// }
    /// ```
    ///
    /// In the next worker the server's handler is called with the request that has opened the socket
    /// (`HTTPRequest.isResumed`), and then the socket's handler. Here the loop ends, `isHandedOver` is true, and `send`
    /// throws `.handedOver`. What was sent by then arrives, and all that is sent later is the next worker's to send.
    ///
    /// The closure returns a `Codable` value, at most 512 KiB as CBOR, or nil if the handler needs none. It runs on the loop
    /// and must not change anything, because the next worker may refuse the socket, which then continues here and is closed
    /// with 1001. If it throws, the socket does not move. Set on the loop, where handlers run.
    public var handoverState: (() throws -> (any Encodable & Sendable)?)? {
        get { ownHandoverState }
        set {
            ownHandoverState = newValue
            guard mover != nil else { return }
            connection.onHandover(newValue == nil ? nil : { [unowned self] in try pack() })
        }
    }

    /// Whether this socket was opened in another worker and has moved here.
    public var isResumed: Bool { resumed != nil }

    /// Whether this socket has moved to another worker: the conversation goes on there. On the loop only.
    public var isHandedOver: Bool {
        if case .over(.handedOver) = phase { return true }
        return false
    }

    /// The version of the state that came with this socket (`WebSocketOptions.handoverVersions`). nil for a socket that was
    /// opened here.
    public var resumedVersion: UInt32? { resumed?.version }

    /// What `handoverState` has returned in the worker from which this socket came.
    ///
    /// - Returns: nil for a socket that was opened here, and where the state was nil.
    /// - Throws: `DecodingError` for a state of another form. A handler that passes it on closes the socket with 1012.
    public func resumedState<State: Decodable>(as type: State.Type = State.self) throws -> State? {
        guard let bytes = resumed?.program else { return nil }
        do {
            return try CBORCodec().decode(State.self, from: bytes)
        } catch {
            closesAfterError = .serviceRestart
            BuiltInMetrics.countMoves("state")
            throw error
        }
    }
}

extension WebSocket {
    /// - Returns: nil if it cannot move now.
    func pack() throws -> HandoverParcel? {
        // Bytes of a message that was read ahead, or that a task is sending, belong to no side.
        guard let mover, let ownHandoverState, case .open = phase, isTaken, pending == nil, writes == 0 else { return nil }
        let value = try ownHandoverState()
        let program = try value.map { try ConnectionState.encode($0) }
        var message = StateWriter()
        reader.write(to: &message)
        var state = mover.state
        state.socket = SocketState(
            head: mover.head, message: message.bytes, silence: Swift.max(.zero, .coarseNow - lastReceipt),
            patience: pingPatience, version: options.handoverVersions.upperBound, program: program)
        return HandoverParcel(state: state.bytes, unsent: Array(output.bytes))
    }

    /// Continues the conversation of another worker.
    ///
    /// - Returns: false if the handler's limits, or the versions that it reads, are not those of the worker before.
    func resume(_ socket: SocketState) -> Bool {
        var fields = StateReader(socket.message)
        do throws(StateReader.Damage) {
            try reader.read(from: &fields)
        } catch {
            return false
        }
        resumed = (socket.version, socket.program)
        continueTimes(silence: socket.silence, patience: socket.patience)
        return options.handoverVersions.contains(socket.version)
    }

    /// Why a draining worker closes: 1012 tells a client to connect again, because the next worker cannot read the state.
    var drainCode: WebSocketCloseCode {
        switch connection.handoverRefusal {
        case .state, .version: .serviceRestart
        default: .goingAway
        }
    }
}
