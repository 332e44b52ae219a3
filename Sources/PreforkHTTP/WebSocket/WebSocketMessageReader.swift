// Bytes in, messages out: the receiving half of RFC 6455 as a value.

/// What has come from the peer.
enum WebSocketEvent: Equatable, Sendable {
    case message(WebSocketMessage)
    case ping([UInt8])
    case pong([UInt8])
    /// `.noStatus` for a close frame without a code.
    case close(WebSocketCloseCode, reason: String)
}

/// Puts messages together. It takes what has arrived, in pieces of any size, and refuses at the first wrong byte.
///
/// Memory follows what was really sent: a length that is announced allocates nothing.
struct WebSocketMessageReader {
    private enum Kind {
        case text, binary
    }

    /// Memory that is kept for the next message.
    private static let keptCapacity = 16 * 1024

    private let role: WebSocketRole
    private let maxSize: Int
    private let maxFragments: Int
    /// The frame whose payload is arriving, and how much of that has come.
    private var frame: WebSocketFrameHead?
    private var received = 0
    /// The message whose fragments are arriving.
    private var kind: Kind?
    private var payload: [UInt8] = []
    private var fragments = 0
    private var checker = UTF8Checker()
    private var control: [UInt8] = []

    init(role: WebSocketRole, maxSize: Int, maxFragments: Int) {
        self.role = role
        self.maxSize = max(0, maxSize)
        self.maxFragments = max(1, maxFragments)
    }

    /// Whether no message and no frame has begun.
    var isBetweenMessages: Bool { kind == nil && frame == nil }

    /// Takes bytes from the front of `bytes`, up to the end of the next event.
    ///
    /// - Parameter consumed: how many of them were taken.
    /// - Returns: nil if more must come.
    mutating func next(
        _ bytes: UnsafeRawBufferPointer, consumed: inout Int
    ) throws(WebSocketViolation) -> WebSocketEvent? {
        consumed = 0
        while true {
            if frame == nil {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
                guard let (head, count) = try WebSocketFrameHead.read(rest, by: role) else { return nil }
                if let message = try message(in: UnsafeRawBufferPointer(rebasing: rest[count...]), head) {
                    consumed += count + head.count
                    return .message(message)
                }
                try begin(head)
                consumed += count
            }
            guard let frame else { return nil }
            let piece = UnsafeRawBufferPointer(rebasing: bytes[consumed...].prefix(frame.count - received))
            try take(piece, of: frame)
            consumed += piece.count
            guard received == frame.count else { return nil }
            self.frame = nil
            if let event = try end(frame) { return event }
        }
    }

    /// The message of a frame that is a whole one and has come as a whole, as most are: its bytes are copied once, to
    /// where the program will have them.
    ///
    /// - Returns: nil for any other frame.
    private func message(
        in rest: UnsafeRawBufferPointer, _ head: WebSocketFrameHead
    ) throws(WebSocketViolation) -> WebSocketMessage? {
        guard head.isFinal, head.count <= rest.count, head.count <= maxSize, kind == nil else { return nil }
        let source = UnsafeRawBufferPointer(rebasing: rest[..<head.count])
        switch head.opcode {
        case .binary:
            // Not by `unsafeUninitializedCapacity`, which looks the storage's generic type up at each call.
            var bytes = Array(source)
            if let mask = head.mask { bytes.withUnsafeMutableBytes { mask.apply(to: $0, at: 0) } }
            return .binary(bytes)
        case .text:
            var isText = true
            let text = String(unsafeUninitializedCapacity: head.count) { memory in
                Self.copy(source, head.mask, to: UnsafeMutableRawBufferPointer(memory))
                var checker = UTF8Checker()
                isText = checker.accept(UnsafeRawBufferPointer(memory).part(0..<head.count)) && checker.isComplete
                return isText ? head.count : 0
            }
            if !isText { throw WebSocketViolation(.invalidPayload, "text that is not UTF-8") }
            return .text(text)
        case .continuation, .close, .ping, .pong: return nil
        }
    }

    /// - Parameter memory: of at least as many bytes. `String` may offer more.
    @inline(__always)
    private static func copy(
        _ source: UnsafeRawBufferPointer, _ mask: WebSocketMask?, to memory: UnsafeMutableRawBufferPointer
    ) {
        let target = UnsafeMutableRawBufferPointer(rebasing: memory[..<source.count])
        target.copyMemory(from: source)
        mask?.apply(to: target, at: 0)
    }

    /// Checks what only the sequence of frames shows.
    private mutating func begin(_ head: WebSocketFrameHead) throws(WebSocketViolation) {
        frame = head
        received = 0
        switch head.opcode {
        case .text, .binary:
            guard kind == nil else { throw .protocolError("a message within a message") }
            kind = head.opcode == .text ? .text : .binary
            fragments = 1
        case .continuation:
            guard kind != nil else { throw .protocolError("a continuation without a message") }
            fragments += 1
            guard fragments <= maxFragments else {
                throw WebSocketViolation(.policyViolation, "more than \(maxFragments) fragments")
            }
        case .close, .ping, .pong: return control.removeAll(keepingCapacity: true)
        }
        guard head.count <= maxSize - payload.count else {
            throw WebSocketViolation(.messageTooBig, "more than \(maxSize) bytes")
        }
    }

