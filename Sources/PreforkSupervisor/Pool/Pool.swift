// All decisions of the supervisor: a value that turns events into actions and touches nothing else.

import PreforkSystem

/// The state of a worker pool. `handle` and `perform` are what changes it.
///
/// | slot state  | leaves it by                                                            |
/// |-------------|-------------------------------------------------------------------------|
/// | backingOff  | its time (fork, then booting), a stop (ended)                           |
/// | booting     | ready, its exit, the boot timeout (killed), a stop (draining)           |
/// | ready       | its exit, a stop (draining), a replacement that is ready (it is leaving)|
/// | draining    | its exit, the drain timeout or a second quick stop (killed)             |
/// | killed      | its exit                                                                |
/// | ended       | a reload or `restart` of an operator (fork, then booting)               |
/// | failed      | -                                                                       |
///
/// Beside its present worker a slot can have a replacement that boots, and old workers that are leaving. Reloads,
/// recycling and an operator's restart all go that way, so that no place is ever empty for them.
struct Pool: Equatable {
    struct Settings: Equatable {
        var restarts = RestartPolicy()
        var crashes = CrashPolicy()
        var bootTimeout: Duration = .seconds(60)
        var stopDelay: Duration = .zero
        var drainTimeout: Duration = .seconds(30)
        var quickTimeout: Duration = .seconds(2)
        var reload = ReloadPolicy()
        var recycling = RecyclingPolicy()
        var hangs: HangPolicy?
        var slowRequest: Duration?
        var scaling = ScalingPolicy()
        var largest = WorkerCount.maximum
        /// How many spare workers wait for a slot.
        var spares = 0
    }

    enum Phase: Equatable {
        case running
        /// Readiness says no already, and the pool serves until the time of the stop.
        case delayingStop(until: MonotonicInstant)
        case stopping(PoolStopReason, outcome: SupervisorOutcome)
        case finished
    }

    /// At most so many forks between two checks for signals and exits: a stop must not wait for a thousand of them.
    static let forksPerTick = 16

    let settings: Settings
    /// The number of workers that the program wants.
    let configured: Int
    var slots: [Slot]
    var phase = Phase.running
    /// Restarts of workers that had been ready, in the pool's whole life.
    private(set) var restarts = 0
    /// Restarts after a crash in a request that do not count.
    var requestCrashes = 0
    /// Of the workers that the next reload replaces.
    var generation = 1
    var reload: Reload?
    var lastReload: Reload?
    /// What is watched of each worker while it lives, by its spawn.
    var lives: [UInt64: WorkerLife] = [:]
    var sampling = Sampling()
    var scaler = ScalerState()
    /// The number of workers that an operator wants, if it differs from the program's. It holds over upgrades.
    var scaledTo: Int?
    /// After an upgrade to a program with fewer workers: how many, as soon as its own have taken over.
    var sizeAfterReload: Int?
    /// See `hold`.
    var isHeld = false
    /// Processes that were forked ahead.
    var spares: Spares
    /// See `holdSpares`.
    var holdsSpares = false
    private(set) var hasBeenReady = false
    private(set) var hasBeenComplete = false
    private var spawns: UInt64 = 0
    var random: SplitMix64

    /// The moment of the event that is being handled.
    var now: MonotonicInstant
    /// What follows from the event that is being handled. Empty between two of them.
    var actions: [PoolAction] = []

    init(workers: Int, settings: Settings, now: MonotonicInstant, seed: UInt64, generation: Int = 1) {
        self.settings = settings
        self.generation = generation
        self.now = now
        configured = workers
        spares = Spares(wanted: settings.spares)
        random = SplitMix64(seed: seed)
        slots = (0..<workers).map { Slot(taskID: $0, state: .backingOff(until: now), generation: generation) }
    }

    /// When `tick` is due without another event. If nil, never.
    var nextDeadline: MonotonicInstant? {
        let lifetime = phase == .running ? nextLifetimeEnd : nil
        let probation = phase == .running && !isHeld ? reload?.probationEnd : nil
        let slotDeadline = slots.lazy.compactMap(\.deadline).min()
        return [slotDeadline, lifetime, probation, stopDelayEnd, spares.deadline].lazy.compactMap { $0 }.min()
    }

    /// The desired number of workers.
    var target: Int { slots.count { !$0.isRetired } }

    mutating func handle(_ event: PoolEvent, at now: MonotonicInstant) -> [PoolAction] {
        change(at: now) { pool in
            switch event {
            case .tick: pool.tick()
            case .forked(let slot, let pid, let spawn): pool.forked(slot, pid, spawn)
            case .forkFailed(let slot, let spawn, let reason): pool.forkFailed(slot, spawn, reason)
            case .ready(let slot, let spawn): pool.becameReady(slot, spawn)
            case .endedInRequest(let slot, let spawn):
                if pool.slots.indices.contains(slot) { pool.slots[slot].endedInRequest = spawn }
            case .crashed(let slot, let spawn, let sign): pool.crashed(slot, spawn, sign)
            case .exited(let slot, let spawn, let exit): pool.exited(slot, spawn, exit)
            case .stop(let kind): pool.stop(kind)
            case .spare(let event): pool.handle(event)
            case .sample(let samples, let backlog): pool.sample(samples, backlog: backlog)
            }
        }.actions
    }

