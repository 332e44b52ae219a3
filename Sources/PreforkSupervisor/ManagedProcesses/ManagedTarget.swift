// One managed process: its state, and each change of it.

import PreforkSystem

/// A target. Its functions are its state machine (see `TargetState`): they change it and return the actions that
/// follow.
struct ManagedTarget: Equatable {
    let number: Int
    let settings: TargetSettings
    /// The numbers of `settings.dependencies`.
    var dependencies: [Int] = []
    private(set) var state = TargetState.stopped
    private(set) var score = TargetRestartHistory()
    private(set) var generation = 0
    private(set) var ignoredCodes = 0
    private(set) var lastExit: TargetExit?
    /// It has ended with exit code 0 since it was last started. Its dependents may start.
    private(set) var isCompleted = false
    private(set) var missingDependency: String?
    private var pace = RestartRateLimit()

    init(number: Int, settings: TargetSettings) {
        self.number = number
        self.settings = settings
    }

    var name: String { settings.name }

    var status: TargetStatus {
        TargetStatus(
            name: name, phase: state.phase, isCompleted: isCompleted, missingDependency: missingDependency,
            pid: state.process?.pid, generation: generation, restarts: score.restarts, ignoredCodes: ignoredCodes,
            lastExit: lastExit)
    }

    var satisfiesDependents: Bool {
        if case .running = state { return true }
        return state == .stopped && isCompleted
    }

    /// Will not be ready unless a caller starts it.
    var isUnableToSatisfy: Bool {
        switch state {
        case .failed: true
        case .stopped: !isCompleted
        case .stopping(_, _, let then, _): then == .stop
        case .killed(_, _, let then, _): then == .stop
        case .waiting, .backoff, .starting, .running: false
        }
    }

    // Starting

    /// A caller wants it to run. One that is about to end comes back afterwards.
    mutating func start() {
        switch state {
        case .stopped, .failed:
            score = TargetRestartHistory()
            isCompleted = false
            missingDependency = nil
            state = .waiting
        case .stopping(let process, let deadline, _, let wasReady):
            state = .stopping(process, deadline: deadline, then: .restart, wasReady: wasReady)
        case .killed(let process, let reason, .some, let wasReady):
            state = .killed(process, reason, then: .restart, wasReady: wasReady)
        case .waiting, .backoff, .starting, .running, .killed:
            break
        }
    }

    /// What the previous image knew of it.
    mutating func inherit(_ record: TargetRecord) {
        generation = max(generation, record.generation)
        score = record.score
    }

    /// For the next image. One that has failed begins anew there: the next program may have mended it.
    var record: TargetRecord {
        TargetRecord(generation: generation, score: state == .failed ? TargetRestartHistory() : score)
    }

    /// Keeps a process that this program had forked when it ran here before.
    mutating func adopt(_ process: WorkerProcess) {
        generation = max(generation, process.generation)
        state = .running(process)
    }

    /// Its dependencies are ready: it is forked at the next look.
    mutating func dependenciesAreReady(_ now: MonotonicInstant) {
        if state == .waiting { state = .backoff(until: max(now, pace.earliest)) }
    }

    mutating func dependencyIsUnable(_ dependency: String, _ actions: inout [TargetAction]) {
        guard state == .waiting else { return }
        state = .failed
        missingDependency = dependency
        actions.append(.report(.dependencyFailed(name: name, dependency: dependency)))
    }

    mutating func forked(
        pid: Int32, spawn: UInt64, _ now: MonotonicInstant, _ actions: inout [TargetAction]
    ) {
        guard case .backoff = state else { return }
        generation += 1
        let process = WorkerProcess(pid: pid, spawn: spawn, generation: generation, started: now)
        let deadline = settings.startTimeout.map { now + $0 } ?? .distantFuture
        state = .starting(process, deadline: deadline)
        actions.append(.report(.forked(name: name, pid: pid, generation: generation)))
    }

    mutating func forkFailed(
        _ reason: String, _ now: MonotonicInstant, _ random: inout SplitMix64, _ actions: inout [TargetAction]
    ) {
        guard case .backoff = state else { return }
        let delay = score.delayAfterRefusedFork(using: &random)
        state = .backoff(until: now + delay)
        actions.append(.report(.forkFailed(name: name, reason: reason, retryIn: delay)))
    }

