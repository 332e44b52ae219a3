// Whose connections a new worker takes over.

import PreforkSystem

extension Pool {
    /// The worker whose place a fork takes, and whose connections go to the new one.
    ///
    /// - Parameter spawn: the number of the fork.
    /// - Returns: its spawn. Nil if the fork takes the place of no worker that serves.
    func predecessor(ofFork spawn: UInt64, slot: Int) -> UInt64? {
        guard phase == .running, slots.indices.contains(slot) else { return nil }
        return slots[slot].predecessor(ofFork: spawn)
    }

    /// Whether no worker is about to give all its connections away.
    var mayRebalance: Bool {
        reload.map { $0.probationEnd != nil } ?? true && slots.allSatisfy { $0.replacement == nil }
    }

    /// From which workers of a program that has not held connections go to which workers that were there before it.
    var returns: [(giver: UInt64, taker: UInt64)] {
        slots.compactMap { slot in
            guard case .ready(let worker) = slot.state,
                let giver = slot.leaving.last(where: { $0.wasReady && $0.worker.generation > worker.generation })
            else { return nil }
            return (giver.worker.spawn, worker.spawn)
        }
    }
}

extension Slot {
    func predecessor(ofFork spawn: UInt64) -> UInt64? {
        if case .forking(spawn) = replacement?.stage {
            guard case .ready(let worker) = state else { return nil }
            return worker.spawn
        }
        guard case .backingOff = state, askedFork == spawn else { return nil }
        // The last one that was asked to leave, if it still can give anything away.
        return leaving.last { $0.wasReady && $0.killReason == nil && $0.ended == nil }?.worker.spawn
    }
}
