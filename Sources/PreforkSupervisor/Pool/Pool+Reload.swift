// A rolling reload: generation after generation, slot by slot.

import PreforkSystem

/// How a reload goes through the pool.
public struct ReloadPolicy: Equatable, Sendable {
    /// How many workers a reload replaces at a time, and whether the new or the old one goes first.
    public enum Width: Equatable, Sendable {
        /// A tenth of the pool at a time, at least one: new workers beside the old ones.
        case automatic
        /// So many new workers beside the old ones at a time.
        case surge(Int)
        /// So many places empty at a time: the old worker ends first. For workers that need most of the memory. If a
        /// new worker fails, its slot stays empty until the worker can be restarted.
        case unavailable(Int)
    }

    /// How many workers are replaced at a time.
    public var width: Width
    /// Generations that live at once, draining ones included. At least two. See haproxy's mworker-max-reloads, and
    /// ingress-nginx #1088, where draining workers piled up. A reload that would add a generation waits for the workers
    /// of the oldest one. These are killed after six seconds, or after the drain timeout if it is shorter.
    public var generations: Int

    /// How long new workers must hold after the last of them is ready. Then the reload is over, and an upgrade can no
    /// longer be rolled back by itself. A new worker that ends by itself meanwhile, other than in a request, aborts the
    /// reload. Zero: a reload is over when the last worker is ready.
    public var probation: Duration

    /// - Parameters:
    ///   - generations: at least two.
    ///   - probation: not below zero.
    public init(width: Width = .automatic, generations: Int = 3, probation: Duration = .seconds(5)) {
        self.width = width
        self.generations = generations
        self.probation = probation
    }

    func slotsAtOnce(of workers: Int) -> Int {
        switch width {
        case .automatic: max(1, workers / 10)
        case .surge(let count), .unavailable(let count): max(1, count)
        }
    }

