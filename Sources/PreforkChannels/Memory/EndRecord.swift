// The owner of a channel's end, and which process may take it.

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
    /// How many processes have been at this end, which is also the present one's number.
    var generation: UInt64
    /// The last generation that has closed the end, or 0.
    var closedGeneration: UInt64
    /// The bits of `closed`.
    var closedBits: UInt64 = 0
    /// The owner's slot. All zero if the owner fills no slot.
    var slot = EndSlot(identity: 0, spawn: 0)
    /// The bits of `succeeded`.
    var succeededBits: UInt64 = 0

    var closed: ClosedGenerations { ClosedGenerations(bits: closedBits, newest: generation) }

    /// The process that has left the end to a successor of the same slot, in order.
    var succeeded: ClosedGenerations { ClosedGenerations(bits: succeededBits, newest: generation) }

    var isClosed: Bool { generation > 0 && closedGeneration == generation }

    enum Attachment: Hashable, Sendable {
        case take(generation: UInt64)
        /// The predecessor has made it this process's.
        case handedOver(generation: UInt64)
        /// Another process of the same slot has it, and hands it over when it leaves.
        case wait
        case inUse(pid: Int32)
    }

    /// Whether `process` may take the end. It must not be there already.
    ///
    /// An end that was closed is free even if its process lives. So is an end that its process has left in order.
    func attachment(
        of process: ProcessIdentity, _ slot: EndSlot? = nil, isAlive: (ProcessIdentity) -> Bool
    ) -> Attachment {
        let next = Attachment.take(generation: generation &+ 1)
        guard let owner, !isClosed else { return next }
        if owner == process { return slot != nil && slot == self.slot ? .handedOver(generation: generation) : next }
        guard isAlive(owner) else { return next }
        return slot?.identity == self.slot.identity ? .wait : .inUse(pid: owner.pid)
    }
}

/// What a process that comes to an end finds of its predecessors'.
enum EndLegacy: Hashable, Sendable {
    /// The last one has died. Calls that it had not taken have failed: their callers were promised no successor.
    case messages
    /// The last one has died, and callers wait for the process that comes now.
    case messagesAndCalls
    /// The last one has left the end in order, or there was none.
    case all
}

/// The slot of a process at an end, as the memory of a channel has it (see `ProcessSlot`).
struct EndSlot: Hashable, Sendable {
    /// 0 if the process fills no slot.
    var identity: UInt64
    var spawn: UInt64

    init(identity: UInt64, spawn: UInt64) {
        self.identity = identity
        self.spawn = spawn
    }

    /// This process's slot. If nil, it fills no slot.
    static var current: EndSlot? { ProcessSlot.current.map { EndSlot(identity: $0.identity, spawn: $0.spawn) } }
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
