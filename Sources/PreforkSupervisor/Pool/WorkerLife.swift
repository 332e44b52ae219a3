// Supervision of a serving worker: heartbeats, limits, samples.

import PreforkSystem

/// What a worker's line of the scoreboard and the kernel say of it at one look.
struct WorkerSample: Equatable {
    var slot: Int
    var spawn: UInt64
    /// Changes with every heartbeat.
    var heartbeat: UInt64 = 0
    /// How often it gives one. If nil, never: as a worker of an earlier image that did not detect hangs.
    var heartbeatPeriod: Duration? = .zero
    /// Until when it has said that it may be silent.
    var extendedUntil: MonotonicInstant?
    var requests: UInt64 = 0
    /// Bytes of resident memory. If nil, they were not sampled.
    var memory: Int?
    /// Since it was forked. If nil, it was not sampled.
    var processorTime: Duration?
}

/// A worker's limits, drawn when it became ready, and its last heartbeat.
struct WorkerLife: Equatable {
    var requestLimit: UInt64?
    var end: MonotonicInstant?
    var memoryLimit: Int?

    var heartbeat: UInt64?
    var lastSign: MonotonicInstant
    /// When it was found to be silent for too long.
    var hungSince: MonotonicInstant?
    var processorTime: Duration?
    /// The limit that it has reached.
    var isDue: RecyclingReason?
    /// A replacement failed: not before then again.
    var postponedTo: MonotonicInstant?
}

/// When the supervisor samples its workers.
struct Sampling: Equatable {
    var last: MonotonicInstant?
    var next: MonotonicInstant?
}

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
    var nextSample: MonotonicInstant? { phase == .running ? sampling.next : nil }

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

    mutating func beginLife(of worker: WorkerProcess, _ now: MonotonicInstant) {
        var life = WorkerLife(lastSign: now)
        let policy = settings.recycling
        life.requestLimit = policy.requests.map { UInt64(policy.jittered(Double($0), using: &random)) }
        life.end = policy.lifetime.map {
            now + .nanoseconds(Int64(policy.jittered(Double($0.saturatedNanoseconds), using: &random)))
        }
        life.memoryLimit = policy.memory.map { Int(policy.jittered(Double($0), using: &random)) }
        lives[worker.spawn] = life
        if let period = samplingPeriod, sampling.next == nil { sampling.next = now + period }
    }

    /// Samples all workers: which are hung, which have reached a limit, and how busy they are.
    mutating func look(
        at samples: [WorkerSample], backlog: Int, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard let period = samplingPeriod else { return }
        // A machine that stood still, or a supervisor that did, says nothing about its workers.
        let late = sampling.next.map { now - $0 } ?? .zero
        let stoodStill = late > max(period * 2, .seconds(1))
        let elapsed = sampling.last.map { now - $0 }
        sampling = Sampling(last: now, next: now + period)
        guard phase == .running else { return }
        if stoodStill { actions.append(.report(.stoodStill(for: late))) }
        var processorTime = Duration.zero
        var workers = 0
        for sample in samples {
            guard slots.indices.contains(sample.slot), var life = lives[sample.spawn], slots[sample.slot].isReady,
                slots[sample.slot].worker?.spawn == sample.spawn
            else { continue }
            if let hangs = settings.hangs {
                watch(sample, &life, hangs, forgives: stoodStill, now, &actions)
            }
            if life.isDue == nil { life.isDue = life.reasonToGo(sample) }
            if let time = sample.processorTime, let last = life.processorTime {
                processorTime += max(.zero, time - last)
                workers += 1
            }
            life.processorTime = sample.processorTime
            lives[sample.spawn] = life
        }
        guard let range = settings.scaling.workers, let elapsed, elapsed > .zero, workers > 0, reload == nil else {
            return
        }
        let busy = processorTime.seconds / elapsed.seconds / Double(workers)
        let wanted = scaler.decide(
            settings.scaling, within: range, workers: target, busy: busy, backlog: backlog, at: now)
        scale(to: wanted, .load(busy: Int(busy * 100), waiting: backlog), now, &actions)
    }
}
