// Looks at serving workers: heartbeats, limits, load.

import PreforkSystem

extension Pool {
    /// How often to sample. If nil, never. An idle supervisor of a pool without limits makes no system call.
    var samplingPeriod: Duration? {
        var period: Duration?
        func atMost(_ other: Duration) { period = min(period ?? other, other) }
        if let hangs = settings.hangs { atMost(max(.milliseconds(20), min(hangs.soft, hangs.grace) / 4)) }
        if let limit = settings.slowRequest { atMost(max(.milliseconds(20), limit.part(of: 4))) }
        if settings.recycling.needsSamples { atMost(.seconds(1)) }
        if settings.scaling.workers != nil {
            atMost(max(.milliseconds(100), min(settings.scaling.growAfter / 3, .seconds(1))))
        }
        return period
    }

    /// When the next `.sample` is due.
    var nextSample: MonotonicInstant? { isServing ? sampling.next : nil }

    var nextLifetimeEnd: MonotonicInstant? {
        guard !settings.recycling.isOff, recyclingInHand < settings.recycling.atOnce, reload == nil else { return nil }
        // Only of those that can be replaced now: a time in the past that nothing follows from would make the loop
        // spin.
        return slots.lazy.compactMap { slot -> MonotonicInstant? in
            guard slot.isReady, slot.replacement == nil, let worker = slot.worker, let life = lives[worker.spawn]
            else { return nil }
            return life.isDue == nil && life.postponedTo == nil ? life.end : life.postponedTo
        }.min()
    }

    /// Samples all workers: which are hung, which have reached a limit, and how busy they are.
    mutating func sample(_ samples: [WorkerSample], backlog: Int) {
        guard let period = samplingPeriod else { return }
        // A machine that stood still, or a supervisor that did, says nothing about its workers.
        let late = sampling.next.map { now - $0 } ?? .zero
        let stoodStill = late > max(period * 2, .seconds(1))
        let elapsed = sampling.last.map { now - $0 }
        sampling = Sampling(last: now, next: now + period)
        guard isServing else { return }
        if stoodStill { actions.append(.report(.stoodStill(for: late))) }
        var processorTime = Duration.zero
        var workers = 0
        for sample in samples {
            guard slots.indices.contains(sample.slot), var life = lives[sample.spawn], slots[sample.slot].isReady,
                slots[sample.slot].worker?.spawn == sample.spawn
            else { continue }
            if let hangs = settings.hangs { watch(sample, &life, hangs, forgives: stoodStill) }
            if life.isDue == nil { life.isDue = life.reasonToGo(sample) }
            if let time = sample.processorTime, let last = life.processorTime {
                processorTime += max(.zero, time - last)
                workers += 1
            }
            life.processorTime = sample.processorTime
            lives[sample.spawn] = life
        }
        guard let range = settings.scaling.workers, let elapsed, elapsed > .zero, workers > 0, reload == nil,
            phase == .running
        else { return }
        let busy = processorTime.seconds / elapsed.seconds / Double(workers)
        let wanted = scaler.decide(
            settings.scaling, within: range, workers: target, busy: busy, backlog: backlog, at: now)
        scale(to: wanted, .load(busy: Int(busy * 100), waiting: backlog))
    }

    /// The longest time for which a worker may announce that it gives no heartbeat.
    static var longestExtension: Duration { .seconds(86_400) }

    /// Whether a worker that is ready hangs.
    private mutating func watch(
        _ sample: WorkerSample, _ life: inout WorkerLife, _ policy: HangPolicy, forgives: Bool
    ) {
        // After an upgrade in place: workers of the previous image keep to its policy.
        guard let worker = slots[sample.slot].worker, let period = sample.heartbeatPeriod else { return }
        let soft = max(policy.soft, period * 3)
        let isAlive = life.heartbeat != sample.heartbeat
        if isAlive || forgives {
            if isAlive, life.hungSince != nil {
                actions.append(.report(.recovered(taskID: sample.slot, pid: worker.pid)))
            }
            life.heartbeat = sample.heartbeat
            life.lastSign = now
            life.hungSince = nil
            return
        }
        // The worker's own word, which may say anything: at most a day is believed.
        let extended = min(sample.extendedUntil ?? life.lastSign, life.lastSign + Self.longestExtension)
        let silentSince = max(life.lastSign, extended)
        guard now - silentSince >= soft else { return }
        guard let hungSince = life.hungSince else {
            life.hungSince = now
            actions.append(.report(.hung(taskID: sample.slot, pid: worker.pid, silent: now - life.lastSign)))
            actions.append(.dumpStack(slot: sample.slot, spawn: worker.spawn))
            return
        }
        if now - hungSince >= policy.grace { actions += slots[sample.slot].kill(.hung) }
    }
}
