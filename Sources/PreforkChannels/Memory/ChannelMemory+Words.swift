// The words that both ends of a channel share: which processes are there, and which generations have closed.

import PreforkSystem
import Synchronization

extension ChannelMemory {
    func poolWord(_ slot: Int, _ lane: Lane, from side: EndSide) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(1280 + 32 * (lane.rawValue * 2 + side.rawValue) + 8 * slot)
    }

    func word(_ index: Int, of side: EndSide) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(128 + 64 * side.rawValue + 8 * index)
    }

    @inline(__always)
    func slotWord(_ index: Int, of side: EndSide) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(1408 + 64 * side.rawValue + 8 * index)
    }

    @inline(__always)
    var isCorrupt: Bool { word(0).pointee.load(ordering: .relaxed) != 0 }

    /// Closes the channel for good.
    func markCorrupt() {
        word(0).pointee.store(1, ordering: .sequentiallyConsistent)
        ringBell(of: .creator)
        ringBell(of: .peer)
    }

    @inline(__always)
    func generation(of side: EndSide) -> UInt64 { word(2, of: side).pointee.load(ordering: .acquiring) }

    @inline(__always)
    func closedGeneration(of side: EndSide) -> UInt64 { word(3, of: side).pointee.load(ordering: .acquiring) }

    func closedGenerations(of side: EndSide) -> ClosedGenerations {
        let bits = word(4, of: side).pointee.load(ordering: .acquiring)
        return ClosedGenerations(bits: bits, newest: generation(of: side))
    }

    @inline(__always)
    func isClosed(_ side: EndSide) -> Bool {
        let closed = closedGeneration(of: side)
        return closed != 0 && closed == generation(of: side)
    }

    /// Whether the process at an end takes no more calls because it was asked to stop, and no successor will take them.
    @inline(__always)
    func isStopping(_ side: EndSide) -> Bool {
        let stopping = slotWord(6, of: side).pointee.load(ordering: .sequentiallyConsistent)
        return stopping != 0 && stopping == generation(of: side)
    }

    func noteStop(_ side: EndSide, generation: UInt64) {
        slotWord(6, of: side).pointee.store(generation, ordering: .sequentiallyConsistent)
    }

    /// Calls that end in front of it were for processes that were at that end before.
    func firstCall(of side: EndSide) -> UInt64 { slotWord(7, of: side).pointee.load(ordering: .acquiring) }

    /// The channel as operators see it: out of shared memory, without a lock, any of it possibly wrong.
    var row: SharedObjects.Channel {
        var row = SharedObjects.Channel(name: name)
        row.isCorrupt = isCorrupt
        row.ends = [end(.creator, "creator"), end(.peer, "peer")]
        return row
    }

    private func end(_ side: EndSide, _ name: String) -> SharedObjects.Channel.End {
        let record = record(of: side)
        let ring = ring(.messages, from: side)
        let waiting = ring.waitingRecords
        return SharedObjects.Channel.End(
            name: name, pid: record.owner?.pid, generation: record.generation, isClosed: record.isClosed,
            sent: ring.sent.pointee.load(ordering: .relaxed), waiting: waiting.count, waitingBytes: waiting.bytes)
    }

    /// A consistent snapshot of an end, even if another process changes it meanwhile: the generation is stored last.
    ///
    /// Attaching takes a dozen stores. A generation that changes all the time is damage, and any picture of it will do.
    func record(of side: EndSide) -> EndRecord {
        var attempts = 0
        while true {
            attempts += 1
            let generation = generation(of: side)
            let pid = Int32(truncatingIfNeeded: word(0, of: side).pointee.load(ordering: .acquiring))
            let startTime = word(1, of: side).pointee.load(ordering: .acquiring)
            let closed = closedGeneration(of: side)
            let bits = word(4, of: side).pointee.load(ordering: .acquiring)
            let slot = slotWord(0, of: side).pointee.load(ordering: .acquiring)
            let spawn = slotWord(1, of: side).pointee.load(ordering: .acquiring)
            let succeeded = slotWord(5, of: side).pointee.load(ordering: .acquiring)
            guard attempts > 1_000 || generation == self.generation(of: side) else { continue }
            let owner = pid > 0 ? ProcessIdentity(pid: pid, startTime: startTime) : nil
            return EndRecord(
                owner: owner, generation: generation, closedGeneration: closed, closedBits: bits,
                slot: EndSlot(identity: slot, spawn: spawn), succeededBits: succeeded)
        }
    }

    /// The result of a process's attempt to attach to an end.
    enum Coming: Hashable, Sendable {
        case isHere(generation: UInt64)
        /// A predecessor of the same slot has it, and knows that this process waits.
        case mustWait(isNew: Bool)
    }

    /// Makes `process` the owner of an end, or the process that waits for it, or tells why not.
    ///
    /// - Parameters:
    ///   - slot: the slot of that process. If nil, it fills no slot.
    ///   - prepare: called under the lock with the new generation, before any process sees it. It returns the position
    ///     in the ring from which on calls are the new process's.
    func attach(
        _ process: ProcessIdentity, _ slot: EndSlot? = nil, to side: EndSide,
        prepare: (_ generation: UInt64, _ legacy: EndLegacy) -> UInt64
    ) throws(ChannelError) -> Coming {
        try lockHeader()
        defer { lock.unlock() }
        let record = record(of: side)
        switch record.attachment(of: process, slot, isAlive: { $0.isAlive }) {
        case .inUse(let pid):
            throw ChannelError(.endInUse(pid: pid), channel: name)
        case .wait:
            return .mustWait(isNew: claim(side, process, slot))
        case .handedOver(let generation):
            _ = prepare(generation, .all)
            return .isHere(generation: generation)
        case .take(let generation):
            let firstCall = prepare(generation, legacy(of: record))
            give(side, to: process, slot, generation: generation, firstCall: firstCall)
            return .isHere(generation: generation)
        }
    }

    private func legacy(of record: EndRecord) -> EndLegacy {
        if record.generation == 0 || record.succeeded.contains(record.generation) { return .all }
        return !record.isClosed && isFollowed(record.slot) ? .messagesAndCalls : .messages
    }

    /// Whether the supervisor has promised another process in place of the owner, from when it came until now.
    func isFollowed(_ slot: EndSlot) -> Bool { SlotPromises.hold(for: slot.identity, spawn: slot.spawn) }

    func lockHeader() throws(ChannelError) {
        // A second: an owner has a dozen stores to do, so that only one that is stopped takes longer.
        var patience = LockPatience(limit: 1_000_000_000)
        do throws(SharedLock.Failure) {
            // After the death of an owner there is nothing to repair: see the stores below.
            if !lock.tryLock() { _ = try lock.lock(&patience) }
        } catch {
            throw ChannelError(error == .busy ? .busy : .corrupt("the lock of its header"), channel: name)
        }
    }

    /// Runs under the lock.
    ///
    /// - Parameter firstCall: see `firstCall(of:)`.
    func give(
        _ side: EndSide, to process: ProcessIdentity, _ slot: EndSlot?, generation: UInt64, firstCall: UInt64
    ) {
        // They were the bits of one 64 lives ago.
        let others = ~ClosedGenerations.bit(of: generation)
        word(4, of: side).pointee.bitwiseAnd(others, ordering: .acquiringAndReleasing)
        slotWord(5, of: side).pointee.bitwiseAnd(others, ordering: .acquiringAndReleasing)
        slotWord(0, of: side).pointee.store(slot?.identity ?? 0, ordering: .releasing)
        // A process that dies between these is a dead owner of the old generation, which has the same effect.
        slotWord(7, of: side).pointee.store(firstCall, ordering: .releasing)
        word(1, of: side).pointee.store(process.startTime, ordering: .releasing)
        word(0, of: side).pointee.store(UInt64(process.pid), ordering: .releasing)
        word(2, of: side).pointee.store(generation, ordering: .sequentiallyConsistent)
        // Last: an end with another spawn was not handed over as a whole, and is taken anew.
        slotWord(1, of: side).pointee.store(slot?.spawn ?? 0, ordering: .releasing)
        // A process that waited and found the owner dead waits no more.
        if let slot { withdrawClaim(side, spawn: slot.spawn) }
    }

    func close(_ side: EndSide, generation: UInt64) {
        // A successor may be there already, if this process has closed before.
        guard self.generation(of: side) == generation else { return }
        // The bit first: with the word the end is free for a successor.
        word(4, of: side).pointee.bitwiseOr(ClosedGenerations.bit(of: generation), ordering: .acquiringAndReleasing)
        word(3, of: side).pointee.store(generation, ordering: .sequentiallyConsistent)
    }
}
