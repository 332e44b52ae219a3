// All decisions of the supervisor: a value that turns events into actions and touches nothing else.

import PreforkSystem

/// The state of a worker pool. `handle` is the one function that changes it.
///
/// | slot state  | leaves it by                                                            |
/// |-------------|-------------------------------------------------------------------------|
/// | backingOff  | its time (fork, then booting), a stop (stopped)                         |
/// | booting     | ready, its exit, the boot timeout (killed), a stop (draining)           |
/// | ready       | its exit, a stop (draining)                                             |
/// | draining    | its exit, the drain timeout or a second quick stop (killed)             |
/// | killed      | its exit                                                                |
/// | stopped     | -                                                                       |
/// | failed      | -                                                                       |
struct Pool: Equatable {
    struct Settings: Equatable {
        var restarts = RestartPolicy()
        var bootTimeout: Duration = .seconds(60)
        var drainTimeout: Duration = .seconds(30)
        var quickTimeout: Duration = .seconds(2)
    }

    enum Phase: Equatable {
        case running
        case stopping(PoolStopReason, outcome: SupervisorOutcome)
        case finished
    }

    /// At most so many forks between two looks at signals and exits: a stop must not wait for a thousand of them.
    static let forksPerTick = 16

    let settings: Settings
    private(set) var slots: [Slot]
    private(set) var phase = Phase.running
    /// Restarts of workers that had been ready, in the pool's whole life.
    private(set) var restarts = 0
    private(set) var hasBeenReady = false
    private var hasBeenComplete = false
    private var spawns: UInt64 = 0
    private var random: SplitMix64

    init(workers: Int, settings: Settings, now: MonotonicInstant, seed: UInt64) {
        self.settings = settings
        random = SplitMix64(seed: seed)
        slots = (0..<workers).map { Slot(taskID: $0, state: .backingOff(until: now)) }
    }

    /// When `tick` is due without another event; nil: never.
    var nextDeadline: MonotonicInstant? {
        slots.lazy.compactMap(\.deadline).min()
    }

    mutating func handle(_ event: PoolEvent, at now: MonotonicInstant) -> [PoolAction] {
        var actions: [PoolAction] = []
        switch event {
        case .tick: tick(now, &actions)
        case .forked(let slot, let pid, let spawn): forked(slot, pid, spawn, now, &actions)
        case .forkFailed(let slot, let reason): forkFailed(slot, reason, now, &actions)
        case .ready(let slot, let spawn): becameReady(slot, spawn, now, &actions)
        case .exited(let slot, let exit): exited(slot, exit, now, &actions)
        case .stop(let kind): stop(kind, now, &actions)
        }
        finishIfDone(&actions)
        return actions
    }

    private mutating func tick(_ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        var forks = 0
        for index in slots.indices {
            switch slots[index].state {
            case .backingOff(let until) where until <= now && forks < Self.forksPerTick:
                forks += 1
                spawns += 1
                actions.append(.fork(slot: index, spawn: spawns, generation: 1))
            case .booting(let worker, let deadline) where deadline <= now:
                kill(index, worker, .bootTimeout, &actions)
            case .draining(let worker, let deadline, _) where deadline <= now:
                kill(index, worker, .drainTimeout, &actions)
            default:
                break
            }
        }
    }

    private mutating func forked(
        _ index: Int, _ pid: Int32, _ spawn: UInt64, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard case .backingOff = slots[index].state else { return }
        let worker = WorkerProcess(pid: pid, spawn: spawn, generation: 1, started: now)
        slots[index].state = .booting(worker, deadline: now + settings.bootTimeout)
        actions.append(.report(.forked(taskID: index, pid: pid, restart: slots[index].record.restarts)))
    }

    private mutating func forkFailed(
        _ index: Int, _ reason: String, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard case .backingOff = slots[index].state else { return }
        let delay = slots[index].record.nextForkDelay(settings.restarts.backoff, using: &random)
        slots[index].state = .backingOff(until: now + delay)
        actions.append(.report(.forkFailed(taskID: index, reason: reason, retryIn: delay)))
    }