    mutating func becameReady(spawn: UInt64, _ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        guard case .starting(let process, _) = state, process.spawn == spawn else { return }
        state = .running(process)
        score.becameReady()
        actions.append(.report(.ready(name: name, pid: process.pid, after: now - process.started)))
    }

    // Ending

    /// An order came: by the program, by a code, or because everything ends.
    mutating func order(
        _ order: TargetOrder, deadline: MonotonicInstant, _ now: MonotonicInstant, _ actions: inout [TargetAction]
    ) {
        switch (state, order) {
        case (.starting, _), (.running, _):
            actions.append(.hooks(number, order, deadline: deadline))
        case (.stopping(let process, let before, _, let wasReady), _):
            // The later of two orders counts, and the earlier of two deadlines.
            state = .stopping(process, deadline: min(before, deadline), then: order, wasReady: wasReady)
        case (.killed(let process, let reason, _, let wasReady), _):
            state = .killed(process, reason, then: order, wasReady: wasReady)
        case (.stopped, .restart), (.failed, .restart):
            start()
        case (.backoff, .stop), (.waiting, .stop), (.failed, .stop):
            state = .stopped
        case (.backoff, .restart):
            state = .backoff(until: max(now, pace.earliest))
        case (.waiting, .restart), (.stopped, .stop):
            break
        }
    }

    /// The hooks of an order have run.
    mutating func proceed(
        _ order: TargetOrder, deadline: MonotonicInstant, isPrevented: Bool, _ now: MonotonicInstant,
        _ actions: inout [TargetAction]
    ) {
        guard let process = state.process else { return }
        switch state {
        case .starting, .running: break
        default: return
        }
        if isPrevented {
            actions.append(.report(.restartPrevented(name: name)))
            return
        }
        actions.append(.report(.stopping(name: name, isRestart: order == .restart)))
        state = .stopping(process, deadline: deadline, then: order, wasReady: state.wasReady)
        if deadline <= now {
            tick(now, &actions)
        } else {
            actions.append(.signal(number, .terminate))
        }
    }

    /// A deadline may have passed. The table checks the deadline of `.backoff`, because the table forks.
    mutating func tick(_ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        switch state {
        case .starting(let process, let deadline) where deadline <= now:
            kill(process, .startTimeout, then: nil, &actions)
        case .stopping(let process, let deadline, let then, _) where deadline <= now:
            kill(process, .grace, then: then, &actions)
        default:
            break
        }
    }

    private mutating func kill(
        _ process: WorkerProcess, _ reason: TargetKillReason, then order: TargetOrder?, _ actions: inout [TargetAction]
    ) {
        state = .killed(process, reason, then: order, wasReady: state.wasReady)
        actions.append(.report(.killing(name: name, pid: process.pid, reason)))
        actions.append(.signal(number, .kill))
    }

    /// Its process was reaped.
    ///
    /// - Returns: the actions that follow. The table carries out `.crashTree`.
    mutating func exited(
        _ exit: ProcessExit, _ notes: TargetEndNotes, _ now: MonotonicInstant, _ random: inout SplitMix64,
        _ actions: inout [TargetAction]
    ) -> TargetConsequence {
        guard let process = state.process else { return .none }
        let before = state
        let consequence = consequence(of: exit.status, uptime: now - process.started, now, &random)
        var killReason: TargetKillReason?
        if case .killed(_, let reason, _, _) = before { killReason = reason }
        report(
            exit, of: process, wasReady: before.wasReady, killReason: killReason, notes, consequence, now, &actions)
        follow(consequence, now)
        return consequence
    }

