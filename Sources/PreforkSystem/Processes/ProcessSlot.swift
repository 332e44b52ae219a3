// The place of a service that a process fills, and that its successor fills after it.

/// A worker's slot or a managed process's target, and which of its processes this one is.
///
/// What belongs to a slot, such as the end of a channel, goes from one process of the slot to the next. A process that
/// no supervisor has made fills no slot.
package struct ProcessSlot: Sendable {
    /// An order of the supervisor to this process.
    package enum Order: Sendable {
        case stay
        /// It ends. Whether another process will fill the slot is not known.
        case leave
        /// It ends, and the slot is given up (scale down).
        case giveUp
        /// It ends, and another process of the slot takes its place.
        case makeRoom
        /// It ends, and another process of the slot is ready in its place.
        case succeeded
        /// It ends with the whole service: no other process comes.
        case end
    }

    /// The same number in every process of the slot, and another one in every other slot. Never 0.
    package let identity: UInt64
    /// Grows from one process of the slot to the next. Never 0.
    package let spawn: UInt64
    private let readOrder: @Sendable () -> Order

    package init(identity: UInt64, spawn: UInt64, order: @escaping @Sendable () -> Order) {
        self.identity = identity
        self.spawn = spawn
        readOrder = order
    }

    /// Read from the supervisor's words each time.
    package var order: Order { readOrder() }

    package static func identity(ofWorker taskID: Int, of supervisor: Int32) -> UInt64 {
        hash("worker \(taskID) of \(supervisor)")
    }

    package static func identity(ofProcess name: String, of manager: Int32) -> UInt64 {
        hash("process of \(manager): \(name)")
    }

    /// FNV-1a: the same in every process and in every image of the program, as Swift's own hashes are not.
    private static func hash(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash | 1
    }

    // Proof: written once by the only thread of a freshly forked child, before it runs any code of the program.
    private nonisolated(unsafe) static var entered: (process: UInt64, slot: ProcessSlot)?

    /// The slot of this process. A child that this process forks itself has no slot.
    package static var current: ProcessSlot? {
        guard let entered, entered.process == ForkCount.current else { return nil }
        return entered.slot
    }

    /// This process, which has just been forked, fills `slot`.
    package static func enter(_ slot: ProcessSlot) {
        entered = (ForkCount.current, slot)
    }
}