    private mutating func becameReady(
        _ index: Int, _ spawn: UInt64, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard case .booting(let worker, _) = slots[index].state, worker.spawn == spawn else { return }
        slots[index].state = .ready(worker)
        slots[index].record.workerBecameReady()
        hasBeenReady = true
        actions.append(.report(.ready(taskID: index, pid: worker.pid, after: now - worker.started)))
        if !hasBeenComplete, slots.allSatisfy(\.wasReady) {
            hasBeenComplete = true
            actions.append(.report(.allReady(workers: slots.count)))
        }
    }

    private mutating func exited(
        _ index: Int, _ exit: ProcessExit, _ now: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        guard let worker = slots[index].worker else { return }
        var killReason: KillReason?
        if case .killed(_, let reason, _) = slots[index].state { killReason = reason }
        let wasReady = slots[index].wasReady
        let uptime = now - worker.started
        let consequence = consequence(of: exit, slot: index, wasReady: wasReady, uptime: uptime, now)
        actions.append(
            .report(
                .exited(
                    ExitReport(
                        taskID: index, pid: worker.pid, generation: worker.generation, uptime: uptime,
                        status: exit.status, wasReady: wasReady, killReason: killReason,
                        usage: exit.usage, consequence: consequence))))
        switch consequence {
        case .restart(let delay, _):
            slots[index].state = .backingOff(until: now + delay)
            // At once means now: not after another turn of the loop.
            if delay == .zero { tick(now, &actions) }
        case .none:
            slots[index].state = .stopped
        case .giveUp(let reason):
            slots[index].state = .failed
            let outcome: SupervisorOutcome = reason == .startFailed ? .startFailed : .tooManyRestarts
            phase = .stopping(reason, outcome: outcome)
            actions.append(.report(.stopping(reason)))
            askAllToStop(.terminate, deadline: now + settings.drainTimeout, &actions)
        }
    }

    private mutating func consequence(
        of exit: ProcessExit, slot index: Int, wasReady: Bool, uptime: Duration, _ now: MonotonicInstant
    ) -> ExitConsequence {
        guard phase == .running, !exit.status.isSuccess else { return .none }
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

    private mutating func stop(_ kind: StopRequestKind, _ now: MonotonicInstant, _ actions: inout [PoolAction]) {
        switch (phase, kind) {
        case (.running, _):
            let reason: PoolStopReason = kind == .quick ? .quick : .graceful
            phase = .stopping(reason, outcome: .stopped)
            actions.append(.report(.stopping(reason)))
            let timeout = kind == .quick ? settings.quickTimeout : settings.drainTimeout
            askAllToStop(kind == .quick ? .interrupt : .terminate, deadline: now + timeout, &actions)
        case (.stopping(.quick, _), .quick):
            for index in slots.indices {
                guard let worker = slots[index].worker else { continue }
                if case .killed = slots[index].state { continue }
                kill(index, worker, .stopNow, &actions)
            }
        case (.stopping(_, let outcome), .quick):
            phase = .stopping(.quick, outcome: outcome)
            actions.append(.report(.stopping(.quick)))
            askAllToStop(.interrupt, deadline: now + settings.quickTimeout, &actions)
        case (.stopping, .graceful), (.finished, _):
            break
        }
    }

    private mutating func askAllToStop(
        _ signal: Signal, deadline: MonotonicInstant, _ actions: inout [PoolAction]
    ) {
        for index in slots.indices {
            switch slots[index].state {
            case .backingOff:
                slots[index].state = .stopped
            case .booting(let worker, _), .ready(let worker), .draining(let worker, _, _):
                slots[index].state = .draining(worker, deadline: deadline, wasReady: slots[index].wasReady)
                actions.append(.signal(slot: index, signal))
            case .killed, .stopped, .failed:
                break
            }
        }
    }

    private mutating func kill(
        _ index: Int, _ worker: WorkerProcess, _ reason: KillReason, _ actions: inout [PoolAction]
    ) {
        slots[index].state = .killed(worker, reason, wasReady: slots[index].wasReady)
        actions.append(.report(.killing(taskID: index, pid: worker.pid, reason)))
        actions.append(.signal(slot: index, .kill))
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
