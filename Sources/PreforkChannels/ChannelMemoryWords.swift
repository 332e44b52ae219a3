// The words that both ends of a channel share: who is there, which generations have closed.

import PreforkSystem
import Synchronization

extension ChannelMemory {
    func poolWord(_ slot: Int, _ lane: Lane, from side: EndSide) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(1280 + 32 * (lane.rawValue * 2 + side.rawValue) + 8 * slot)
    }

    private func word(_ index: Int, of side: EndSide) -> UnsafeMutablePointer<Atomic<UInt64>> {
        word(128 + 64 * side.rawValue + 8 * index)
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

    /// A picture of an end, whoever changes it meanwhile: the generation is stored last.
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
            guard attempts > 1_000 || generation == self.generation(of: side) else { continue }
            let owner = pid > 0 ? ProcessIdentity(pid: pid, startTime: startTime) : nil
            return EndRecord(owner: owner, generation: generation, closedGeneration: closed, closedBits: bits)
        }
    }

    /// Makes `process` the owner of an end, or tells why not.
    ///
    /// - Parameter prepare: called under the lock with the new generation, before anybody sees it.
    func attach(
        _ process: ProcessIdentity, to side: EndSide, prepare: (UInt64) -> Void
    ) throws(ChannelError) -> UInt64 {
        // A second: an owner has a dozen stores to do, so that only one that is stopped takes longer.
        var patience = LockPatience(limit: 1_000_000_000)
        do throws(SharedLock.Failure) {
            // After the death of an owner there is nothing to repair: see the stores below.
            if !lock.tryLock() { _ = try lock.lock(&patience) }
        } catch {
            throw ChannelError(error == .busy ? .busy : .corrupt("the lock of its header"), channel: name)
        }
        defer { lock.unlock() }
        switch record(of: side).attachment(of: process, isAlive: { $0.isAlive }) {
        case .inUse(let pid):
            throw ChannelError(.endInUse(pid: pid), channel: name)
        case .take(let generation):
            prepare(generation)
            // It was the bit of one 64 lives ago.
            word(4, of: side).pointee.bitwiseAnd(
                ~ClosedGenerations.bit(of: generation), ordering: .acquiringAndReleasing)
            // One who dies between these is a dead owner of the old generation, which comes to the same.
            word(1, of: side).pointee.store(process.startTime, ordering: .releasing)
            word(0, of: side).pointee.store(UInt64(process.pid), ordering: .releasing)
            word(2, of: side).pointee.store(generation, ordering: .sequentiallyConsistent)
            return generation
        }
    }

    func close(_ side: EndSide, generation: UInt64) {
        // A successor may be there already, if this process has closed before.
        guard self.generation(of: side) == generation else { return }
        // The bit first: with the word the end is free for a successor.
        word(4, of: side).pointee.bitwiseOr(ClosedGenerations.bit(of: generation), ordering: .acquiringAndReleasing)
        word(3, of: side).pointee.store(generation, ordering: .sequentiallyConsistent)
    }
}
