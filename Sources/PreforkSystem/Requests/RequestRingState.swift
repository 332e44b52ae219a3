// A process's private record of its own request marks.

import Synchronization

/// The private half of a `RequestRing`.
struct RequestRingState: ~Copyable {
    static let allOnLoop: UInt64 = (1 << 32) - 1
    private static let allElsewhere: UInt64 = (1 << 16) - 1
    /// No mark has this number: another thread than the loop's is about to empty the slot.
    static let ending: UInt64 = 1

    let base: UnsafeMutableRawPointer
    /// Which mark is in a slot, or 0 for a free slot. What `end` believes, instead of the shared words.
    let owners: UnsafeMutablePointer<Atomic<UInt64>>

    /// Set before the process has a second thread.
    var loop: UnsafeMutableRawPointer?

    // On the loop's thread only. No function changes the struct as a whole, because other threads read it meanwhile.
    /// When this turn of the loop began, in nanoseconds.
    var turn: UInt64 = 0
    /// The task that runs on the loop.
    var task: UInt64 = 0
    /// A bit for each slot. One that was freed by another thread is missing until `reclaim`.
    var freeOnLoop = Self.allOnLoop
    var freeConnections: UInt64 = (1 << 16) - 1
    /// The number of the loop's last mark. Even numbers belong to the loop, odd numbers to other threads.
    var sequence: UInt64 = 0
    var live: UInt64 = 0
    var connections: UInt64 = 0

    // From any thread.
    private let freeElsewhere = Atomic<UInt64>(Self.allElsewhere)
    private let sequenceElsewhere = Atomic<UInt64>(1)
    private let isSpareTaken = Atomic<UInt64>(0)

    init(base: UnsafeMutableRawPointer) {
        self.base = base
        // Proof: as many as there are slots, and every index is a slot of the layout. Never freed, as the ring.
        owners = .allocate(capacity: RequestRingLayout.slotCount)
        for slot in 0..<RequestRingLayout.slotCount { (owners + slot).initialize(to: Atomic(0)) }
    }

    @inline(__always)
    var isOnLoop: Bool { loop != nil && ThreadLoop.current == loop }

    func nextElsewhere() -> UInt64 { sequenceElsewhere.wrappingAdd(2, ordering: .relaxed).newValue }

    func takeElsewhere() -> Int? {
        var free = freeElsewhere.load(ordering: .relaxed)
        while free != 0 {
            let (isTaken, now) = freeElsewhere.weakCompareExchange(
                expected: free, desired: free & (free &- 1), ordering: .acquiringAndReleasing)
            if isTaken { return RequestRingLayout.firstElsewhere + free.trailingZeroBitCount }
            free = now
        }
        return nil
    }

    func giveElsewhere(_ slot: Int) {
        freeElsewhere.bitwiseOr(1 << UInt64(slot - RequestRingLayout.firstElsewhere), ordering: .releasing)
    }

    func lockSpare() -> Bool { isSpareTaken.exchange(1, ordering: .acquiring) == 0 }

    func unlockSpare() { isSpareTaken.store(0, ordering: .releasing) }
}
