// What two workers say to each other when connections move, as bytes.

/// Why a connection does not move. The numbers are those of the protocol, and of metrics' labels by name.
package enum HandoverRefusal: UInt8, CaseIterable, Sendable {
    // What a successor says.
    /// The offer has fields out of their ranges, or what it passes is no connection.
    case malformed = 1
    /// The successor has no descriptor left for it.
    case noDescriptor = 2
    /// The successor does not serve that listener by that protocol.
    case noServer = 3
    /// The successor's `serve` has as many connections as it may have.
    case full = 4
    /// The successor leaves, too.
    case draining = 5
    /// The state has a version that the successor cannot read.
    case version = 6
    /// The successor cannot decode the state.
    case state = 7
    // What the predecessor says to itself.
    /// The deadline was over.
    case late = 16
    /// Its bytes and its state are too many.
    case tooLarge = 17
    /// The successor is gone.
    case gone = 18
    /// The state could not be encoded.
    case failed = 19
    /// Its handler has given no state.
    case immovable = 20
}

/// The head of every packet of a link.
struct HandoverPacket: Equatable {
    enum Kind: UInt8 {
        /// The successor serves, and speaks this version.
        case hello = 1
        /// A connection, with its descriptor.
        case offer = 2
        /// The successor holds it.
        case taken = 3
        case refused = 4
    }

    /// What cannot be understood.
    enum Defect: Error {
        case malformed
        case otherVersion
    }

    static let version: UInt16 = 1
    static let byteCount = 16
    private static let mark: [UInt8] = Array("PFHO".utf8)

    var kind: Kind
    /// `refused`: the reason. `offer`: 1 if its fields are in a memory file.
    var detail: UInt8 = 0
    /// Of the offer. 0 for `hello`.
    var number: UInt64 = 0

    init(_ kind: Kind, detail: UInt8 = 0, number: UInt64 = 0) {
        self.kind = kind
        self.detail = detail
        self.number = number
    }

    /// - Parameter bytes: a packet. What follows its head is not looked at.
    init(_ bytes: UnsafeRawBufferPointer) throws(Defect) {
        var reader = HandoverBytes(bytes)
        guard reader.take(4)?.elementsEqual(Self.mark) == true, let version: UInt16 = reader.integer() else {
            throw .malformed
        }
        // The version comes first: whatever follows belongs to it.
        guard version == Self.version else { throw .otherVersion }
        guard let code: UInt8 = reader.integer(), let detail: UInt8 = reader.integer(),
            let number: UInt64 = reader.integer(), let kind = Kind(rawValue: code), (kind == .hello) == (number == 0)
        else { throw .malformed }
        self.init(kind, detail: detail, number: number)
    }

    var bytes: [UInt8] {
        var bytes = Self.mark
        bytes.reserveCapacity(Self.byteCount)
        bytes.append(integer: Self.version)
        bytes.append(integer: kind.rawValue)
        bytes.append(integer: detail)
        bytes.append(integer: number)
        return bytes
    }
}

/// What an offer says of its connection.
struct HandoverFields: Equatable {
    /// So many bytes of fields go within the packet. More go by a memory file.
    static let mostWithin = 64 * 1024
    /// Of unread and unsent bytes and of the state, together.
    static let mostBytes = 1 << 20
    private static let mostOfListener = 256
    private static let mostOfProtocol = 64
    private static let mostOfPeer = 128
    /// Of all fields.
    static let mostInAll = mostBytes + 1024

    /// CLOCK_MONOTONIC, in nanoseconds.
    var accepted: Int64
    /// What the kernel has taken of it so far, in bytes.
    var written: UInt64
    var moves: UInt32
    var version: UInt32
    var hasReceived: Bool
    /// The listener that has accepted it, as text.
    var listener: [UInt8]
    /// Which server's state it is.
    var protocolName: [UInt8]
    /// As the kernel writes it.
    var peer: [UInt8]
    var unread: [UInt8]
    var unsent: [UInt8]
    var state: [UInt8]

    private static let hasReceivedFlag: UInt32 = 1

    /// Whether a successor would take it as far as sizes go.
    var isWithinLimits: Bool {
        listener.count <= Self.mostOfListener && protocolName.count <= Self.mostOfProtocol
            && peer.count <= Self.mostOfPeer && unread.count + unsent.count + state.count <= Self.mostBytes
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(128 + unread.count + unsent.count + state.count)
        bytes.append(integer: UInt64(bitPattern: accepted))
        bytes.append(integer: written)
        bytes.append(integer: moves)
        bytes.append(integer: version)
        bytes.append(integer: hasReceived ? Self.hasReceivedFlag : UInt32(0))
        for run in [listener, protocolName, peer, unread, unsent, state] {
            bytes.append(integer: UInt32(run.count))
            bytes += run
        }
        return bytes
    }

    init(
        accepted: Int64, written: UInt64, moves: UInt32, version: UInt32, hasReceived: Bool, listener: [UInt8],
        protocolName: [UInt8], peer: [UInt8], unread: [UInt8], unsent: [UInt8], state: [UInt8]
    ) {
        self.accepted = accepted
        self.written = written
        self.moves = moves
        self.version = version
        self.hasReceived = hasReceived
        self.listener = listener
        self.protocolName = protocolName
        self.peer = peer
        self.unread = unread
        self.unsent = unsent
        self.state = state
    }

    /// - Parameters:
    ///   - bytes: of another process, which may have written anything.
    ///   - now: no connection was accepted later.
    /// - Returns: nil for what is not exactly the fields, each within its range.
    init?(_ bytes: UnsafeRawBufferPointer, now: Int64) {
        var reader = HandoverBytes(bytes)
        guard let accepted: UInt64 = reader.integer(), let written: UInt64 = reader.integer(),
            let moves: UInt32 = reader.integer(), let version: UInt32 = reader.integer(),
            let flags: UInt32 = reader.integer(), accepted <= UInt64(max(0, now)), flags <= Self.hasReceivedFlag,
            let listener = reader.run(atMost: Self.mostOfListener),
            let protocolName = reader.run(atMost: Self.mostOfProtocol), let peer = reader.run(atMost: Self.mostOfPeer),
            let unread = reader.run(atMost: Self.mostBytes),
            let unsent = reader.run(atMost: Self.mostBytes - unread.count),
            let state = reader.run(atMost: Self.mostBytes - unread.count - unsent.count), reader.isAtEnd
        else { return nil }
        self.init(
            accepted: Int64(accepted), written: written, moves: moves, version: version,
            hasReceived: flags & Self.hasReceivedFlag != 0, listener: Array(listener),
            protocolName: Array(protocolName), peer: Array(peer), unread: Array(unread), unsent: Array(unsent),
            state: Array(state))
    }
}

/// Bytes that are read from the front, each step within what is there.
private struct HandoverBytes {
    private var rest: UnsafeRawBufferPointer.SubSequence

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ count: Int) -> UnsafeRawBufferPointer.SubSequence? {
        guard count >= 0, count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func integer<Value: FixedWidthInteger>() -> Value? {
        guard let bytes = take(MemoryLayout<Value>.size) else { return nil }
        return bytes.reversed().reduce(Value(0)) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }

    /// A length and so many bytes.
    mutating func run(atMost most: Int) -> UnsafeRawBufferPointer.SubSequence? {
        guard let count: UInt32 = integer(), Int(count) <= most else { return nil }
        return take(Int(count))
    }
}

extension [UInt8] {
    fileprivate mutating func append<Value: FixedWidthInteger>(integer value: Value) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
