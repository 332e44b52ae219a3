// A place in the pool: its task ID outlives the workers that fill it. Its states, and each change of them.

import PreforkSystem

/// A worker process of a slot, or the process of a managed target.
struct WorkerProcess: Equatable {
    var pid: Int32
    /// The fork of the pool, or of the manager, that made it. No two of its processes share the number.
    var spawn: UInt64
    var generation: Int
    var started: MonotonicInstant
}

/// What a slot is doing. Each case has only what is true in it.
enum SlotState: Equatable {
    /// No worker. The next one is forked at `until`.
    case backingOff(until: MonotonicInstant)
    /// Forked and not ready yet. Killed at `deadline`.
    case booting(WorkerProcess, deadline: MonotonicInstant)
    case ready(WorkerProcess)
    /// Asked to stop, finishing what is in flight. Killed at `deadline`.
    case draining(WorkerProcess, deadline: MonotonicInstant, wasReady: Bool)
    /// SIGKILL was sent. Only its end can follow.
    case killed(WorkerProcess, KillReason, wasReady: Bool)
    /// Its worker ended with exit code 0, or as it was asked to. Only an operator's order fills it again.
    case ended
    /// Final: the policy allows no further worker.
    case failed
}

/// Why the supervisor killed a worker.
public enum KillReason: Hashable, Sendable {
    /// It was not ready within the boot timeout.
    case bootTimeout
    /// It had not ended when the drain timeout was over.
    case drainTimeout
    /// A second interrupt asked for the end of everything.
    case stopNow
    /// It gave no heartbeat for too long.
    case hung
    /// An operator asked for it.
    case asked
    /// Too many generations lived at once, and this was of the oldest.
    case oldGeneration
    /// It had crashed, and had not ended in time, or too many others were being traced. See `CrashPolicy`.
    case crashed
}

/// A slot. Its functions are its state machine: they change it and return the actions that follow. What depends on
/// other slots, or on the pool's policies, is the pool's to decide.
struct Slot: Equatable {
    let taskID: Int
    var state: SlotState
    /// What the next worker of this slot belongs to.
    var generation = 1
    /// The worker that will replace the present one, which still serves.
    var replacement: Replacement?
    /// Old workers that finish what they have in hand.
    var leaving: [LeavingWorker] = []
    /// The next worker is forked only when those have ended.
    var waitsForLeaving = false
    /// The fork that the supervisor was asked for and has not made yet: a second check of the same slot must not ask
    /// for another fork, whose process no slot would know.
    var askedFork: UInt64?
    /// The pool was made smaller: this slot goes when its workers have.
    var isRetired = false
    var record = RestartHistory()
    /// The worker whose end is reported next, and which had a request in hand.
    var endedInRequest: UInt64?

    init(taskID: Int, state: SlotState, generation: Int = 1) {
        self.taskID = taskID
        self.state = state
        self.generation = generation
    }

    var worker: WorkerProcess? {
        switch state {
        case .booting(let worker, _), .ready(let worker), .draining(let worker, _, _), .killed(let worker, _, _): worker
        case .backingOff, .ended, .failed: nil
        }
    }

    var wasReady: Bool {
        switch state {
        case .ready: true
        case .draining(_, _, let wasReady), .killed(_, _, let wasReady): wasReady
        case .booting, .backingOff, .ended, .failed: false
        }
    }

    /// Why its present worker was killed, if it was.
    var killReason: KillReason? { if case .killed(_, let reason, _) = state { reason } else { nil } }

    var isReady: Bool { if case .ready = state { true } else { false } }

    /// Whether a worker of this generation serves.
    func serves(_ generation: Int) -> Bool { isReady && worker?.generation == generation }

    /// Old workers that the slot's next one may have to wait for. One that has crashed does nothing any more.
    var hasOldWorkers: Bool { leaving.contains { $0.ended == nil } }

    /// Nothing is left, and nothing will come by itself.
    var isFinal: Bool { (state == .ended || state == .failed) && replacement == nil && leaving.isEmpty }

    /// All its workers, the present one first.
    var workers: [WorkerProcess] {
        [worker, replacement?.worker].compactMap { $0 } + leaving.map(\.worker)
    }

    /// Those that have not said yet that they are ready.
    var bootingWorkers: [WorkerProcess] {
        var booting: [WorkerProcess] = []
        if case .booting(let worker, _) = state { booting.append(worker) }
        if case .booting(let worker, _) = replacement?.stage { booting.append(worker) }
        return booting
    }