    var endsOldFirst: Bool { if case .unavailable = width { true } else { false } }
}

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
    mutating func beginReload(_ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        // A client that asks for the next one is served by this one.
        if reload?.probationEnd != nil, !isHeld { finishReload(now, &actions) }
        if reload != nil {
            reload?.isWantedAgain = true
            return
        }
        generation += 1
        let places = slots.indices.filter { !slots[$0].isRetired }
        reload = Reload(generation: generation, started: now, waiting: places, total: places.count)
        // The workers that these wait for are new ones already, and not to be replaced again.
        for index in places where slots[index].worker == nil && slots[index].state != .ended {
            slots[index].generation = generation
        }
        hurryOldGenerations(now)
        actions.append(.report(.reloadStarted(generation: generation, workers: places.count)))
    }

    /// A worker that is forked while its slot waits for its turn in a reload is a new one already: it needs no other
    /// one after it.
    mutating func beOfReload(_ index: Int) {
        if let reload, reload.waiting.contains(index) { slots[index].generation = reload.generation }
    }

    /// Advances a reload: counts ready workers, begins the next slots, ends it.
    mutating func advanceReload(_ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        guard phase == .running, var current = reload else { return }
        if let end = current.probationEnd {
            if end <= now, !isHeld { finishReload(now, &actions) }
            return
        }
        current.active.removeAll { index in
            // A slot that the pool has lost meanwhile, or whose new worker is done, does not delay the reload.
            guard slots.indices.contains(index), !slots[index].isRetired, slots[index].state != .ended else {
                return true
            }
            guard slots[index].isReady, slots[index].worker?.generation == current.generation else { return false }
            current.replaced += 1
            return true
        }
        // Killed at once, they would take requests with them: what is in hand, or is being sent on a kept connection.
        if current.replaced == 0, current.active.isEmpty,
            slots.contains(where: { $0.leaving.contains(where: \.isTooOld) })
        {
            reload = current
            return
        }
        let width = current.waiting.isEmpty ? 0 : settings.reload.slotsAtOnce(of: target)
        var begun = false
        while current.active.count < width, !current.waiting.isEmpty {
            let index = current.waiting.removeFirst()
            guard slots.indices.contains(index), !slots[index].isRetired else { continue }
            if slots[index].isReady, slots[index].worker?.generation == current.generation {
                current.replaced += 1
                continue
            }
            current.active.append(index)
            renew(index, current.generation, now, &actions)
            begun = true
        }
        if current.active.isEmpty, current.waiting.isEmpty {
            current.duration = now - current.started
            reload = current
            let probation = settings.reload.probation
            // Of what was asked for again nothing is to be waited for.
            if !isHeld, probation <= .zero || current.isWantedAgain || current.total == 0 {
                return finishReload(now, &actions)
            }
            reload?.probationEnd = now + probation
            actions.append(
                .report(
                    .reloadOnProbation(
                        generation: current.generation, after: now - current.started, for: probation)))
            return
        }
        reload = current
        if begun { tick(now, &actions) }
    }

    /// - Parameter isHeld: something else than workers is being replaced, too: the probation goes on until it has held
    ///   for as long as they must.
    mutating func hold(_ isHeld: Bool, at now: MonotonicInstant) -> [PoolAction] {
        guard isHeld != self.isHeld else { return [] }
        self.isHeld = isHeld
        guard !isHeld, let end = reload?.probationEnd else { return [] }
        let probation = reload?.isWantedAgain == true ? .zero : settings.reload.probation
        reload?.probationEnd = max(probation == .zero ? now : end, now + probation)
        var actions: [PoolAction] = []
        finish(now, &actions)
        return actions
    }

    /// The new workers have held.
    private mutating func finishReload(_ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        guard var current = reload else { return }
        reload = nil
        current.probationEnd = nil
        lastReload = current
        let duration = current.duration ?? now - current.started
        actions.append(.report(.reloadFinished(generation: current.generation, after: duration)))
        if current.isWantedAgain {
            beginReload(now, &actions)
            advanceReload(now, &actions)
        }
    }

    /// A worker has ended abnormally, other than in a request. During its probation, that aborts its reload.
    mutating func failProbation(
        _ index: Int, _ worker: WorkerProcess, _ end: String, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard let reload, reload.probationEnd != nil, worker.generation == reload.generation else { return }
        abortReload("worker \(index) did not hold: \(end) within its probation", now, &actions)
    }

    private mutating func renew(
        _ index: Int, _ generation: Int, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        switch slots[index].state {
        case .ready(let worker) where worker.generation == generation,
            .booting(let worker, _) where worker.generation == generation:
            // It was forked when the reload had begun.
            break
        case .ready where !settings.reload.endsOldFirst:
            // One that is being recycled becomes part of the reload.
            sendAwayReplacement(index, .terminate, until: now + settings.drainTimeout, &actions)
            replace(index, for: .reload, generation: generation, now)
        case .ready, .booting:
            sendAwayReplacement(index, .terminate, until: now + settings.drainTimeout, &actions)
            sendAway(index, .terminate, until: now + settings.drainTimeout, &actions)
            slots[index].state = .backingOff(until: now)
            slots[index].generation = generation
            slots[index].waitsForLeaving = settings.reload.endsOldFirst
        case .backingOff, .killed, .draining:
            // Its next worker is one of the new generation.
            slots[index].generation = generation
        case .ended:
            // Its worker was done, or was taken over and left without a successor: an operator orders a new one.
            slots[index].state = .backingOff(until: now)
            slots[index].generation = generation
        case .failed:
            break
        }
    }

    /// The present worker of a slot without another one died while it booted for a reload.
    mutating func presentFailedInReload(
        _ index: Int, _ worker: WorkerProcess, wasReady: Bool, _ reason: String, _ now: MonotonicInstant,
        _ actions: inout [PoolAction]
    ) {
        guard let reload, reload.active.contains(index), worker.generation == reload.generation, !wasReady
        else { return }
        abortReload("the new worker \(index) failed: \(reason) before it was ready", now, &actions)
    }

    /// An operator rolls back to the previous program.
    mutating func abandonReload(_ reason: String, at now: MonotonicInstant) -> [PoolAction] {
        var actions: [PoolAction] = []
        reload?.isWantedAgain = false
        abortReload(reason, now, &actions)
        finish(now, &actions)
        return actions
    }

    /// Ends a reload. Workers that were not replaced yet stay.
    mutating func abortReload(_ reason: String, _ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        guard var current = reload else { return }
        reload = nil
        sizeAfterReload = nil
        for index in slots.indices where slots[index].replacement?.cause == .reload {
            sendAwayReplacement(index, .terminate, until: now + settings.quickTimeout, &actions)
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
        if current.isWantedAgain, phase == .running { beginReload(now, &actions) }
    }

    /// Longer than a worker keeps idle connections for one more answer.
    private static let oldGenerationGrace = Duration.seconds(6)

    private mutating func hurryOldGenerations(_ now: MonotonicInstant) {
        // The generation that begins is not among them yet.
        let living = Set(slots.flatMap(\.workers).map(\.generation)).sorted(by: >)
        let limit = max(2, settings.reload.generations)
        guard living.count >= limit else { return }
        let oldest = living[limit - 2]
        let deadline = now + min(Self.oldGenerationGrace, settings.drainTimeout)
        for index in slots.indices {
            for position in slots[index].leaving.indices
            where slots[index].leaving[position].worker.generation < oldest {
                slots[index].leaving[position].isTooOld = true
                slots[index].leaving[position].deadline = min(slots[index].leaving[position].deadline, deadline)
            }
        }
    }
}