    /// Every change from outside: what `body` does at this moment, and what follows from any change.
    mutating func change<Result>(
        at now: MonotonicInstant, _ body: (inout Pool) -> Result
    ) -> (result: Result, actions: [PoolAction]) {
        self.now = now
        defer { actions = [] }
        let result = body(&self)
        settle()
        return (result, actions)
    }

    /// What follows from any change.
    private mutating func settle() {
        advanceReload()
        shrinkAfterReload()
        startRecycling()
        noteCompletion()
        removeRetired()
        advanceSpares()
        finishIfDone()
    }

    /// Makes the forks that are due, and kills the workers whose time is over.
    mutating func tick() {
        if let end = stopDelayEnd, end <= now { beginStop(.graceful) }
        var forks = 0
        for index in slots.indices {
            if forks < Self.forksPerTick, let fork = slots[index].dueFork(at: now) {
                forks += 1
                if fork == .ofSlot { beOfReload(index) }
                spawns += 1
                actions += slots[index].ask(for: fork, spawn: spawns)
            }
            actions += slots[index].killOverdue(at: now)
        }
    }

    /// The generation of the worker that a fork makes.
    ///
    /// - Returns: nil if an event after `PoolAction.fork` has made the fork needless. A worker without a slot would
    ///   serve and never be asked to end.
    func generation(ofFork spawn: UInt64, slot: Int) -> Int? {
        slots.indices.contains(slot) ? slots[slot].generation(ofFork: spawn) : nil
    }

    /// Numbers of the previous image, which must not be reused.
    mutating func resume(spawns: UInt64, restarts: Int) {
        self.spawns = spawns
        self.restarts = restarts
        hasBeenReady = true
        hasBeenComplete = true
    }

    /// The number that the last fork was given.
    var lastSpawn: UInt64 { spawns }

    /// Until when a worker that is asked to end now may finish what it has in hand.
    var drainDeadline: MonotonicInstant { now + settings.drainTimeout }

    private mutating func forked(_ index: Int, _ pid: Int32, _ spawn: UInt64) {
        guard slots.indices.contains(index) else { return }
        actions += slots[index].forked(pid, spawn, at: now, bootDeadline: now + settings.bootTimeout)
    }

    private mutating func forkFailed(_ index: Int, _ spawn: UInt64, _ reason: String) {
        guard slots.indices.contains(index) else { return }
        if case .forking(spawn) = slots[index].replacement?.stage {
            actions += spares.makeRoom(at: now)
            return replacementFailed(index, "it could not be forked: \(reason)")
        }
        actions += spares.makeRoom(at: now)
        actions += slots[index].forkFailed(spawn, reason, at: now, settings.restarts.backoff, using: &random)
    }

    private mutating func becameReady(_ index: Int, _ spawn: UInt64) {
        guard slots.indices.contains(index) else { return }
        guard let serving = slots[index].becameReady(spawn, at: now, drainDeadline: drainDeadline) else { return }
        if let old = serving.instead { lives[old.spawn] = nil }
        beginLife(of: serving.worker)
        hasBeenReady = true
        actions += serving.actions
    }

    /// The limits of a worker that serves are drawn, and it is sampled.
    mutating func beginLife(of worker: WorkerProcess) {
        lives[worker.spawn] = WorkerLife(settings.recycling, at: now, using: &random)
        if let period = samplingPeriod, sampling.next == nil { sampling.next = now + period }
    }

    /// Slots that stay without a worker, and slots that are being removed, delay nothing.
    private mutating func noteCompletion() {
        guard !hasBeenComplete, phase == .running, slots.contains(where: \.wasReady) else { return }
        guard slots.allSatisfy({ $0.wasReady || $0.isRetired || $0.state == .ended }) else { return }
        hasBeenComplete = true
        actions.append(.report(.allReady(workers: slots.count(where: \.wasReady))))
    }

    private mutating func exited(_ index: Int, _ spawn: UInt64, _ exit: ProcessExit) {
        lives[spawn] = nil
        guard slots.indices.contains(index) else { return }
        if slots[index].worker?.spawn == spawn {
            presentExited(index, exit)
        } else if let replacement = slots[index].replacement, let worker = replacement.worker, worker.spawn == spawn {
            let report = slots[index].report(exit, of: worker, wasReady: false, replacement.killReason, at: now)
            actions.append(.report(.exited(report)))
            replacementFailed(index, "its process \(exit.status)")
        } else if let report = slots[index].leaverExited(spawn, exit, at: now) {
            actions.append(.report(.exited(report)))
            if slots[index].waitsForLeaving, !slots[index].hasOldWorkers { tick() }
        }
    }