    private mutating func take(_ piece: UnsafeRawBufferPointer, of frame: WebSocketFrameHead) throws(WebSocketViolation)
    {
        guard !piece.isEmpty else { return }
        let offset = received
        received += piece.count
        if frame.opcode.isControl { return Self.append(piece, frame.mask, offset, to: &control) }
        let start = payload.count
        Self.append(piece, frame.mask, offset, to: &payload)
        guard kind == .text else { return }
        let isText = payload.withUnsafeBytes { checker.accept(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        if !isText { throw WebSocketViolation(.invalidPayload, "text that is not UTF-8") }
    }

    private static func append(
        _ piece: UnsafeRawBufferPointer, _ mask: WebSocketMask?, _ offset: Int, to bytes: inout [UInt8]
    ) {
        let start = bytes.count
        bytes.append(contentsOf: piece)
        guard let mask else { return }
        bytes.withUnsafeMutableBytes { mask.apply(to: .init(rebasing: $0[start...]), at: offset) }
    }

    private mutating func end(_ frame: WebSocketFrameHead) throws(WebSocketViolation) -> WebSocketEvent? {
        switch frame.opcode {
        case .ping: return .ping(control)
        case .pong: return .pong(control)
        case .close: return try Self.close(control)
        case .text, .binary, .continuation: return frame.isFinal ? try endMessage() : nil
        }
    }

    private mutating func endMessage() throws(WebSocketViolation) -> WebSocketEvent {
        guard checker.isComplete else { throw WebSocketViolation(.invalidPayload, "text that is not UTF-8") }
        defer { kind = nil }
        if kind == .text {
            let text = String(decoding: payload, as: UTF8.self)
            payload.removeAll(keepingCapacity: payload.capacity <= Self.keptCapacity)
            return .message(.text(text))
        }
        let bytes = payload
        payload = []
        return .message(.binary(bytes))
    }

    private static func close(_ payload: [UInt8]) throws(WebSocketViolation) -> WebSocketEvent {
        if payload.isEmpty { return .close(.noStatus, reason: "") }
        guard payload.count >= 2 else { throw .protocolError("half of a close code") }
        let code = WebSocketCloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
        guard code.maySend else { throw .protocolError("a close code that may not be sent") }
        var checker = UTF8Checker()
        let isText = payload.withUnsafeBytes { checker.accept(UnsafeRawBufferPointer(rebasing: $0[2...])) }
        guard isText, checker.isComplete else {
            throw WebSocketViolation(.invalidPayload, "a close reason that is not UTF-8")
        }
        return .close(code, reason: String(decoding: payload[2...], as: UTF8.self))
    }
}

// The message in hand as the state of a connection that moves to another process.
extension WebSocketMessageReader {
    func write(to state: inout StateWriter) {
        state.append(UInt8(kind == nil ? 0 : kind == .text ? 1 : 2))
        if kind != nil {
            state.append(UInt32(clamping: fragments))
            state.append(payload)
        }
        state.append(UInt8(frame == nil ? 0 : 1))
        guard let frame else { return }
        state.append(frame.opcode.rawValue)
        state.append(UInt8(frame.isFinal ? 1 : 0))
        state.append(UInt64(frame.count))
        state.append(UInt64(received))
        state.append(frame.mask?.word ?? 0)
        state.append(frame.opcode.isControl ? control : [])
    }

    /// Continues with the message that another reader had in hand. The limits are those of this one.
    ///
    /// - Throws: for what no reader with these limits could have in hand.
    mutating func read(from state: inout StateReader) throws(StateReader.Damage) {
        switch try state.integer(in: UInt8(0)...2) {
        case 0: kind = nil
        case let number:
            kind = number == 1 ? .text : .binary
            fragments = Int(try state.integer(in: 1...UInt32(clamping: maxFragments)))
            payload = try state.run(limit: maxSize)
        }
        // The state of the checker is what it makes of the bytes so far.
        guard kind != .text || payload.withUnsafeBytes({ checker.accept($0) }) else { throw StateReader.Damage() }
        guard try state.flag() else { return }
        guard let opcode = WebSocketOpcode(rawValue: try state.integer()) else { throw StateReader.Damage() }
        let isFinal = try state.flag()
        let count = Int(try state.integer(in: 0...UInt64(Int.max)))
        received = Int(try state.integer(in: 0...UInt64(count)))
        let key = try state.integer(UInt32.self)
        frame = WebSocketFrameHead(
            opcode: opcode, isFinal: isFinal, count: count, mask: role == .server ? WebSocketMask(word: key) : nil)
        control = try state.run(limit: WebSocketFrameHead.maxControlPayload)
        try checkFrame()
    }

    private func checkFrame() throws(StateReader.Damage) {
        // A frame that is complete is in hand no more.
        guard let frame, received < frame.count else { throw StateReader.Damage() }
        if frame.opcode.isControl {
            guard frame.isFinal, frame.count <= WebSocketFrameHead.maxControlPayload, control.count == received else {
                throw StateReader.Damage()
            }
        } else {
            guard kind != nil, control.isEmpty, received <= payload.count,
                frame.count <= maxSize - (payload.count - received)
            else { throw StateReader.Damage() }
        }
    }
}
