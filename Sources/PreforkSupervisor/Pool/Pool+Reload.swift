// A rolling reload: generation after generation, slot by slot.

import PreforkSystem

/// A reload under way, or over.
struct Reload: Equatable {
    var generation: Int
    var started: MonotonicInstant
    /// Slots that have not been begun.
    var waiting: [Int]
    /// Slots whose new worker is not ready yet.
    var active: [Int] = []
    var replaced = 0
    let total: Int
    /// Another one was asked for meanwhile.
    var isWantedAgain = false
    /// All workers are replaced. The new ones must hold until then.
    var probationEnd: MonotonicInstant?
    /// Set when it is over.
    var duration: Duration?
    var abortReason: String?
}

extension Pool {
    /// Begins a reload. During a reload, orders one more to follow it.
    mutating func beginReload() {
        // A client that asks for the next one is served by this one.
        if reload?.probationEnd != nil, !isHeld { finishReload() }
        if reload != nil {
            reload?.isWantedAgain = true
            return
        }
        generation += 1
        spares.forgetShortLives()
        let places = slots.indices.filter { !slots[$0].isRetired }
        reload = Reload(generation: generation, started: now, waiting: places, total: places.count)
        // The workers that these wait for are new ones already, and not to be replaced again.
        for index in places where slots[index].worker == nil && slots[index].state != .ended {
            slots[index].generation = generation
        }
        hurryOldGenerations()
        actions.append(.report(.reloadStarted(generation: generation, workers: places.count)))
    }

    /// A worker that is forked while its slot waits for its turn in a reload is a new one already: it needs no other
    /// one after it.
    mutating func beOfReload(_ index: Int) {
        if let reload, reload.waiting.contains(index) { slots[index].generation = reload.generation }
    }

    /// Advances a reload: counts ready workers, begins the next slots, ends it.
    mutating func advanceReload() {
        guard phase == .running, var current = reload else { return }
        if let end = current.probationEnd {
            if end <= now, !isHeld { finishReload() }
            return
        }
        countReady(&current)
        // Killed at once, they would take requests with them: what is in hand, or is being sent on a kept connection.
        if current.replaced == 0, current.active.isEmpty,
            slots.contains(where: { $0.leaving.contains(where: \.isTooOld) })
        {
            reload = current
            return
        }
        let begun = beginNextSlots(&current)
        reload = current
        if current.active.isEmpty, current.waiting.isEmpty {
            beginProbation()
        } else if begun {
            tick()
        }
    }

    /// Takes out the slots whose new worker is ready.
    private func countReady(_ current: inout Reload) {
        current.active.removeAll { index in
            // A slot that the pool has lost meanwhile, or whose new worker is done, does not delay the reload.
            guard slots.indices.contains(index), !slots[index].isRetired, slots[index].state != .ended else {
                return true
            }
            guard slots[index].serves(current.generation) else { return false }
            current.replaced += 1
            return true
        }
    }

    /// - Returns: whether a slot was begun.
    private mutating func beginNextSlots(_ current: inout Reload) -> Bool {
        let width = current.waiting.isEmpty ? 0 : settings.reload.slotsAtOnce(of: target)
        var begun = false
        while current.active.count < width, !current.waiting.isEmpty {
            let index = current.waiting.removeFirst()
            guard slots.indices.contains(index), !slots[index].isRetired else { continue }
            if slots[index].serves(current.generation) {
                current.replaced += 1
                continue
            }
            current.active.append(index)
            renew(index, current.generation)
            begun = true
        }
        return begun
    }

    /// All workers are replaced, and must hold.
    private mutating func beginProbation() {
        guard var current = reload else { return }
        current.duration = now - current.started
        reload = current
        let probation = settings.reload.probation
        // A reload that was requested again skips its probation.
        if !isHeld, probation <= .zero || current.isWantedAgain || current.total == 0 { return finishReload() }
        reload?.probationEnd = now + probation
        actions.append(
            .report(
                .reloadOnProbation(generation: current.generation, after: now - current.started, for: probation)))
    }

