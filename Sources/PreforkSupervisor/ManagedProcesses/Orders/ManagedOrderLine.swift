// Orders to stop or restart a managed process, from any process of the family to the supervisor.

package import PreforkSystem

/// An order for a managed process, sent on its `{name}-active` channel.
///
/// Orders are a kind of their own beside the messages, so that no message can be taken for one.
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
    /// The process is asked to end and is then started again. A process that does not run is started. A process of the
    /// family may ask for eight restarts of one target at once. After those it gets one each second.
    public static let restart = ControlCode(rawValue: 1)
}

/// The sending end, for one target. Works in every process that was forked after the target was added.
package struct ManagedOrderLine: Sendable {
    let manager: UInt32
    let target: Int

    /// - Throws: EAGAIN while the supervisor has too many codes to read. EPIPE when it is gone, or is another image of
    ///   the program than the one that forked this process.
    package func send(_ code: ControlCode) throws(SystemError) {
        try ManagedOrderRoute.send(ControlPacket(manager: manager, target: target, code: code.rawValue))
    }
}

/// What travels: one word.
///
/// | bits       | what                                            |
/// |------------|-------------------------------------------------|
/// | 0 ..< 8    | the code                                        |
/// | 8 ..< 32   | the target's number                             |
/// | 32 ..< 63  | which manager it is of                          |
/// | 63         | 1: it is a packet, an empty place is 0          |
struct ControlPacket: Equatable {
    static let lastTarget = 0xFF_FFFF
    static let lastManager: UInt32 = 0x7FFF_FFFF
    private static let mark: UInt64 = 1 << 63
    var manager: UInt32
    var target: Int
    var code: UInt8

    init(manager: UInt32, target: Int, code: UInt8) {
        self.manager = manager
        self.target = target
        self.code = code
    }

    var word: UInt64 {
        Self.mark | UInt64(manager & Self.lastManager) << 32 | UInt64(truncatingIfNeeded: target & Self.lastTarget) << 8
            | UInt64(code)
    }

    /// - Returns: nil if the words are no packet.
    init?(word: UInt64) {
        guard word & Self.mark != 0 else { return nil }
        self.init(
            manager: UInt32(truncatingIfNeeded: word >> 32) & Self.lastManager,
            target: Int(word >> 8 & UInt64(Self.lastTarget)), code: UInt8(truncatingIfNeeded: word))
    }
}
