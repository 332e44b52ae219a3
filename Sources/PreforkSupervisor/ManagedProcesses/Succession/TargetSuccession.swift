// An upgrade in place: managed processes of the previous program, and their successors.

import PreforkSystem

// The next image of a program inherits the managed processes of the previous image as *elders*. A target whose elder
// serves waits for its turn: one at a time, in the order of their dependencies. Its options say whether its process is
// forked first, and the elder is asked to end when that process is ready, or the other way round. While a rollback is
// possible, an elder without a successor keeps serving, and a successor that crashes fails the upgrade.

/// A process of the previous image.
struct ElderTarget: Equatable {
    enum Stage: Equatable {
        case serving
        case leaving(deadline: MonotonicInstant)
        case killed(TargetKillReason)
    }

    /// Of its target, which this program may not have any more.
    let name: String
    let process: WorkerProcess
    let wasReady: Bool
    /// From SIGTERM to SIGKILL.
    let grace: Duration
    /// This program has forked it when it ran here before.
    let isOwn: Bool
    /// It has reported that it crashes: only its end follows.
    let hasCrashed: Bool
    var stage: Stage

    var killReason: TargetKillReason? { if case .killed(let reason) = stage { reason } else { nil } }
}

/// What `TargetTable` knows of the previous image.
struct SuccessionState: Equatable {
    /// By spawn.
    var elders: [UInt64: ElderTarget] = [:]
    /// What that image knew of targets that were not started yet, by name.
    var records: [String: TargetRecord] = [:]
    /// The target that has its turn.
    var successor: Int?
    /// Every target of this program that must run was started.
    var hasBegun = false
    /// The previous program takes this one's place if a successor fails.
    var isOnProbation = false
    /// The first failure of a successor on probation.
    var failure: String?
    /// How long a target's turn may take on probation, besides the time in which its elder ends.
    var patience: Duration?
    /// When the turn is over that way.
    var deadline: MonotonicInstant?
}

extension TargetTable {
    mutating func inherit(_ inherited: InheritedTargets, at now: MonotonicInstant) {
        spawns = max(spawns, inherited.spawns)
        succession.records = inherited.records
        for process in inherited.processes {
            succession.elders[process.spawn] = ElderTarget(
                name: process.name,
                process: WorkerProcess(
                    pid: process.pid, spawn: process.spawn, generation: process.generation,
                    started: MonotonicInstant(nanoseconds: process.started)),
                wasReady: process.wasReady, grace: process.grace, isOwn: process.isOwn,
                hasCrashed: process.stage == .crashed,
                stage: process.stage == .serving ? .serving : .leaving(deadline: now + process.grace))
        }
    }

    /// For the next image.
    ///
    /// - Parameters:
    ///   - isOwn: see `InheritedTarget`.
    ///   - line: a process's line of the scoreboard; nil: the process is not handed over.
    func inheritance(
        isOwn: (_ spawn: UInt64) -> Bool, line: (_ spawn: UInt64, _ number: Int?) -> Int?
    ) -> InheritedTargets {
        var inherited = InheritedTargets(spawns: spawns)
        inherited.records = succession.records
        func add(
            _ process: WorkerProcess, _ number: Int?, _ name: String, _ stage: InheritedTarget.Stage, wasReady: Bool,
            _ grace: Duration
        ) {
            guard let line = line(process.spawn, number) else { return }
            inherited.processes.append(
                InheritedTarget(
                    name: name, pid: process.pid, spawn: process.spawn, generation: process.generation, line: line,
                    started: process.started.nanoseconds, stage: stage, wasReady: wasReady,
                    isOwn: isOwn(process.spawn), grace: grace))
        }
        for target in inOrder {
            if inherited.records[target.name] == nil { inherited.records[target.name] = target.record }
            guard let process = target.state.process else { continue }
            // One that is not ready yet has nothing that a successor would need.
            let isServing: Bool =
                switch target.state {
                case .running: true
                case .starting: target.settings.isOnceTask
                default: false
                }
            add(
                process, target.number, target.name, isServing ? .serving : .leaving, wasReady: target.state.wasReady,
                target.settings.grace)
        }
        for crash in crashes.values {
            guard let target = targets[crash.number] else { continue }
            add(crash.process, nil, target.name, .crashed, wasReady: crash.wasReady, target.settings.grace)
        }
        for elder in succession.elders.values {
            let stage: InheritedTarget.Stage =
                elder.hasCrashed ? .crashed : elder.stage == .serving ? .serving : .leaving
            add(elder.process, nil, elder.name, stage, wasReady: elder.wasReady, elder.grace)
        }
        return inherited
    }

