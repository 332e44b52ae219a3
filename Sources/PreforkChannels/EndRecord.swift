// Who is at an end of a channel, and who may come.

import PreforkSystem

/// The two ends of a channel.
enum EndSide: Int, Sendable {
    /// The process that made the channel.
    case creator = 0
    /// Any other.
    case peer = 1

    var other: EndSide { self == .creator ? .peer : .creator }
}

/// What the header says about one end.
struct EndRecord: Hashable, Sendable {
    /// Nil before the first process.
    var owner: ProcessIdentity?
    /// How many processes have been at this end; the present one's number.
    var generation: UInt64
    /// The last generation that has closed the end; 0: none.
    var closedGeneration: UInt64
    /// The bits of `closed`.
    var closedBits: UInt64 = 0

    var closed: ClosedGenerations { ClosedGenerations(bits: closedBits, newest: generation) }

    var isClosed: Bool { generation > 0 && closedGeneration == generation }

    enum Attachment: Hashable, Sendable {
        case take(generation: UInt64)
        case inUse(pid: Int32)
    }

    /// Whether `process` may take the end. It must not be there already.
    ///
    /// An end that was closed is free though its process lives: a worker that drains makes room for its successor.
    func attachment(of process: ProcessIdentity, isAlive: (ProcessIdentity) -> Bool) -> Attachment {
        let next = Attachment.take(generation: generation &+ 1)
        guard let owner, !isClosed, owner != process else { return next }
        return isAlive(owner) ? .inUse(pid: owner.pid) : next
    }
}

/// Which generations have closed their end, as far as that is known: the last 64. The others have died.
struct ClosedGenerations: Hashable, Sendable {
    /// Bit n & 63 is generation n's.
    var bits: UInt64
    /// To be read after the bits.
    var newest: UInt64

    static func bit(of generation: UInt64) -> UInt64 { 1 << (generation & 63) }

    func contains(_ generation: UInt64) -> Bool {
        generation > 0 && newest >= generation && newest &- generation < 64 && bits & Self.bit(of: generation) != 0
    }
}
