// All decisions about managed processes: a value that turns events into actions and touches nothing else.

import PreforkSystem

/// Every target of a manager. `handle` is the one function that changes their states.
struct TargetTable: Equatable {
    private enum Phase: Equatable {
        case normal
        /// Until nothing lives any more. Nothing may start meanwhile.
        case stoppingAll
    }

    var targets: [Int: ManagedTarget] = [:]
    /// Processes that have said that they crash and have not been reaped, by spawn.
    private(set) var crashes: [UInt64: CrashedTarget] = [:]
    private(set) var numbers: [String: Int] = [:]
    /// In the order in which they were added.
    private(set) var addOrder: [Int] = []
    /// In the order of their latest forks.
    var forkOrder: [Int] = []
    private var phase = Phase.normal
    /// The target whose crash ended everything, since the last start.
    private(set) var crashed: String?
    private var nextNumber = 0
    var spawns: UInt64 = 0
    /// Processes of the previous image, and what becomes of them.
    var succession = SuccessionState()
    private var random: SplitMix64

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    subscript(name: String) -> ManagedTarget? { numbers[name].flatMap { targets[$0] } }

    /// In the order in which they were added.
    var inOrder: [ManagedTarget] { addOrder.compactMap { targets[$0] } }

    /// As its manager tells.
    func status(of target: ManagedTarget) -> TargetStatus {
        var status = target.status
        status.crashedProcesses = crashes.values.filter { $0.number == target.number }.map(\.process.pid).sorted()
        addElders(to: &status)
        return status
    }

    var isStoppingAll: Bool { phase == .stoppingAll }

    /// Whether any target lives or must be started.
    var isBusy: Bool { targets.values.contains { !$0.state.isAtRest } || !succession.elders.isEmpty }

    /// Whether another process follows the target's present one when that dies. A target that is restarted after
    /// failures only may turn out not to be followed, when its process has ended with 0.
    func isFollowed(_ target: ManagedTarget) -> Bool {
        if isStoppingAll { return false }
        return switch target.state {
        case .waiting, .backoff: true
        case .starting, .running, .killed(_, _, nil, _): target.settings.onFailure.policy != nil
        case .stopping(_, _, let order, _), .killed(_, _, .some(let order), _): order == .restart
        case .stopped, .failed: false
        }
    }

    /// Whether a target that was due to be forked still is. Hooks that ran meanwhile may have changed that.
    func isToBeForked(_ number: Int, at now: MonotonicInstant) -> Bool {
        guard case .backoff(let until) = targets[number]?.state else { return false }
        return until <= now
    }

    /// When `tick` is due without another event. If nil, never.
    var nextDeadline: MonotonicInstant? {
        let ofTargets = targets.values.lazy.compactMap(\.state.deadline).min()
        let ofCrashes = crashes.values.lazy.filter { $0.killReason == nil }.map(\.deadline).min()
        let earliest = [ofTargets, ofCrashes, successionDeadline].lazy.compactMap { $0 }.min()
        return earliest == .distantFuture ? nil : earliest
    }

    // The targets themselves

    mutating func add(_ settings: TargetSettings) throws(ProcessError) -> Int {
        if settings.name.isEmpty { throw ProcessError(.badName(settings.name)) }
        if numbers[settings.name] != nil { throw ProcessError(.duplicate(settings.name)) }
        nextNumber += 1
        targets[nextNumber] = ManagedTarget(number: nextNumber, settings: settings)
        numbers[settings.name] = nextNumber
        addOrder.append(nextNumber)
        return nextNumber
    }

    mutating func remove(_ name: String) throws(ProcessError) {
        guard let target = self[name] else { throw ProcessError(.unknown(name)) }
        let isNeeded = targets.values.contains { $0.name != name && $0.settings.dependencies.contains(name) }
        guard status(of: target).isAtRest, !isNeeded else { throw ProcessError(.inUse(name)) }
        targets[target.number] = nil
        numbers[name] = nil
        addOrder.removeAll { $0 == target.number }
        forkOrder.removeAll { $0 == target.number }
    }

    /// Checks the dependencies of all targets, and prepares them for `start`.
    ///
    /// - Throws: `.unknown`, `.cycle`.
    mutating func plan() throws(ProcessError) -> DependencyPlan {
        let plan = try DependencyPlan(inOrder.map { ($0.name, $0.settings.dependencies) })
        for target in inOrder {
            targets[target.number]?.dependencies = target.settings.dependencies.compactMap { numbers[$0] }
        }
        return plan
    }

