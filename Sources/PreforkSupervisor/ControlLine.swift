// How a managed process, and every other of the family, tells the supervisor to stop or restart it.

package import PreforkSystem

/// An order for a managed process, sent on its `{name}-active` channel: beside the messages, as a kind of its own, so
/// that no message can ever be taken for one.
///
/// Follows liteyuki's ProcessManager, where the numbers 0 and 1 among the data were the orders.
public struct ControlCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    /// Codes other than 0 and 1 are reported, counted and ignored.
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The process is asked to end and is not started again.
    public static let stop = ControlCode(rawValue: 0)
    /// The process is asked to end and is then started again; one that does not run is started.
    public static let restart = ControlCode(rawValue: 1)
}

/// The sending end, for one target. Works in every process that was forked after the target was added.
package struct ControlLine: Sendable {
    let socket: Int32
    let target: Int

    /// - Throws: EAGAIN while the supervisor has too many packets to read; EPIPE when it is gone.
    package func send(_ code: ControlCode) throws(SystemError) {
        let packet = ControlPacket(target: target, code: code.rawValue)
        let isSent = try withUnsafeBytes(of: packet.word) { bytes throws(SystemError) in
            try DescriptorPassing.send(bytes, passing: [], to: socket)
        }
        if !isSent { throw SystemError("sendmsg", .wouldBlock, on: "control line \(socket)") }
    }
}

/// What travels: eight bytes in a packet of their own.
///
/// | bits    | what                       |
/// |---------|----------------------------|
/// | 0 ..< 8 | the code                   |
/// | 8 ..< 32| 0x434F44: it is a packet of this kind |
/// | 32 ..< 64 | the target's number      |
struct ControlPacket: Equatable {
    private static let mark: UInt64 = 0x43_4F44
    var target: Int
    var code: UInt8

    init(target: Int, code: UInt8) {
        self.target = target
        self.code = code
    }

    var word: UInt64 {
        UInt64(UInt32(truncatingIfNeeded: target)) << 32 | Self.mark << 8 | UInt64(code)
    }

    /// - Returns: nil for what is none.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 8 else { return nil }
        let word = bytes.loadUnaligned(as: UInt64.self)
        guard word >> 8 & 0xFF_FFFF == Self.mark else { return nil }
        self.init(target: Int(word >> 32), code: UInt8(truncatingIfNeeded: word))
    }
}

/// Both ends of the line; the supervisor alone keeps the receiving one.
struct ControlInbox: ~Copyable {
    /// At most so many packets at a time: who sends without end must not keep the supervisor from its other work.
    static let packetsPerTurn = 64
    private let ends: PacketPair

    init() throws(SystemError) {
        ends = try PacketPair()
    }

    var receiving: Int32 { ends.first.number }
    var sending: Int32 { ends.second.number }

    enum Received {
        case packet(ControlPacket)
        case stray(bytes: Int)
    }

    /// The next packet; nil when none waits.
    func next() throws(SystemError) -> Received? {
        var word: (UInt64, UInt64) = (0, 0)
        return try withUnsafeMutableBytes(of: &word) { bytes throws(SystemError) -> Received? in
            guard let packet = try DescriptorPassing.receive(into: bytes, from: receiving) else { return nil }
            closeDescriptors(packet.descriptors)
            let received = UnsafeRawBufferPointer(rebasing: bytes.prefix(packet.byteCount))
            guard !packet.isTruncated, let control = ControlPacket(received) else {
                return .stray(bytes: packet.byteCount)
            }
            return .packet(control)
        }
    }
}
