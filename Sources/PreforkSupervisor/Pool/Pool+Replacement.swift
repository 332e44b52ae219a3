// One worker takes another's place: the new one is ready first.

import PreforkSystem

extension Pool {
    /// Asks a slot's present worker to end, and has it leave. The caller says what the slot does then.
    mutating func drain(_ index: Int) {
        if let worker = slots[index].worker { lives[worker.spawn] = nil }
        actions += slots[index].drain(.terminate, until: drainDeadline)
    }

    /// The order that a worker of that slot gets when it is asked to end.
    func order(toWorkerOf slot: Int) -> ProcessSlot.Order {
        guard phase == .running else { return .leave }
        return slots.indices.contains(slot) && !slots[slot].isRetired ? .makeRoom : .giveUp
    }

    /// Whether another worker follows the slot's present one when that dies, for all that is decided.
    func isFollowed(_ taskID: Int) -> Bool {
        guard isServing, slots.indices.contains(taskID), !slots[taskID].isRetired else { return false }
        if slots[taskID].replacement?.isOrdered == true { return true }
        return switch slots[taskID].state {
        case .backingOff, .booting, .ready, .killed: true
        case .draining, .ended, .failed: false
        }
    }

    /// The present worker is gone, or going, before its replacement is ready.
    ///
    /// - Returns: whether the replacement has the place.
    mutating func promoteBootingReplacement(_ index: Int) -> Bool {
        let (isTaken, reports) = slots[index].promoteBootingReplacement(drainDeadline: drainDeadline)
        actions += reports
        return isTaken
    }

    /// Gives a slot without a worker the next one, now.
    mutating func refill(_ index: Int) {
        slots[index].refill(at: now)
        tick()
    }

    /// A replacement died, was late or could not be made: the present worker stays.
    mutating func replacementFailed(_ index: Int, _ reason: String) {
        guard let replacement = slots[index].replacement else { return }
        slots[index].replacement = nil
        let late = replacement.killReason == .bootTimeout
        let reason = late ? "it was not ready within the boot timeout" : "\(reason) before it was ready"
        actions.append(.report(.replacementFailed(taskID: index, reason: reason, replacement.cause)))
        switch replacement.cause {
        case .reload: abortReload("the replacement of worker \(index) failed: \(reason)")
        case .recycling: postponeRecycling(index)
        case .asked: break
        }
    }
}