    // Events

    mutating func handle(_ event: TargetEvent, at now: MonotonicInstant) -> [TargetAction] {
        var actions: [TargetAction] = []
        switch event {
        case .tick: tick(now, &actions)
        case .start(let number): start(number, now, &actions)
        case .forked(let number, let pid, let spawn):
            forkOrder.removeAll { $0 == number }
            forkOrder.append(number)
            targets[number]?.forked(pid: pid, spawn: spawn, now, &actions)
        case .forkFailed(let number, let reason):
            targets[number]?.forkFailed(reason, now, &random, &actions)
            successorFailed(number, "it could not be forked: \(reason)")
        case .ready(let number, let spawn): targets[number]?.becameReady(spawn: spawn, now, &actions)
        case .exited(let number, let exit, let notes):
            let isAsked = targets[number]?.state.isAskedToEnd == true
            guard let consequence = targets[number]?.exited(exit, notes, now, &random, &actions) else { break }
            if !isAsked, !exit.status.isSuccess { successorFailed(number, "it \(exit.status)") }
            follow(consequence, of: number, now, &actions)
        case .crashed(let number, let spawn, let sign, let policy): crashed(number, spawn, sign, policy, now, &actions)
        case .crashedExited(let spawn, let exit, let notes):
            guard let crashed = crashes.removeValue(forKey: spawn) else { break }
            targets[crashed.number]?.reaped(crashed, exit, notes, now, &actions)
        case .elderExited(let spawn, let exit, let notes): elderExited(spawn, exit, notes, now, &actions)
        case .successionBegan: succession.hasBegun = true
        case .committed: succession.isOnProbation = false
        case .control(let number, let code, let isPaced, let obstacle):
            control(number, code, isPaced: isPaced, obstacle, now, &actions)
        case .proceed(let number, let order, let deadline, let isPrevented):
            let isPrevented = isPrevented && phase == .normal
            targets[number]?.proceed(order, deadline: deadline, isPrevented: isPrevented, now, &actions)
        case .stop(let number, let within):
            let deadline = now + (within ?? targets[number]?.settings.grace ?? .zero)
            limitCrashes(to: deadline, of: number)
            targets[number]?.order(.stop, deadline: deadline, now, &actions)
            if let name = targets[number]?.name { stopElders(of: name, by: deadline, now, &actions) }
        case .stopAll(let within):
            limitCrashes(to: sharedDeadline(within, now))
            stopAll(within, now, &actions)
        }
        settle(now, &actions)
        return actions
    }

    /// It and what it depends on, which is started if it does not run.
    private mutating func start(_ number: Int, _ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        guard phase == .normal else { return }
        crashed = nil
        var wanted = [number]
        var seen: Set<Int> = []
        while let next = wanted.popLast() {
            guard seen.insert(next).inserted, let target = targets[next] else { continue }
            // A dependency that has done its work need not do it again.
            if next != number, target.satisfiesDependents || target.settings.isOnceTask { continue }
            startOrAdopt(next, &actions)
            wanted += target.dependencies
        }
    }

    private mutating func control(
        _ number: Int, _ code: UInt8, isPaced: Bool, _ obstacle: String?, _ now: MonotonicInstant,
        _ actions: inout [TargetAction]
    ) {
        guard let target = targets[number] else { return }
        if target.settings.isOnceTask {
            targets[number]?.ignore(code: code, &actions)
            return
        }
        let deadline = now + target.settings.grace
        switch ControlCode(rawValue: code) {
        case .stop:
            targets[number]?.order(.stop, deadline: deadline, now, &actions)
        case .restart where phase == .normal:
            if isPaced, targets[number]?.admitRestart(now) == false { return }
            // What cannot be started again is not ended.
            if let obstacle, !target.state.isToRestart {
                return actions.append(.report(.restartRefused(name: target.name, reason: obstacle)))
            }
            if target.state.isAtRest {
                start(number, now, &actions)
            } else {
                targets[number]?.order(.restart, deadline: deadline, now, &actions)
            }
        default:
            targets[number]?.ignore(code: code, &actions)
        }
    }

    /// Whether its process has had SIGKILL from the supervisor.
    func wasKilled(_ number: Int) -> Bool {
        if case .killed = targets[number]?.state { true } else { false }
    }

