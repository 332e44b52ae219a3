// Memory files that are used again: fresh ones cost more in page faults than the bytes do in copying.

import PreforkStore
import PreforkSystem
import Synchronization

/// A few memory files of one lane's sender. One that was sent is the receiver's until it says otherwise, by a word in
/// shared memory: the number of the packet that it went with, 0 when the receiver has read it.
final class PayloadPool: Sendable {
    static let slotCount = 4
    /// Larger files are not kept: a channel keeps at most 16 MiB in each direction.
    private static let largestKept = 4 << 20

    private struct Slot {
        var file: ReusableMemoryFile?
        /// A message waits in it to be sent.
        var isPrepared = false
    }

    private struct State {
        var process: UInt64 = 0
        var slots: [Slot] = []
    }

    private let memory: ChannelMemory
    private let lane: ChannelMemory.Lane
    private let side: EndSide
    private let ring: ByteRing
    private let state = Mutex(State())

    init(_ memory: ChannelMemory, _ lane: ChannelMemory.Lane, from side: EndSide) {
        self.memory = memory
        self.lane = lane
        self.side = side
        ring = memory.ring(lane, from: side)
    }

    /// A file that holds `bytes`.
    func file(with bytes: UnsafeRawBufferPointer) throws(SystemError) -> PayloadFile {
        // Sizes are powers of two, so that a file serves for messages of about one size.
        let capacity = 1 << (Int.bitWidth - (bytes.count - 1).leadingZeroBitCount)
        guard capacity <= Self.largestKept, let (slot, kept) = reserve(capacity) else {
            return try PayloadFile(bytes, in: try ReusableMemoryFile(byteCount: bytes.count), of: nil, slot: nil)
        }
        do throws(SystemError) {
            let file = if let kept { kept } else { try ReusableMemoryFile(byteCount: capacity) }
            if kept == nil { state.withLock { if $0.process == ForkCount.current { $0.slots[slot].file = file } } }
            return try PayloadFile(bytes, in: file, of: self, slot: slot)
        } catch {
            release(slot)
            throw error
        }
    }

    /// A free slot, and its file if that has the capacity.
    private func reserve(_ capacity: Int) -> (slot: Int, ReusableMemoryFile?)? {
        state.withLock { state in
            if state.process != ForkCount.current {
                // A parent's files may be on their way from the parent.
                state = State(process: ForkCount.current, slots: Array(repeating: Slot(), count: Self.slotCount))
            }
            var free = state.slots.indices.filter { isFree($0, state) }
            if free.isEmpty, ring.isEmpty {
                // No record refers to any of them: their holder died before it gave them back.
                for slot in state.slots.indices where !state.slots[slot].isPrepared {
                    word(slot).pointee.store(0, ordering: .relaxed)
                }
                free = state.slots.indices.filter { isFree($0, state) }
            }
            guard let slot = free.first(where: { state.slots[$0].file?.byteCount == capacity }) ?? free.first else {
                return nil
            }
            state.slots[slot].isPrepared = true
            if state.slots[slot].file?.byteCount != capacity { state.slots[slot].file = nil }
            return (slot, state.slots[slot].file)
        }
    }

    private func isFree(_ slot: Int, _ state: borrowing State) -> Bool {
        !state.slots[slot].isPrepared && word(slot).pointee.load(ordering: .acquiring) == 0
    }

    /// The message in it is sent, or never will be.
    func release(_ slot: Int) {
        state.withLock { state in
            if state.process == ForkCount.current { state.slots[slot].isPrepared = false }
        }
    }

    private func word(_ slot: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        memory.poolWord(slot, lane, from: side)
    }

    /// Runs at the sender, before the packet goes.
    func give(_ slot: Int, packet: UInt64) {
        word(slot).pointee.store(packet, ordering: .releasing)
    }

    /// Runs at the sender, when the packet could not go.
    func takeBack(_ slot: Int) {
        word(slot).pointee.store(0, ordering: .releasing)
    }
}

extension ChannelMemory {
    /// Runs at the receiver, which has read the file. Another sender may use the slot by now, with another packet.
    func giveBack(_ slot: Int, packet: UInt64, _ lane: Lane, from side: EndSide) {
        _ = poolWord(slot, lane, from: side).pointee.compareExchange(
            expected: packet, desired: 0, ordering: .acquiringAndReleasing)
    }
}
