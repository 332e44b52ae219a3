// Frames (RFC 6455, section 5.2): reading their heads, and writing them.

/// What a frame is.
enum WebSocketOpcode: UInt8, Sendable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    var isControl: Bool { rawValue >= 8 }
}

/// Which end of a connection this process is. Clients mask what they send, servers do not.
enum WebSocketRole: Sendable {
    case server, client
}

/// What the peer has done against RFC 6455 or a limit, and the code to close with.
struct WebSocketViolation: Error, Equatable, Sendable {
    let code: WebSocketCloseCode
    let reason: String

    init(_ code: WebSocketCloseCode, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    /// Most of them.
    static func protocolError(_ reason: String) -> WebSocketViolation { WebSocketViolation(.protocolError, reason) }
}

/// The head of a frame.
struct WebSocketFrameHead: Equatable, Sendable {
    /// The most bytes that the payload of a control frame may have (RFC 6455, section 5.5).
    static let maxControlPayload = 125

    var opcode: WebSocketOpcode
    /// The last fragment of its message.
    var isFinal: Bool
    /// How many bytes of payload follow.
    var count: Int
    var mask: WebSocketMask?

    /// Reads the head at the front of `bytes`.
    ///
    /// - Parameter role: of the reader.
    /// - Returns: the head and how many bytes it has, or nil if more bytes must come first.
    /// - Throws: for what breaks RFC 6455, as soon as the byte that breaks it is there.
    static func read(
        _ bytes: UnsafeRawBufferPointer, by role: WebSocketRole
    ) throws(WebSocketViolation) -> (head: WebSocketFrameHead, count: Int)? {
        guard bytes.count >= 1 else { return nil }
        let first = bytes[0]
        guard first & 0x70 == 0 else { throw .protocolError("reserved bits without an extension") }
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else { throw .protocolError("unknown opcode") }
        let isFinal = first & 0x80 != 0
        if opcode.isControl, !isFinal { throw .protocolError("fragmented control frame") }
        guard bytes.count >= 2 else { return nil }
        let isMasked = bytes[1] & 0x80 != 0
        if isMasked != (role == .server) { throw .protocolError(isMasked ? "masked frame" : "unmasked frame") }
        let short = bytes[1] & 0x7F
        if opcode.isControl, short > maxControlPayload { throw .protocolError("control frame above 125 bytes") }
        guard let (count, sizeEnd) = try readLength(short, bytes) else { return nil }
        guard isMasked else {
            return (WebSocketFrameHead(opcode: opcode, isFinal: isFinal, count: count, mask: nil), sizeEnd)
        }
        guard bytes.count >= sizeEnd + 4 else { return nil }
        let mask = WebSocketMask(bytes.loadUnaligned(fromByteOffset: sizeEnd, as: SIMD4<UInt8>.self))
        return (WebSocketFrameHead(opcode: opcode, isFinal: isFinal, count: count, mask: mask), sizeEnd + 4)
    }

    /// - Returns: the payload's length, and where the field ends.
    private static func readLength(
        _ short: UInt8, _ bytes: UnsafeRawBufferPointer
    ) throws(WebSocketViolation) -> (Int, Int)? {
        switch short {
        case 126:
            guard bytes.count >= 4 else { return nil }
            let length = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
            guard length >= 126 else { throw .protocolError("length not in its shortest form") }
            return (Int(length), 4)
        case 127:
            guard bytes.count >= 10 else { return nil }
            let length = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            guard let count = Int(exactly: length) else { throw .protocolError("length above 2^63") }
            guard count > 0xFFFF else { throw .protocolError("length not in its shortest form") }
            return (count, 10)
        default: return (Int(short), 2)
        }
    }

    /// The most bytes that a head has.
    static let maxLength = 14

    /// Writes a frame with this payload.
    ///
    /// - Parameter memory: of at least `maxLength` bytes and the payload's.
    /// - Returns: how many bytes the frame has.
    static func write(
        _ opcode: WebSocketOpcode, isFinal: Bool = true, mask: WebSocketMask? = nil, _ payload: UnsafeRawBufferPointer,
        to memory: UnsafeMutableRawBufferPointer
    ) -> Int {
        let count = payload.count
        // A caller that has not reserved enough must not write behind the memory. No input decides it.
        precondition(memory.count - maxLength >= count, "\(count) bytes of payload were not reserved")
        let flag: UInt8 = mask == nil ? 0 : 0x80
        memory[0] = (isFinal ? 0x80 : 0) | opcode.rawValue
        var end = 2
        if count < 126 {
            memory[1] = flag | UInt8(truncatingIfNeeded: count)
        } else if count <= 0xFFFF {
            memory[1] = flag | 126
            memory.storeBytes(of: UInt16(count).bigEndian, toByteOffset: 2, as: UInt16.self)
            end = 4
        } else {
            memory[1] = flag | 127
            memory.storeBytes(of: UInt64(count).bigEndian, toByteOffset: 2, as: UInt64.self)
            end = 10
        }
        if let mask {
            memory.storeBytes(of: mask.key, toByteOffset: end, as: SIMD4<UInt8>.self)
            end += 4
        }
        let body = UnsafeMutableRawBufferPointer(rebasing: memory[end..<end + count])
        body.copyMemory(from: payload)
        mask?.apply(to: body, at: 0)
        return end + count
    }

    /// The payload of a close frame: nothing, or a code and a reason.
    static func closePayload(_ code: WebSocketCloseCode?, _ reason: String = "") -> [UInt8] {
        guard let code, code.maySend else { return [] }
        return [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)] + reason.utf8.prefix(maxControlPayload - 2)
    }
}