    /// Its process says that it crashes. The target continues without it, and reports its end when it is reaped.
    ///
    /// - Parameter deadline: when the process is killed if it has not ended by then.
    /// - Returns: nil for a process that is not the target's own any more, or was killed: its end is on the way.
    mutating func crashed(
        _ spawn: UInt64, _ sign: CrashSign, deadline: MonotonicInstant, _ now: MonotonicInstant,
        _ random: inout SplitMix64, _ actions: inout [TargetAction]
    ) -> CrashedTarget? {
        guard let process = state.process, process.spawn == spawn else { return nil }
        var deadline = deadline
        switch state {
        case .killed: return nil
        case .stopping(_, let limit, _, _): deadline = min(deadline, limit)
        default: break
        }
        let wasReady = state.wasReady
        let status = ExitStatus.signaled(sign.signal, coreDumped: false)
        let consequence = consequence(of: status, uptime: now - process.started, now, &random)
        let report = TargetReport.crashed(
            name: name, pid: process.pid, signal: sign.signal, hasBacktracer: sign.hasBacktracer)
        actions.append(.report(report))
        follow(consequence, now)
        return CrashedTarget(
            number: number, process: process, wasReady: wasReady, hasBacktracer: sign.hasBacktracer,
            consequence: consequence, deadline: deadline)
    }

    /// A process that had said that it crashes was reaped. The target may have had others since.
    mutating func reaped(
        _ crashed: CrashedTarget, _ exit: ProcessExit, _ notes: TargetEndNotes, _ now: MonotonicInstant,
        _ actions: inout [TargetAction]
    ) {
        report(
            exit, of: crashed.process, wasReady: crashed.wasReady, killReason: crashed.killReason, notes,
            crashed.consequence, now, &actions)
    }

    private mutating func report(
        _ exit: ProcessExit, of process: WorkerProcess, wasReady: Bool, killReason: TargetKillReason?,
        _ notes: TargetEndNotes, _ consequence: TargetConsequence, _ now: MonotonicInstant,
        _ actions: inout [TargetAction]
    ) {
        var report = TargetExit(
            name: name, pid: process.pid, generation: process.generation, status: exit.status,
            uptime: now - process.started, wasReady: wasReady, killReason: killReason, crash: notes.crash,
            lastWords: notes.lastWords, usage: exit.usage, consequence: consequence)
        report.outOfMemory = notes.outOfMemory
        if lastExit.map({ $0.generation <= report.generation }) != false { lastExit = report }
        actions.append(.report(.exited(report)))
    }

    private mutating func follow(_ consequence: TargetConsequence, _ now: MonotonicInstant) {
        switch consequence {
        case .none, .ignored: state = .stopped
        case .restart(let delay, _): state = .backoff(until: now + delay)
        case .failed, .crashTree: state = .failed
        }
    }

    private mutating func consequence(
        of status: ExitStatus, uptime: Duration, _ now: MonotonicInstant, _ random: inout SplitMix64
    ) -> TargetConsequence {
        switch state {
        case .stopping(_, _, .stop, _), .killed(_, _, .stop, _): return .none
        case .stopping(_, _, .restart, _), .killed(_, _, .restart, _):
            return .restart(in: max(.zero, pace.earliest - now), number: score.restarts)
        default: break
        }
        if status.isSuccess {
            isCompleted = true
            return .none
        }
        guard let policy = settings.onFailure.policy else {
            return settings.onFailure.crashesTree ? .crashTree : .ignored
        }
        let verdict = score.judge(
            wasReady: state.wasReady, uptime: uptime, at: now, policy: policy, using: &random)
        switch verdict {
        case .restart(let delay): return .restart(in: delay, number: score.restarts)
        case .giveUp: return settings.onFailure.crashesTree ? .crashTree : .failed
        }
    }

    /// Another process asks for a restart.
    ///
    /// - Returns: false when one that was asked for before has not come about yet.
    mutating func admitRestart(_ now: MonotonicInstant) -> Bool {
        switch state {
        // It is on its way: one more order changes nothing, and costs nothing.
        case .waiting, .stopping(_, _, .restart, _), .killed(_, _, .some(.restart), _): false
        default: pace.admit(now)
        }
    }

    /// A code that has no meaning.
    mutating func ignore(code: UInt8, _ actions: inout [TargetAction]) {
        ignoredCodes += 1
        actions.append(.report(.ignoredCode(name: name, code: code, count: ignoredCodes)))
    }
}