    /// When something is due without an event.
    var deadline: MonotonicInstant? {
        let own: MonotonicInstant? =
            switch state {
            case .backingOff(let until): waitsForLeaving && hasOldWorkers ? nil : until
            case .booting(_, let deadline), .draining(_, let deadline, _): deadline
            case .ready, .killed, .ended, .failed: nil
            }
        let others = leaving.lazy.compactMap { $0.killReason == nil ? $0.deadline : nil }.min()
        return [own, replacement?.deadline, others].lazy.compactMap { $0 }.min()
    }
}

/// A fork that a slot is due.
enum DueFork: Equatable {
    /// Of the next worker of a slot without one.
    case ofSlot
    /// Of the worker that will replace the present one.
    case ofReplacement
}

// MARK: Forking

extension Slot {
    func dueFork(at now: MonotonicInstant) -> DueFork? {
        if case .backingOff(let until) = state, until <= now, askedFork == nil, !(waitsForLeaving && hasOldWorkers) {
            return .ofSlot
        }
        if case .due(let instant) = replacement?.stage, instant <= now { return .ofReplacement }
        return nil
    }

    /// The supervisor is asked for the fork.
    mutating func ask(for fork: DueFork, spawn: UInt64) -> [PoolAction] {
        switch fork {
        case .ofSlot: askedFork = spawn
        case .ofReplacement: replacement?.stage = .forking(spawn: spawn)
        }
        return [.fork(slot: taskID, spawn: spawn)]
    }

    /// The generation of the worker that this fork makes. If nil, the fork is no longer wanted.
    func generation(ofFork spawn: UInt64) -> Int? {
        if case .forking(spawn) = replacement?.stage { return replacement?.generation }
        if case .backingOff = state, askedFork == spawn { return generation }
        return nil
    }

    /// The supervisor has made the fork.
    mutating func forked(
        _ pid: Int32, _ spawn: UInt64, at now: MonotonicInstant, bootDeadline: MonotonicInstant
    ) -> [PoolAction] {
        if let replacement, case .forking(spawn) = replacement.stage {
            let worker = WorkerProcess(pid: pid, spawn: spawn, generation: replacement.generation, started: now)
            self.replacement?.stage = .booting(worker, deadline: bootDeadline)
            return [.report(.forkedBeside(taskID: taskID, pid: pid, replacement.cause))]
        }
        guard case .backingOff = state, askedFork == spawn else { return [] }
        let worker = WorkerProcess(pid: pid, spawn: spawn, generation: generation, started: now)
        state = .booting(worker, deadline: bootDeadline)
        waitsForLeaving = false
        askedFork = nil
        return [.report(.forked(taskID: taskID, pid: pid, restart: record.restarts))]
    }

    /// The fork of the slot's next worker was refused.
    mutating func forkFailed(
        _ spawn: UInt64, _ reason: String, at now: MonotonicInstant, _ backoff: Backoff,
        using random: inout SplitMix64
    ) -> [PoolAction] {
        guard case .backingOff = state, askedFork == spawn else { return [] }
        askedFork = nil
        let delay = record.nextForkDelay(backoff, using: &random)
        state = .backingOff(until: now + delay)
        return [.report(.forkFailed(taskID: taskID, reason: reason, retryIn: delay))]
    }
}

// MARK: Serving

extension Slot {
    /// A worker of the slot says that it can serve. If it is the replacement, it takes the present worker's place,
    /// which finishes what it has in hand.
    ///
    /// - Returns: nil if it does not boot here.
    mutating func becameReady(
        _ spawn: UInt64, at now: MonotonicInstant, drainDeadline: MonotonicInstant
    ) -> (worker: WorkerProcess, instead: WorkerProcess?, actions: [PoolAction])? {
        var actions: [PoolAction] = []
        if let replacement, case .booting(let worker, _) = replacement.stage, worker.spawn == spawn {
            self.replacement = nil
            let old = self.worker
            actions += drain(.terminate, until: drainDeadline)
            state = .ready(worker)
            generation = worker.generation
            actions.append(markServing(worker, now))
            if let old {
                let report = PoolReport.replaced(taskID: taskID, old: old.pid, new: worker.pid, replacement.cause)
                actions.append(.report(report))
            }
            return (worker, old, actions)
        }
        guard case .booting(let worker, _) = state, worker.spawn == spawn else { return nil }
        state = .ready(worker)
        return (worker, nil, [markServing(worker, now)])
    }

    private mutating func markServing(_ worker: WorkerProcess, _ now: MonotonicInstant) -> PoolAction {
        record.workerBecameReady()
        return .report(
            .ready(taskID: taskID, pid: worker.pid, generation: worker.generation, after: now - worker.started))
    }