    /// - Parameter isHeld: managed processes are being replaced, too. The probation then continues until they have
    ///   survived for as long as workers must.
    mutating func hold(_ isHeld: Bool, at now: MonotonicInstant) -> [PoolAction] {
        guard isHeld != self.isHeld else { return [] }
        self.isHeld = isHeld
        guard !isHeld, let end = reload?.probationEnd else { return [] }
        let probation = reload?.isWantedAgain == true ? .zero : settings.reload.probation
        reload?.probationEnd = max(probation == .zero ? now : end, now + probation)
        return change(at: now) { _ in }.actions
    }

    /// The new workers have held.
    private mutating func finishReload() {
        guard var current = reload else { return }
        reload = nil
        current.probationEnd = nil
        lastReload = current
        let duration = current.duration ?? now - current.started
        actions.append(.report(.reloadFinished(generation: current.generation, after: duration)))
        if current.isWantedAgain {
            beginReload()
            advanceReload()
        }
    }

    /// A worker has ended abnormally, other than in a request. During its probation, that aborts its reload.
    mutating func failProbation(_ index: Int, _ worker: WorkerProcess, _ end: String) {
        guard let reload, reload.probationEnd != nil, worker.generation == reload.generation else { return }
        abortReload("worker \(index) failed its probation: \(end)")
    }

    /// Begins to replace the worker of a slot.
    private mutating func renew(_ index: Int, _ generation: Int) {
        switch slots[index].state {
        case .ready(let worker) where worker.generation == generation,
            .booting(let worker, _) where worker.generation == generation:
            // It was forked when the reload had begun.
            break
        case .ready where !settings.reload.endsOldFirst:
            // One that is being recycled becomes part of the reload.
            actions += slots[index].drainReplacement(.terminate, until: drainDeadline)
            slots[index].replace(for: .reload, generation: generation, at: now)
        case .ready, .booting:
            actions += slots[index].drainReplacement(.terminate, until: drainDeadline)
            drain(index)
            slots[index].refill(generation, at: now)
            slots[index].waitsForLeaving = settings.reload.endsOldFirst
        case .backingOff, .killed, .draining:
            // Its next worker is one of the new generation.
            slots[index].generation = generation
        case .ended:
            // Its worker was done, or was taken over and left without a successor: an operator orders a new one.
            slots[index].refill(generation, at: now)
        case .failed:
            break
        }
    }

    /// The present worker of a slot without another one died while it booted for a reload.
    mutating func presentFailedInReload(_ index: Int, _ worker: WorkerProcess, wasReady: Bool, _ reason: String) {
        guard let reload, reload.active.contains(index), worker.generation == reload.generation, !wasReady
        else { return }
        abortReload("the new worker \(index) failed: \(reason) before it was ready")
    }

    /// An operator rolls back to the previous program.
    mutating func abandonReload(_ reason: String, at now: MonotonicInstant) -> [PoolAction] {
        change(at: now) { pool in
            pool.reload?.isWantedAgain = false
            pool.abortReload(reason)
        }.actions
    }

    /// Ends a reload. Workers that were not replaced yet stay.
    mutating func abortReload(_ reason: String) {
        guard var current = reload else { return }
        reload = nil
        sizeAfterReload = nil
        for index in slots.indices where slots[index].replacement?.cause == .reload {
            actions += slots[index].drainReplacement(.terminate, until: now + settings.quickTimeout)
        }
        current.duration = now - current.started
        current.probationEnd = nil
        current.abortReason = reason
        lastReload = current
        actions.append(
            .report(
                .reloadAborted(
                    generation: current.generation, replaced: current.replaced, total: current.total, reason: reason)))
        // The next reload may have been ordered after a repair, and a client may wait for it.
        if current.isWantedAgain, phase == .running { beginReload() }
    }

    /// Longer than a worker keeps idle connections for one more answer.
    private static let oldGenerationGrace = Duration.seconds(6)

    private mutating func hurryOldGenerations() {
        // The generation that begins is not among them yet.
        let living = Set(slots.flatMap(\.workers).map(\.generation)).sorted(by: >)
        let limit = max(2, settings.reload.generations)
        guard living.count >= limit else { return }
        let deadline = now + min(Self.oldGenerationGrace, settings.drainTimeout)
        for index in slots.indices { slots[index].hurryLeavers(before: living[limit - 2], until: deadline) }
    }
}