    private mutating func follow(
        _ consequence: TargetConsequence, of number: Int, _ now: MonotonicInstant, _ actions: inout [TargetAction]
    ) {
        // The previous program takes everything over again.
        guard consequence == .crashTree, phase == .normal, !hasFailedSuccessor, let name = targets[number]?.name
        else { return }
        crashed = name
        actions.append(.report(.treeCrashed(name: name)))
        stopAll(nil, now, &actions)
    }

    private mutating func crashed(
        _ number: Int, _ spawn: UInt64, _ sign: CrashSign, _ policy: CrashPolicy, _ now: MonotonicInstant,
        _ actions: inout [TargetAction]
    ) {
        let isAsked = targets[number]?.state.isAskedToEnd == true
        let crash = targets[number]?.crashed(spawn, sign, deadline: now + policy.timeout, now, &random, &actions)
        guard let crash else { return }
        if !isAsked { successorFailed(number, "it has crashed (\(sign.signal))") }
        crashes[spawn] = crash
        let traced = crashes.values.count { $0.hasBacktracer && $0.killReason == nil }
        if crash.hasBacktracer, traced > policy.backtracersAtOnce { killCrashed(spawn, .crashed, &actions) }
        follow(crash.consequence, of: number, now, &actions)
    }

    private mutating func killCrashed(
        _ spawn: UInt64, _ reason: TargetKillReason, _ actions: inout [TargetAction]
    ) {
        guard let crash = crashes[spawn], let name = targets[crash.number]?.name else { return }
        crashes[spawn]?.killReason = reason
        actions.append(.report(.killing(name: name, pid: crash.process.pid, reason)))
        actions.append(.killCrashed(spawn: spawn))
    }

    /// A stop leaves those that have crashed no more time than the others.
    private mutating func limitCrashes(to deadline: MonotonicInstant, of number: Int? = nil) {
        for (spawn, crash) in crashes where number == nil || crash.number == number {
            crashes[spawn]?.deadline = min(crash.deadline, deadline)
        }
    }

    /// The time in which everything ends: the longest grace of those that live, where nothing else is said.
    private func sharedDeadline(_ within: Duration?, _ now: MonotonicInstant) -> MonotonicInstant {
        let alive = targets.values.filter { $0.state.process != nil }.map(\.settings.grace)
        let elders = succession.elders.values.map(\.grace)
        return now + (within ?? (alive + elders).max() ?? .zero)
    }

    /// The last one forked is asked first, all of them before any has ended: they share the time.
    private mutating func stopAll(_ within: Duration?, _ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        guard isBusy else { return }
        phase = .stoppingAll
        let deadline = sharedDeadline(within, now)
        for target in targets.values where target.state.process == nil && !target.state.isAtRest {
            targets[target.number]?.order(.stop, deadline: deadline, now, &actions)
        }
        for number in forkOrder.reversed() where targets[number]?.state.process != nil {
            targets[number]?.order(.stop, deadline: deadline, now, &actions)
        }
        stopElders(of: nil, by: deadline, now, &actions)
    }

    private mutating func tick(_ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        for number in addOrder { targets[number]?.tick(now, &actions) }
        for (spawn, crash) in crashes where crash.deadline <= now && crash.killReason == nil {
            killCrashed(spawn, .crashed, &actions)
        }
        tickElders(now, &actions)
    }

    /// What follows from the states alone: dependents start or fail, what is due is forked.
    private mutating func settle(_ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        settleTurn()
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for number in addOrder where targets[number]?.state == .waiting {
                guard let target = targets[number] else { continue }
                let needed = target.dependencies.compactMap { targets[$0] }
                if let unable = needed.first(where: \.isUnableToSatisfy) {
                    targets[target.number]?.dependencyIsUnable(unable.name, &actions)
                    hasChanged = true
                } else if needed.allSatisfy(\.satisfiesDependents), mayBegin(number, now, &actions) {
                    targets[target.number]?.dependenciesAreReady(now)
                }
            }
        }
        settleElders(now, &actions)
        for number in addOrder {
            guard isToBeForked(number, at: now) else { continue }
            spawns += 1
            actions.append(.fork(number, spawn: spawns, generation: (targets[number]?.generation ?? 0) + 1))
        }
        if phase == .stoppingAll, !isBusy { phase = .normal }
        limitSuccession(now)
    }
}