    /// Begins to replace the present worker, which serves on until the new one is ready.
    mutating func replace(for cause: ReplacementCause, generation: Int, at now: MonotonicInstant) {
        replacement = Replacement(stage: .due(now), cause: cause, generation: generation)
    }

    /// The slot has no worker: the next one is forked now.
    ///
    /// - Parameter generation: of that worker. If nil, as before.
    mutating func refill(_ generation: Int? = nil, at now: MonotonicInstant) {
        state = .backingOff(until: now)
        self.generation = generation ?? self.generation
    }

    /// The pool is made smaller.
    mutating func retire(drainDeadline: MonotonicInstant) -> [PoolAction] {
        var actions = drainReplacement(.terminate, until: drainDeadline)
        actions += drain(.terminate, until: drainDeadline)
        state = .ended
        waitsForLeaving = false
        askedFork = nil
        isRetired = true
        return actions
    }
}

// MARK: Ending

extension Slot {
    /// Asks the present worker to end, and has it leave. The caller says what the slot does then.
    mutating func drain(_ signal: Signal, until deadline: MonotonicInstant) -> [PoolAction] {
        guard let worker else { return [] }
        leaving.append(
            LeavingWorker(worker: worker, deadline: deadline, wasReady: wasReady, killReason: killReason))
        return killReason == nil ? [.signal(slot: taskID, spawn: worker.spawn, signal)] : []
    }

    /// The same for the replacement.
    mutating func drainReplacement(_ signal: Signal, until deadline: MonotonicInstant) -> [PoolAction] {
        guard let replacement else { return [] }
        var actions = dropReplacement("the worker was asked to end meanwhile")
        guard let worker = replacement.worker else { return actions }
        if replacement.killReason == nil { actions.append(.signal(slot: taskID, spawn: worker.spawn, signal)) }
        leaving.append(
            LeavingWorker(worker: worker, deadline: deadline, wasReady: false, killReason: replacement.killReason))
        return actions
    }

    /// The present worker is gone, or going, before its replacement is ready. A replacement that boots takes the slot.
    /// A killed replacement is waited for. A replacement that was not forked yet is dropped. A reload continues with
    /// the slot's next worker.
    ///
    /// - Returns: whether the place is taken.
    mutating func promoteBootingReplacement(drainDeadline: MonotonicInstant) -> (isTaken: Bool, actions: [PoolAction]) {
        guard let replacement else { return (false, []) }
        if replacement.cause == .reload { generation = replacement.generation }
        guard case .booting(let next, let deadline) = replacement.stage else {
            return (false, drainReplacement(.terminate, until: drainDeadline))
        }
        state = .booting(next, deadline: deadline)
        generation = next.generation
        return (true, dropReplacement("the old one ended first, the new one boots in its place"))
    }

    private mutating func dropReplacement(_ reason: String) -> [PoolAction] {
        let cause = replacement?.cause
        replacement = nil
        // The client that asked for it may wait for its end.
        return cause == .asked ? [.report(.replacementDropped(taskID: taskID, reason: reason))] : []
    }

    /// The whole pool ends.
    mutating func stop(_ signal: Signal, until deadline: MonotonicInstant) -> [PoolAction] {
        var actions: [PoolAction] = []
        switch state {
        case .backingOff:
            state = .ended
        case .booting(let worker, _), .ready(let worker), .draining(let worker, _, _):
            state = .draining(worker, deadline: deadline, wasReady: wasReady)
            actions.append(.signal(slot: taskID, spawn: worker.spawn, signal))
        case .killed, .ended, .failed:
            break
        }
        for position in leaving.indices where leaving[position].killReason == nil {
            // It was asked to end before, but alone. Now no worker is left for the connections that wait in the accept
            // queue.
            if leaving[position].ended == nil {
                actions.append(.signal(slot: taskID, spawn: leaving[position].worker.spawn, signal))
            }
            leaving[position].deadline = min(leaving[position].deadline, deadline)
        }
        return actions + drainReplacement(signal, until: deadline)
    }

    /// Workers of generations before this one have less time.
    mutating func hurryLeavers(before generation: Int, until deadline: MonotonicInstant) {
        for position in leaving.indices where leaving[position].worker.generation < generation {
            leaving[position].isTooOld = true
            leaving[position].deadline = min(leaving[position].deadline, deadline)
        }
    }

