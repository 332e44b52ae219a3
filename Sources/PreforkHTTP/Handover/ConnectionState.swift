// What a connection of an HTTP server is to the worker that it moves to.

import PreforkCBOR
import PreforkEventLoop
import PreforkSystem

/// The state of a connection between two requests, or of a WebSocket between two messages.
struct ConnectionState: Sendable {
    /// The protocol's name among those of a worker.
    static let name = "http"
    /// Of these fields. Another one is refused, and the connection is drained.
    static let version: UInt32 = 1
    /// As many bytes as a program's own state may have. What a WebSocket has in hand comes on top.
    static let programLimit = 512 * 1024

    /// It has had a response.
    var hasServed = false
    /// The header of the PROXY protocol must still come.
    var awaitsProxyHeader = false
    /// What the PROXY protocol has said of the client.
    var claim: SocketAddress?
    /// What else there is of a WebSocket.
    var socket: SocketState?
    /// What else there is of a response that has begun.
    var stream: StreamState?

    var bytes: [UInt8] {
        var state = StateWriter()
        state.append(UInt8(hasServed ? 1 : 0))
        state.append(UInt8(awaitsProxyHeader ? 1 : 0))
        state.append(UInt8(claim == nil ? 0 : 1))
        if let claim { state.append(claim) }
        state.append(UInt8(socket == nil ? 0 : 1))
        socket?.write(to: &state)
        state.append(UInt8(stream == nil ? 0 : 1))
        stream?.write(to: &state)
        return state.bytes
    }

    /// - Throws: what the value's `encode(to:)` throws, and for a value that is too large.
    static func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        let bytes = try CBORCodec().encode(value)
        guard bytes.count <= programLimit else {
            let text = "\(bytes.count) bytes of a connection's state, more than \(programLimit)"
            throw EncodingError.invalidValue(value, EncodingError.Context(codingPath: [], debugDescription: text))
        }
        return bytes
    }

    init() {}

    /// - Parameter options: of the server that continues. Its limits hold.
    init(_ bytes: [UInt8], _ options: HTTPServerOptions) throws(StateReader.Damage) {
        var state = StateReader(bytes)
        hasServed = try state.flag()
        awaitsProxyHeader = try state.flag()
        if try state.flag() { claim = try state.address() }
        if try state.flag() { socket = try SocketState(&state, options) }
        if try state.flag() { stream = try StreamState(&state, options) }
        guard socket == nil || stream == nil else { throw StateReader.Damage() }
        try state.end()
    }
}

extension ConnectionState {
    /// It must be the head of a request without a body, and nothing else.
    fileprivate static func checkHead(_ head: [UInt8], _ options: HTTPServerOptions) throws(StateReader.Damage) {
        var parser = RequestParser(headLimit: options.headLimit, fieldLimit: options.fieldLimit)
        let isHead = head.withUnsafeBytes { parser.parse($0) == .complete } && parser.head.length == head.count
        guard isHead, parser.head.framing == .none else { throw StateReader.Damage() }
    }
}

/// The state of a response that has begun, and has no end of its own.
struct StreamState: Sendable {
    /// The head of its request, for the handler that continues.
    var head: [UInt8] = []
    /// Whether the head of the response has said that the connection continues after it.
    var keeps: Bool
    var isChunked: Bool
    /// Of the program's state.
    var version: UInt32 = 0
    /// The program's state in CBOR. nil if it needs none.
    var program: [UInt8]?

    init(keeps: Bool, isChunked: Bool) { (self.keeps, self.isChunked) = (keeps, isChunked) }

    func write(to state: inout StateWriter) {
        state.append(head)
        state.append(UInt8(keeps ? 1 : 0))
        state.append(UInt8(isChunked ? 1 : 0))
        state.append(version)
        state.append(UInt8(program == nil ? 0 : 1))
        if let program { state.append(program) }
    }

    init(_ state: inout StateReader, _ options: HTTPServerOptions) throws(StateReader.Damage) {
        head = try state.run(limit: options.headLimit)
        keeps = try state.flag()
        isChunked = try state.flag()
        version = try state.integer()
        program = try state.flag() ? try state.run(limit: ConnectionState.programLimit) : nil
        try ConnectionState.checkHead(head, options)
    }
}

/// The state of a WebSocket, beside that of its connection.
struct SocketState: Sendable {
    /// The head of the request that has opened it, for the handler that continues.
    var head: [UInt8]
    /// The message in hand, as `WebSocketMessageReader` writes it.
    var message: [UInt8]
    /// For so long nothing has come from the peer.
    var silence: Duration
    /// How long the answer to a ping may still take. nil without such a ping.
    var patience: Duration?
    /// Of the program's state.
    var version: UInt32
    /// The program's state in CBOR. nil if it needs none.
    var program: [UInt8]?

    func write(to state: inout StateWriter) {
        state.append(head)
        state.append(message)
        state.append(silence)
        state.append(UInt8(patience == nil ? 0 : 1))
        if let patience { state.append(patience) }
        state.append(version)
        state.append(UInt8(program == nil ? 0 : 1))
        if let program { state.append(program) }
    }

    init(
        head: [UInt8], message: [UInt8], silence: Duration, patience: Duration?, version: UInt32, program: [UInt8]?
    ) {
        (self.head, self.message, self.silence, self.patience) = (head, message, silence, patience)
        (self.version, self.program) = (version, program)
    }

    init(_ state: inout StateReader, _ options: HTTPServerOptions) throws(StateReader.Damage) {
        head = try state.run(limit: options.headLimit)
        message = try state.run(limit: .max)
        silence = try state.duration()
        patience = try state.flag() ? try state.duration() : nil
        version = try state.integer()
        program = try state.flag() ? try state.run(limit: ConnectionState.programLimit) : nil
        try ConnectionState.checkHead(head, options)
        try checkMessage()
    }

    /// The limits of the WebSocket are known only when its handler has answered again: see `WebSocket.resume`.
    private func checkMessage() throws(StateReader.Damage) {
        var reader = WebSocketMessageReader(role: .server, maxSize: .max, maxFragments: .max)
        var fields = StateReader(message)
        try reader.read(from: &fields)
        try fields.end()
    }
}
