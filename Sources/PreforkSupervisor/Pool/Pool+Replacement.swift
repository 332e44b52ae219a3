// One worker takes another's place: the new one is ready first.

import PreforkSystem

extension Pool {
    /// Begins to replace the worker of a slot, which serves on until the new one is ready.
    mutating func replace(_ index: Int, for cause: ReplacementCause, generation: Int, _ now: MonotonicInstant) {
        slots[index].replacement = Replacement(stage: .due(now), cause: cause, generation: generation)
    }

    mutating func tickReplacement(
        _ index: Int, _ now: MonotonicInstant, _ forks: inout Int, _ actions: inout [PoolAction]
    ) {
        guard let replacement = slots[index].replacement else { return }
        switch replacement.stage {
        case .due(let instant) where instant <= now && forks < Self.forksPerTick:
            forks += 1
            let spawn = fork(index, &actions)
            slots[index].replacement?.stage = .forking(spawn: spawn)
        case .booting(let worker, let deadline) where deadline <= now:
            slots[index].replacement?.stage = .killed(worker, .bootTimeout)
            actions.append(.report(.killing(taskID: index, pid: worker.pid, .bootTimeout)))
            actions.append(.signal(slot: index, spawn: worker.spawn, .kill))
        default:
            break
        }
    }

    /// The new worker is ready: the old one finishes what it has in hand.
    mutating func takePlace(
        _ index: Int, _ worker: WorkerProcess, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        let cause = slots[index].replacement?.cause ?? .asked
        slots[index].replacement = nil
        let old = slots[index].worker
        sendAway(index, .terminate, until: now + settings.drainTimeout, &actions)
        slots[index].state = .ready(worker)
        slots[index].generation = worker.generation
        nowServes(index, worker, now, &actions)
        if let old { actions.append(.report(.replaced(taskID: index, old: old.pid, new: worker.pid, cause))) }
    }

    /// Asks a slot's present worker to end, and has it leave.
    mutating func sendAway(
        _ index: Int, _ signal: Signal, until deadline: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard let worker = slots[index].worker else { return }
        var leaving = LeavingWorker(worker: worker, deadline: deadline, wasReady: slots[index].wasReady)
        if case .killed(_, let reason, _) = slots[index].state {
            leaving.killReason = reason
        } else {
            actions.append(.signal(slot: index, spawn: worker.spawn, signal))
        }
        lives[worker.spawn] = nil
        slots[index].leaving.append(leaving)
    }

    /// The order that a worker of that slot gets when it is asked to end.
    func order(toWorkerOf slot: Int) -> ProcessSlot.Order {
        guard phase == .running else { return .leave }
        return slots.indices.contains(slot) && !slots[slot].isRetired ? .makeRoom : .giveUp
    }

    /// Whether another worker follows the slot's present one when that dies, for all that is decided.
    func isFollowed(_ taskID: Int) -> Bool {
        guard phase == .running, slots.indices.contains(taskID), !slots[taskID].isRetired else { return false }
        if slots[taskID].replacement?.isOrdered == true { return true }
        return switch slots[taskID].state {
        case .backingOff, .booting, .ready, .killed: true
        case .draining, .ended, .failed: false
        }
    }

    /// As `sendAway`, for a replacement.
    mutating func sendAwayReplacement(
        _ index: Int, _ signal: Signal, until deadline: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard let replacement = slots[index].replacement else { return }
        drop(replacement, index, "the worker was asked to end meanwhile", &actions)
        guard let worker = replacement.worker else { return }
        var leaving = LeavingWorker(worker: worker, deadline: deadline, wasReady: false)
        leaving.killReason = replacement.killReason
        if leaving.killReason == nil { actions.append(.signal(slot: index, spawn: worker.spawn, signal)) }
        slots[index].leaving.append(leaving)
    }

    /// The present worker is gone, or going, before its replacement is ready. A replacement that boots takes the slot.
    /// A killed replacement is waited for. A replacement that was not forked yet is dropped. A reload continues with
    /// the slot's next worker.
    ///
    /// - Returns: whether the place is taken.
    mutating func succeed(_ index: Int, _ now: MonotonicInstant, _ actions: inout [PoolAction]) -> Bool {
        guard let replacement = slots[index].replacement else { return false }
        if replacement.cause == .reload { slots[index].generation = replacement.generation }
        if case .booting(let next, let deadline) = replacement.stage {
            slots[index].state = .booting(next, deadline: deadline)
            slots[index].generation = next.generation
            drop(replacement, index, "the old one ended first, the new one boots in its place", &actions)
            return true
        }
        sendAwayReplacement(index, .terminate, until: now + settings.drainTimeout, &actions)
        return false
    }

    /// Gives a slot without a worker the next one, now.
    mutating func refill(_ index: Int, _ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        slots[index].state = .backingOff(until: now)
        tick(now, &actions)
    }

    private mutating func drop(
        _ replacement: Replacement, _ index: Int, _ reason: String, _ actions: inout [PoolAction]
    ) {
        slots[index].replacement = nil
        // The client that asked for it may wait for its end.
        if replacement.cause == .asked { actions.append(.report(.replacementDropped(taskID: index, reason: reason))) }
    }

    /// A replacement died, was late or could not be made: the present worker stays.
    mutating func replacementFailed(
        _ index: Int, _ reason: String, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard let replacement = slots[index].replacement else { return }
        slots[index].replacement = nil
        let late = replacement.killReason == .bootTimeout
        let reason = late ? "it was not ready within the boot timeout" : "\(reason) before it was ready"
        actions.append(.report(.replacementFailed(taskID: index, reason: reason, replacement.cause)))
        switch replacement.cause {
        case .reload: abortReload("the replacement of worker \(index) failed: \(reason)", now, &actions)
        case .recycling: postponeRecycling(index, now)
        case .asked: break
        }
    }

    /// Kills workers that were asked to leave and are late.
    mutating func killLate(_ index: Int, _ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        for position in slots[index].leaving.indices {
            let worker = slots[index].leaving[position]
            if worker.killReason == nil, worker.deadline <= now {
                let reason: KillReason =
                    worker.ended != nil ? .crashed : worker.isTooOld ? .oldGeneration : .drainTimeout
                killLeaving(index, position, reason, &actions)
            }
        }
    }

    mutating func killLeaving(
        _ index: Int, _ position: Int, _ reason: KillReason, _ actions: inout [PoolAction]
    ) {
        let worker = slots[index].leaving[position].worker
        slots[index].leaving[position].killReason = reason
        actions.append(.report(.killing(taskID: index, pid: worker.pid, reason)))
        actions.append(.signal(slot: index, spawn: worker.spawn, .kill))
    }
}