    private mutating func presentExited(_ index: Int, _ exit: ProcessExit) {
        let slot = slots[index]
        guard let worker = slot.worker else { return }
        var report = slot.report(exit, of: worker, wasReady: slot.wasReady, slot.killReason, at: now)
        (report.consequence, report.isCounted) = decide(
            index, worker, isSuccess: exit.status.isSuccess, wasReady: slot.wasReady, hadRequest: report.hadRequest)
        actions.append(.report(.exited(report)))
        follow(
            report.consequence, index, worker, wasReady: slot.wasReady,
            hadRequest: report.hadRequest || slot.killReason == .asked, "its process \(exit.status)")
    }

    /// What a present worker's end leads to, and whether it counts for the limits.
    mutating func decide(
        _ index: Int, _ worker: WorkerProcess, isSuccess: Bool, wasReady: Bool, hadRequest: Bool
    ) -> (ExitConsequence, isCounted: Bool) {
        let isCounted = !hadRequest || settings.restarts.countsRequestCrashes
        if isCounted || !isServing || isSuccess {
            // With a request in hand it had begun to serve, whatever it said of itself.
            let uptime = now - worker.started
            return (
                consequence(isSuccess: isSuccess, slot: index, wasReady: wasReady || hadRequest, uptime: uptime),
                isCounted
            )
        }
        return (.restart(in: delayAfterRequestCrash(index), number: restarts), isCounted)
    }

    /// Does with the slot what the end of its present worker leads to.
    mutating func follow(
        _ consequence: ExitConsequence, _ index: Int, _ worker: WorkerProcess, wasReady: Bool, hadRequest: Bool,
        _ end: String
    ) {
        // With a request in hand it had begun to serve, whatever it said of itself.
        let wasReady = wasReady || hadRequest
        switch consequence {
        case .restart(let delay, _):
            if !hadRequest { failProbation(index, worker, end) }
            if promoteBootingReplacement(index) { return }
            slots[index].state = .backingOff(until: now + delay)
            presentFailedInReload(index, worker, wasReady: wasReady, end)
            // At once means now: not after another turn of the loop.
            if delay == .zero { tick() }
        case .none:
            if phase == .running, slots[index].replacement?.isOrdered == true {
                // The order came before the end.
                if !promoteBootingReplacement(index) { refill(index) }
                return
            }
            slots[index].state = .ended
            actions += slots[index].drainReplacement(.terminate, until: drainDeadline)
        case .giveUp(let reason):
            slots[index].state = .failed
            let outcome: SupervisorOutcome = reason == .startFailed ? .startFailed : .tooManyRestarts
            phase = .stopping(reason, outcome: outcome)
            actions.append(.report(.stopping(reason)))
            askAllToStop(.terminate, deadline: drainDeadline)
            abortReload("the pool is stopping")
        }
    }

    private mutating func delayAfterRequestCrash(_ index: Int) -> Duration {
        requestCrashes += 1
        let isAlone = !slots.contains { $0.taskID != slots[index].taskID && $0.isReady }
        let delay = slots[index].record.nextRequestDelay(at: now, isAlone: isAlone, using: &random)
        return settings.restarts.backoff.maximum == .zero ? .zero : delay
    }

    private mutating func consequence(
        isSuccess: Bool, slot index: Int, wasReady: Bool, uptime: Duration
    ) -> ExitConsequence {
        guard isServing, !isSuccess else { return .none }
        let policy = settings.restarts
        slots[index].record.countDeath(wasReady: wasReady, uptime: uptime, at: now, policy: policy)
        if wasReady {
            restarts += 1
            if restarts > policy.limit || slots[index].record.exceeds(policy.window, at: now) {
                return .giveUp(.tooManyRestarts)
            }
        } else if slots[index].record.bootFailures > policy.bootLimit {
            return .giveUp(hasBeenReady ? .tooManyRestarts : .startFailed)
        }
        let delay = slots[index].record.nextDelay(policy.backoff, at: now, using: &random)
        return .restart(in: delay, number: restarts)
    }

    private mutating func finishIfDone() {
        guard phase != .finished, slots.allSatisfy(\.isFinal) else { return }
        if !spares.list.isEmpty || spares.asked != nil {
            // The last workers are done, and none will follow: the spares go first.
            actions += spares.letGo(at: now)
            return
        }
        if case .stopping(_, let outcome) = phase {
            actions.append(.finish(outcome))
        } else {
            actions.append(.finish(.ended))
        }
        phase = .finished
    }
}