    // What is asked

    private func elders(of name: String) -> [ElderTarget] {
        if succession.elders.isEmpty { return [] }
        return succession.elders.values.filter { $0.name == name }.sorted { $0.process.spawn < $1.process.spawn }
    }

    private func servingElder(of name: String) -> ElderTarget? { elders(of: name).last { $0.stage == .serving } }

    /// A target whose elder serves shows that one until its successor is forked.
    func addElders(to status: inout TargetStatus) {
        let elders = elders(of: status.name)
        if elders.isEmpty { return }
        status.olderProcesses = elders.map(\.process.pid)
        guard status.pid == nil, let elder = elders.last(where: { $0.stage == .serving }) else { return }
        status.phase = .running
        status.pid = elder.process.pid
        status.generation = elder.process.generation
    }

    /// Whether targets wait for their turn, or have it.
    var isSucceeding: Bool {
        if succession.successor != nil { return true }
        return targets.values.contains { $0.state == .waiting && servingElder(of: $0.name) != nil }
    }

    var hasFailedSuccessor: Bool { succession.failure != nil }

    /// When something is due that has to do with the previous image.
    var successionDeadline: MonotonicInstant? {
        var deadlines = succession.elders.values.compactMap { elder -> MonotonicInstant? in
            if case .leaving(let deadline) = elder.stage { deadline } else { nil }
        }
        if succession.isOnProbation, succession.failure == nil, let end = succession.deadline { deadlines.append(end) }
        return deadlines.min()
    }

    // What happens

    /// A target that must run keeps the process that this program had forked before, if one serves.
    mutating func startOrAdopt(_ number: Int, _ actions: inout [TargetAction]) {
        guard let target = targets[number] else { return }
        let wasAtRest = target.state.isAtRest
        targets[number]?.start()
        guard wasAtRest else { return }
        if let record = succession.records.removeValue(forKey: target.name) { targets[number]?.inherit(record) }
        guard let elder = servingElder(of: target.name), elder.isOwn else { return }
        succession.elders[elder.process.spawn] = nil
        targets[number]?.adopt(elder.process)
        forkOrder.append(number)
        actions.append(.adopt(number, spawn: elder.process.spawn))
    }

    /// Whether a target may be forked whose dependencies are ready. Where an elder must end first, it is asked.
    mutating func mayBegin(_ number: Int, _ now: MonotonicInstant, _ actions: inout [TargetAction]) -> Bool {
        guard let target = targets[number] else { return false }
        let living = elders(of: target.name).filter { !$0.hasCrashed }
        if living.isEmpty { return true }
        if hasFailedSuccessor { return false }
        if let other = succession.successor, other != number { return false }
        if succession.successor == nil {
            succession.successor = number
            succession.deadline = nil
        }
        if target.settings.succession == .newFirst { return true }
        for elder in living { ask(elder, .makeRoom, by: now + elder.grace, now, &actions) }
        return false
    }

    private mutating func ask(
        _ elder: ElderTarget, _ order: ProcessSlot.Order, by deadline: MonotonicInstant, _ now: MonotonicInstant,
        _ actions: inout [TargetAction]
    ) {
        guard elder.stage == .serving else { return }
        succession.elders[elder.process.spawn]?.stage = .leaving(deadline: deadline)
        actions.append(.report(.stopping(name: elder.name, isRestart: order == .makeRoom || order == .succeeded)))
        if deadline <= now { return kill(elder.process.spawn, &actions) }
        actions.append(.askElder(spawn: elder.process.spawn, name: elder.name, order))
    }

    private mutating func kill(_ spawn: UInt64, _ actions: inout [TargetAction]) {
        guard let elder = succession.elders[spawn], elder.killReason == nil else { return }
        let reason: TargetKillReason = elder.hasCrashed ? .crashed : .grace
        succession.elders[spawn]?.stage = .killed(reason)
        actions.append(.report(.killing(name: elder.name, pid: elder.process.pid, reason)))
        actions.append(.killElder(spawn: spawn))
    }