    /// A worker's process was reaped.
    ///
    /// - Parameter hadRequest: whether it had a request in hand. If nil, as `endedInRequest` says.
    func report(
        _ exit: ProcessExit, of worker: WorkerProcess, wasReady: Bool, _ killReason: KillReason?,
        hadRequest: Bool? = nil, at now: MonotonicInstant
    ) -> ExitReport {
        var report = ExitReport(
            taskID: taskID, pid: worker.pid, generation: worker.generation, uptime: now - worker.started,
            status: exit.status, wasReady: wasReady, killReason: killReason, usage: exit.usage, consequence: .none)
        report.hadRequest = hadRequest ?? (killReason == nil && endedInRequest == worker.spawn)
        return report
    }

    /// A worker that was leaving was reaped.
    ///
    /// - Returns: nil if no such worker was leaving.
    mutating func leaverExited(_ spawn: UInt64, _ exit: ProcessExit, at now: MonotonicInstant) -> ExitReport? {
        guard let position = leaving.firstIndex(where: { $0.worker.spawn == spawn }) else { return nil }
        let gone = leaving.remove(at: position)
        var report = report(
            exit, of: gone.worker, wasReady: gone.wasReady, gone.killReason, hadRequest: gone.ended?.sign.hadRequest,
            at: now)
        if let ended = gone.ended { (report.consequence, report.isCounted) = (ended.consequence, ended.isCounted) }
        return report
    }

    /// A worker has said that it crashes. What is left of its process leaves, and is reported at its end.
    mutating func leaves(_ worker: WorkerProcess, wasReady: Bool, _ end: EndedWorker, until deadline: MonotonicInstant)
        -> [PoolAction]
    {
        var gone = LeavingWorker(worker: worker, deadline: deadline, wasReady: wasReady)
        gone.ended = end
        leaving.append(gone)
        return [.report(.crashed(taskID: taskID, pid: worker.pid, end.sign))]
    }

    /// The same of a worker that was leaving.
    mutating func leaverCrashed(_ spawn: UInt64, _ sign: CrashSign, until deadline: MonotonicInstant) -> [PoolAction] {
        guard let position = leaving.firstIndex(where: { $0.worker.spawn == spawn }), leaving[position].ended == nil
        else { return [] }
        leaving[position].ended = EndedWorker(sign: sign, consequence: .none, isCounted: true)
        leaving[position].deadline = min(leaving[position].deadline, deadline)
        return [.report(.crashed(taskID: taskID, pid: leaving[position].worker.pid, sign))]
    }
}

// MARK: Killing

extension Slot {
    /// Kills the present worker.
    mutating func kill(_ reason: KillReason) -> [PoolAction] {
        guard let worker else { return [] }
        state = .killed(worker, reason, wasReady: wasReady)
        return killing(worker, reason)
    }

    /// Kills the workers whose time is over.
    mutating func killOverdue(at now: MonotonicInstant) -> [PoolAction] {
        var actions: [PoolAction] = []
        switch state {
        case .booting(_, let deadline) where deadline <= now: actions += kill(.bootTimeout)
        case .draining(_, let deadline, _) where deadline <= now: actions += kill(.drainTimeout)
        default: break
        }
        if case .booting(let worker, let deadline) = replacement?.stage, deadline <= now {
            replacement?.stage = .killed(worker, .bootTimeout)
            actions += killing(worker, .bootTimeout)
        }
        for position in leaving.indices where leaving[position].deadline <= now {
            let worker = leaving[position]
            let reason: KillReason = worker.ended != nil ? .crashed : worker.isTooOld ? .oldGeneration : .drainTimeout
            actions += killLeaver(at: position, reason)
        }
        return actions
    }

    /// Kills all its workers.
    mutating func killAll(_ reason: KillReason) -> [PoolAction] {
        var actions: [PoolAction] = []
        for position in leaving.indices { actions += killLeaver(at: position, reason) }
        return killReason == nil ? actions + kill(reason) : actions
    }

    /// Kills a worker that was leaving.
    mutating func killLeaver(_ spawn: UInt64, _ reason: KillReason) -> [PoolAction] {
        guard let position = leaving.firstIndex(where: { $0.worker.spawn == spawn }) else { return [] }
        return killLeaver(at: position, reason)
    }

    private mutating func killLeaver(at position: Int, _ reason: KillReason) -> [PoolAction] {
        guard leaving[position].killReason == nil else { return [] }
        leaving[position].killReason = reason
        return killing(leaving[position].worker, reason)
    }

    private func killing(_ worker: WorkerProcess, _ reason: KillReason) -> [PoolAction] {
        [
            .report(.killing(taskID: taskID, pid: worker.pid, reason)),
            .signal(slot: taskID, spawn: worker.spawn, .kill),
        ]
    }
}
