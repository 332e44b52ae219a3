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
        var drainTimeout: Duration = .seconds(30)
        var quickTimeout: Duration = .seconds(2)
        var reload = ReloadPolicy()
        var recycling = RecyclingPolicy()
        var hangs: HangPolicy?
        var slowRequest: Duration?
        var scaling = ScalingPolicy()
        var largest = WorkerCount.maximum
    }

    enum Phase: Equatable {
        case running
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
    private(set) var hasBeenReady = false
    private(set) var hasBeenComplete = false
    private var spawns: UInt64 = 0
    var random: SplitMix64

    init(workers: Int, settings: Settings, now: MonotonicInstant, seed: UInt64, generation: Int = 1) {
        self.settings = settings
        self.generation = generation
        configured = workers
        random = SplitMix64(seed: seed)
        slots = (0..<workers).map { Slot(taskID: $0, state: .backingOff(until: now), generation: generation) }
    }

    /// When `tick` is due without another event. If nil, never.
    var nextDeadline: MonotonicInstant? {
        let lifetime = phase == .running ? nextLifetimeEnd : nil
        let probation = phase == .running && !isHeld ? reload?.probationEnd : nil
        return [slots.lazy.compactMap(\.deadline).min(), lifetime, probation].lazy.compactMap { $0 }.min()
    }

    /// The desired number of workers.
    var target: Int { slots.count { !$0.isRetired } }

    mutating func handle(_ event: PoolEvent, at now: MonotonicInstant) -> [PoolAction] {
        var actions: [PoolAction] = []
        switch event {
        case .tick: tick(now, &actions)
        case .forked(let slot, let pid, let spawn): forked(slot, pid, spawn, now, &actions)
        case .forkFailed(let slot, let spawn, let reason): forkFailed(slot, spawn, reason, now, &actions)
        case .ready(let slot, let spawn): becameReady(slot, spawn, now, &actions)
        case .endedInRequest(let slot, let spawn):
            if slots.indices.contains(slot) { slots[slot].endedInRequest = spawn }
        case .crashed(let slot, let spawn, let sign): crashed(slot, spawn, sign, now, &actions)
        case .exited(let slot, let spawn, let exit): exited(slot, spawn, exit, now, &actions)
        case .stop(let kind): stop(kind, now, &actions)
        case .sample(let samples, let backlog): look(at: samples, backlog: backlog, now, &actions)
        }
        finish(now, &actions)
        return actions
    }

    /// What follows from any change.
    mutating func finish(_ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        advanceReload(now, &actions)
        shrinkAfterReload(now, &actions)
        startRecycling(now, &actions)
        noteCompletion(&actions)
        removeRetired()
        finishIfDone(&actions)
    }

    mutating func tick(_ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        var forks = 0
        for index in slots.indices {
            switch slots[index].state {
            case .backingOff where slots[index].askedFork != nil:
                break
            case .backingOff where slots[index].waitsForLeaving && slots[index].hasOldWorkers:
                break
            case .backingOff(let until) where until <= now && forks < Self.forksPerTick:
                forks += 1
                beOfReload(index)
                slots[index].askedFork = fork(index, &actions)
            case .booting(let worker, let deadline) where deadline <= now:
                kill(index, worker, .bootTimeout, &actions)
            case .draining(let worker, let deadline, _) where deadline <= now:
                kill(index, worker, .drainTimeout, &actions)
            default:
                break
            }
            tickReplacement(index, now, &forks, &actions)
            killLate(index, now, &actions)
        }
    }

    /// - Returns: the number of the fork that is asked for.
    mutating func fork(_ index: Int, _ actions: inout [PoolAction]) -> UInt64 {
        spawns += 1
        actions.append(.fork(slot: index, spawn: spawns))
        return spawns
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

    private mutating func forked(
        _ index: Int, _ pid: Int32, _ spawn: UInt64, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard slots.indices.contains(index) else { return }
        let deadline = now + settings.bootTimeout
        if case .forking(spawn) = slots[index].replacement?.stage, let replacement = slots[index].replacement {
            let worker = WorkerProcess(pid: pid, spawn: spawn, generation: replacement.generation, started: now)
            slots[index].replacement?.stage = .booting(worker, deadline: deadline)
            actions.append(.report(.forkedBeside(taskID: index, pid: pid, replacement.cause)))
        } else {
            guard case .backingOff = slots[index].state, slots[index].askedFork == spawn else { return }
            let worker = WorkerProcess(pid: pid, spawn: spawn, generation: slots[index].generation, started: now)
            slots[index].state = .booting(worker, deadline: deadline)
            slots[index].waitsForLeaving = false
            slots[index].askedFork = nil
            actions.append(.report(.forked(taskID: index, pid: pid, restart: slots[index].record.restarts)))
        }
    }

    private mutating func forkFailed(
        _ index: Int, _ spawn: UInt64, _ reason: String, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard slots.indices.contains(index) else { return }
        if case .forking(spawn) = slots[index].replacement?.stage {
            return replacementFailed(index, "it could not be forked: \(reason)", now, &actions)
        }
        guard case .backingOff = slots[index].state, slots[index].askedFork == spawn else { return }
        slots[index].askedFork = nil
        let delay = slots[index].record.nextForkDelay(settings.restarts.backoff, using: &random)
        slots[index].state = .backingOff(until: now + delay)
        actions.append(.report(.forkFailed(taskID: index, reason: reason, retryIn: delay)))
    }

    private mutating func becameReady(
        _ index: Int, _ spawn: UInt64, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard slots.indices.contains(index) else { return }
        if case .booting(let worker, _) = slots[index].replacement?.stage, worker.spawn == spawn {
            takePlace(index, worker, now, &actions)
        } else {
            guard case .booting(let worker, _) = slots[index].state, worker.spawn == spawn else { return }
            slots[index].state = .ready(worker)
            nowServes(index, worker, now, &actions)
        }
    }

    mutating func nowServes(
        _ index: Int, _ worker: WorkerProcess, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        slots[index].record.workerBecameReady()
        beginLife(of: worker, now)
        hasBeenReady = true
        actions.append(
            .report(
                .ready(taskID: index, pid: worker.pid, generation: worker.generation, after: now - worker.started)))
    }

    /// Slots that stay without a worker, and slots that are being removed, delay nothing.
    private mutating func noteCompletion(_ actions: inout [PoolAction]) {
        guard !hasBeenComplete, phase == .running, slots.contains(where: \.wasReady) else { return }
        guard slots.allSatisfy({ $0.wasReady || $0.isRetired || $0.state == .ended }) else { return }
        hasBeenComplete = true
        actions.append(.report(.allReady(workers: slots.count(where: \.wasReady))))
    }

    private mutating func exited(
        _ index: Int, _ spawn: UInt64, _ exit: ProcessExit, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        lives[spawn] = nil
        guard slots.indices.contains(index) else { return }
        if slots[index].worker?.spawn == spawn {
            presentExited(index, exit, now, &actions)
        } else if let replacement = slots[index].replacement, let worker = replacement.worker, worker.spawn == spawn {
            report(exit, of: worker, index, wasReady: false, replacement.killReason, now, &actions)
            replacementFailed(index, "its process \(exit.status)", now, &actions)
        } else if let position = slots[index].leaving.firstIndex(where: { $0.worker.spawn == spawn }) {
            let gone = slots[index].leaving.remove(at: position)
            report(
                exit, of: gone.worker, index, wasReady: gone.wasReady, gone.killReason, now,
                consequence: gone.ended?.consequence ?? .none, isCounted: gone.ended?.isCounted ?? true,
                hadRequest: gone.ended?.sign.hadRequest, &actions)
            if slots[index].waitsForLeaving, !slots[index].hasOldWorkers { tick(now, &actions) }
        }
    }

    /// - Parameter hadRequest: if nil, as `endedInRequest` of the slot says.
    private func report(
        _ exit: ProcessExit, of worker: WorkerProcess, _ index: Int, wasReady: Bool, _ killReason: KillReason?,
        _ now: MonotonicInstant, consequence: ExitConsequence = .none, isCounted: Bool = true,
        hadRequest: Bool? = nil, _ actions: inout [PoolAction]
    ) {
        var report = ExitReport(
            taskID: index, pid: worker.pid, generation: worker.generation, uptime: now - worker.started,
            status: exit.status, wasReady: wasReady, killReason: killReason, usage: exit.usage, consequence: consequence)
        report.hadRequest = hadRequest ?? (killReason == nil && slots[index].endedInRequest == worker.spawn)
        report.isCounted = isCounted
        actions.append(.report(.exited(report)))
    }

    private mutating func presentExited(
        _ index: Int, _ exit: ProcessExit, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard let worker = slots[index].worker else { return }
        var killReason: KillReason?
        if case .killed(_, let reason, _) = slots[index].state { killReason = reason }
        let wasReady = slots[index].wasReady
        let hadRequest = killReason == nil && slots[index].endedInRequest == worker.spawn
        let (consequence, isCounted) = decide(
            index, worker, isSuccess: exit.status.isSuccess, wasReady: wasReady, hadRequest: hadRequest, now)
        report(
            exit, of: worker, index, wasReady: wasReady, killReason, now, consequence: consequence,
            isCounted: isCounted, &actions)
        follow(
            consequence, index, worker, wasReady: wasReady, hadRequest: hadRequest || killReason == .asked,
            "its process \(exit.status)", now, &actions)
    }

    /// What a present worker's end leads to, and whether it counts for the limits.
    mutating func decide(
        _ index: Int, _ worker: WorkerProcess, isSuccess: Bool, wasReady: Bool, hadRequest: Bool,
        _ now: MonotonicInstant
    ) -> (ExitConsequence, isCounted: Bool) {
        let isCounted = !hadRequest || settings.restarts.countsRequestCrashes
        if isCounted || phase != .running || isSuccess {
            // With a request in hand it had begun to serve, whatever it said of itself.
            let uptime = now - worker.started
            return (
                consequence(isSuccess: isSuccess, slot: index, wasReady: wasReady || hadRequest, uptime: uptime, now),
                isCounted
            )
        }
        return (.restart(in: delayAfterRequestCrash(index, now), number: restarts), isCounted)
    }

    /// Does with the slot what the end of its present worker leads to.
    mutating func follow(
        _ consequence: ExitConsequence, _ index: Int, _ worker: WorkerProcess, wasReady: Bool, hadRequest: Bool,
        _ end: String, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        // With a request in hand it had begun to serve, whatever it said of itself.
        let wasReady = wasReady || hadRequest
        switch consequence {
        case .restart(let delay, _):
            if !hadRequest { failProbation(index, worker, end, now, &actions) }
            if succeed(index, now, &actions) { return }
            slots[index].state = .backingOff(until: now + delay)
            presentFailedInReload(index, worker, wasReady: wasReady, end, now, &actions)
            // At once means now: not after another turn of the loop.
            if delay == .zero { tick(now, &actions) }
        case .none:
            if phase == .running, slots[index].replacement?.isOrdered == true {
                // The order came before the end.
                if !succeed(index, now, &actions) { refill(index, now, &actions) }
                return
            }
            slots[index].state = .ended
            sendAwayReplacement(index, .terminate, until: now + settings.drainTimeout, &actions)
        case .giveUp(let reason):
            slots[index].state = .failed
            let outcome: SupervisorOutcome = reason == .startFailed ? .startFailed : .tooManyRestarts
            phase = .stopping(reason, outcome: outcome)
            actions.append(.report(.stopping(reason)))
            askAllToStop(.terminate, deadline: now + settings.drainTimeout, &actions)
            abortReload("the pool stops", now, &actions)
        }
    }

    private mutating func delayAfterRequestCrash(_ index: Int, _ now: MonotonicInstant) -> Duration {
        requestCrashes += 1
        let isAlone = !slots.contains { $0.taskID != slots[index].taskID && $0.isReady }
        let delay = slots[index].record.nextRequestDelay(at: now, isAlone: isAlone, using: &random)
        return settings.restarts.backoff.maximum == .zero ? .zero : delay
    }

    private mutating func consequence(
        isSuccess: Bool, slot index: Int, wasReady: Bool, uptime: Duration, _ now: MonotonicInstant
    ) -> ExitConsequence {
        guard phase == .running, !isSuccess else { return .none }
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

    mutating func kill(
        _ index: Int, _ worker: WorkerProcess, _ reason: KillReason, _ actions: inout [PoolAction]
    ) {
        slots[index].state = .killed(worker, reason, wasReady: slots[index].wasReady)
        actions.append(.report(.killing(taskID: index, pid: worker.pid, reason)))
        actions.append(.signal(slot: index, spawn: worker.spawn, .kill))
    }

    private mutating func finishIfDone(_ actions: inout [PoolAction]) {
        guard phase != .finished, slots.allSatisfy(\.isFinal) else { return }
        if case .stopping(_, let outcome) = phase {
            actions.append(.finish(outcome))
        } else {
            actions.append(.finish(.ended))
        }
        phase = .finished
    }
}