    /// - Parameter name: nil: all of them.
    mutating func stopElders(
        of name: String?, by deadline: MonotonicInstant, _ now: MonotonicInstant, _ actions: inout [TargetAction]
    ) {
        for elder in succession.elders.values.sorted(by: { $0.process.spawn > $1.process.spawn })
        where name == nil || elder.name == name {
            switch elder.stage {
            case .serving: ask(elder, .leave, by: deadline, now, &actions)
            case .leaving(let before):
                succession.elders[elder.process.spawn]?.stage = .leaving(deadline: min(before, deadline))
            case .killed: break
            }
        }
        tickElders(now, &actions)
    }

    mutating func tickElders(_ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        for (spawn, elder) in succession.elders {
            if case .leaving(let deadline) = elder.stage, deadline <= now { kill(spawn, &actions) }
        }
        guard succession.isOnProbation, let end = succession.deadline, end <= now else { return }
        let waiting = inOrder.first { $0.state == .waiting }?.name
        let name = succession.successor.flatMap { targets[$0]?.name } ?? waiting
        fail("managed process \(name ?? "") was not replaced within the boot timeout")
    }

    mutating func elderExited(
        _ spawn: UInt64, _ exit: ProcessExit, _ notes: TargetEndNotes, _ now: MonotonicInstant,
        _ actions: inout [TargetAction]
    ) {
        guard let elder = succession.elders.removeValue(forKey: spawn) else { return }
        // Its successor comes in any case, when it is its turn.
        let target = numbers[elder.name].flatMap { targets[$0] }
        let isUnasked = elder.stage == .serving && target?.settings.isOnceTask == true
        let isFollowed = elder.stage == .serving && target?.settings.isOnceTask == false
        var report = TargetExit(
            name: elder.name, pid: elder.process.pid, generation: elder.process.generation, status: exit.status,
            uptime: now - elder.process.started, wasReady: elder.wasReady, killReason: elder.killReason,
            crash: notes.crash, lastWords: notes.lastWords, usage: exit.usage,
            consequence: isFollowed && !exit.status.isSuccess
                ? .restart(in: .zero, number: 0) : isUnasked && !exit.status.isSuccess ? .ignored : .none)
        report.outOfMemory = notes.outOfMemory
        actions.append(.report(.exited(report)))
    }

    /// The turn of a target is over when its process is ready or at its end.
    mutating func settleTurn() {
        guard let number = succession.successor else { return }
        switch targets[number]?.state {
        case .waiting, .backoff, .starting: break
        case .running, .stopping, .killed, .stopped, .failed, nil: endTurn()
        }
    }

    /// Elders whose successor is there leave, and those that will have none, as soon as there is no way back.
    mutating func settleElders(_ now: MonotonicInstant, _ actions: inout [TargetAction]) {
        if succession.elders.isEmpty { return }
        for elder in succession.elders.values.sorted(by: { $0.process.spawn > $1.process.spawn })
        where elder.stage == .serving {
            let target = numbers[elder.name].flatMap { targets[$0] }
            if target?.settings.isOnceTask == true { continue }
            let deadline = now + elder.grace
            if let target, target.satisfiesDependents {
                ask(elder, .succeeded, by: deadline, now, &actions)
            } else if target?.state.isAtRest != false, succession.hasBegun, !succession.isOnProbation {
                ask(elder, target == nil ? .giveUp : .leave, by: deadline, now, &actions)
            }
        }
    }

    private mutating func endTurn() {
        succession.successor = nil
        succession.deadline = nil
    }

    /// From one turn to the next no more time passes than one takes.
    mutating func limitSuccession(_ now: MonotonicInstant) {
        guard succession.isOnProbation, isSucceeding else { return succession.deadline = nil }
        guard succession.deadline == nil, let patience = succession.patience else { return }
        let target = succession.successor.flatMap { targets[$0] }
        let isElderFirst = target?.settings.succession == .stopFirst
        let graces = target.map { isElderFirst ? elders(of: $0.name).map(\.grace) : [] } ?? []
        succession.deadline = now + patience + (graces.max() ?? .zero)
    }

    /// A process that this program has forked has crashed, or could not be forked.
    mutating func successorFailed(_ number: Int, _ reason: String) {
        // Others need not wait for one that is tried again.
        if succession.successor == number { endTurn() }
        guard let target = targets[number], !target.settings.isOnceTask else { return }
        if succession.isOnProbation { fail("managed process \(target.name) failed its probation: \(reason)") }
    }

    private mutating func fail(_ reason: String) {
        if succession.failure == nil { succession.failure = reason }
    }
}
