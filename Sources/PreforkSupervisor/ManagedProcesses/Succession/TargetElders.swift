// An upgrade in place: the kernel's side of managed processes that one image leaves to the next.

import PreforkSystem

/// A process of the previous image.
struct ElderChild {
    let child: ChildProcess
    let name: String
    /// Its own line of the scoreboard.
    let line: Int
    /// Its doorbell's number, for an image that takes over the process. It is not watched here.
    var bell: Int32?
    /// What reads its output, until `beginSuccession`.
    var output: OutputPipe?
}

extension TargetRunner {
    /// Takes the processes of the previous image as its own children, which they are.
    func inherit(_ inheritance: TargetInheritance) {
        var inherited = inheritance.targets
        var (doorbells, outputs) = (inheritance.doorbells[...], inheritance.outputs[...])
        var gone: Set<Int32> = []
        for index in inherited.processes.indices {
            let process = inherited.processes[index]
            let bell = process.hasDoorbell ? doorbells.popFirst() : nil
            let output = process.output.flatMap { kind in
                outputs.popFirst().map { OutputPipe(owning: $0, kind: kind) }
            }
            // What the program after this one knew last may be of before it has collected one.
            if Handover.isAfterEnd, !ChildProcess.isChild(process.pid) {
                gone.insert(process.pid)
                if let bell { closeDescriptor(bell) }
                lineTable.free(process.line)
                continue
            }
            // The program after this one may have asked it to end.
            if process.stage == .serving, scoreboard.orders.isLeaving(line: process.line) {
                inherited.processes[index].stage = .leaving
            }
            elders[process.spawn] = ElderChild(
                child: .watched(process.pid, by: epoll, word: Source.elder | process.spawn), name: process.name,
                line: process.line, bell: bell, output: output)
        }
        inherited.processes.removeAll { gone.contains($0.pid) }
        table.inherit(inherited, at: .now)
        for record in inherited.onceTasks { once.inherited[record.name] = record }
        promisedSpawn = table.spawns
        hasForeignPromises = true
    }

    /// Before the targets are started.
    ///
    /// - Parameters:
    ///   - isOnProbation: there is a way back to the previous image.
    ///   - patience: how long a successor may take to become ready then.
    func prepareSuccession(isOnProbation: Bool, patience: Duration) {
        table.succession.isOnProbation = isOnProbation
        table.succession.patience = patience
        if elders.isEmpty { return }
        let captured = capturedOutput()
        for spawn in elders.keys.sorted() {
            guard let elder = elders[spawn], let pipe = elder.output else { continue }
            // Where this image captures nothing, the pipe is closed, and what the process still says is lost.
            captured?.inherit(spawn, of: .target(elder.name), pid: elder.child.pid, pipe, at: .now)
            elders[spawn]?.output = nil
        }
        let count = table.succession.elders.values.count { !$0.isOwn }
        if count == 0 { return }
        let text = "upgrade: \(count) managed processes of the previous program keep serving"
        logger.say(LogLine(.info, text), by: .own(.start))
    }

    /// After them.
    func beginSuccession() { handle(.successionBegan) }

    /// There is no way back any more.
    func commitSuccession() { if table.succession.isOnProbation { handle(.committed) } }

    /// Whether managed processes of the previous image are being replaced.
    var isSucceeding: Bool { table.isSucceeding }

    /// Why the previous program must take over again. If nil, there is no reason.
    var successionFailure: String? { table.succession.isOnProbation ? table.succession.failure : nil }

    // Leaving

    /// Hears what processes have said up to now: the next image does not know their words.
    func prepareToLeave() {
        for number in children.keys.sorted() { readNews(of: number) }
        readInbox()
        handleQueue()
    }

    /// For another image; after `finishLog`.
    ///
    /// - Parameter isOwn: as of `InheritedTarget`.
    func inheritance(isOwn: (_ spawn: UInt64) -> Bool) -> InheritedTargets {
        var inherited = table.inheritance(isOwn: isOwn) { spawn, number in
            if let number { return children[number] == nil ? nil : lines[number] }
            return elders[spawn]?.line ?? crashedChildren[spawn]?.line
        }
        // Two processes that share a line where no other was left: one of them is the supervisor's no more.
        inherited.onceTasks = once.records(at: .now)
        var known: Set<Int> = []
        inherited.processes.removeAll { !known.insert($0.line).inserted }
        for index in inherited.processes.indices {
            let spawn = inherited.processes[index].spawn
            let numbers = descriptors(of: spawn)
            inherited.processes[index].hasDoorbell = numbers.doorbell != nil
            inherited.processes[index].output = output?.pipe(of: spawn)?.kind
        }
        return inherited
    }

    /// Whether this program has forked the process of that number.
    func isOwn(_ spawn: UInt64) -> Bool { table.succession.elders[spawn]?.isOwn ?? true }

    /// The descriptors that an image which takes this one's place needs first.
    var ownDescriptors: [Int32] {
        [scoreboard.file.descriptor.number, scoreboard.orders.descriptor, lifeline.number, lifelineHold.number]
    }

    /// A process's doorbell and what reads its output.
    func descriptors(of spawn: UInt64) -> (doorbell: Int32?, output: Int32?) {
        let number = table.targets.values.first { $0.state.process?.spawn == spawn }?.number
        let bell = elders[spawn]?.bell ?? number.flatMap { bells[UInt64($0)]?.number }
        return (bell, output?.pipe(of: spawn)?.number)
    }

    func item(_ inherited: InheritedTargets) -> HandoverItem {
        let numbers = inherited.processes.map { descriptors(of: $0.spawn) }
        return HandoverItem(
            kind: InheritedTargets.handoverKind, key: "",
            descriptors: ownDescriptors + numbers.compactMap(\.doorbell) + numbers.compactMap(\.output),
            text: inherited.text)
    }

    // Doing

    func askElder(_ spawn: UInt64, _ order: ProcessSlot.Order) {
        guard let elder = elders[spawn] else { return }
        // Before the signal: the process asks whether it was the supervisor who sent it.
        scoreboard.orders.setOrder(order, line: elder.line)
        send(.terminate, toElder: spawn)
    }

    func send(_ signal: Signal, toElder spawn: UInt64) {
        guard let elder = elders[spawn] else { return }
        if signal == .kill { late.wasKilled(Source.elder | spawn, at: .now) }
        do throws(SystemError) {
            try elder.child.send(signal)
            if signal == .terminate { try elder.child.send(.resume) }
        } catch {
            logger.say(LogLine(.error, "\(elder.name) cannot be signalled: \(error)"), by: .target(elder.name, .signal))
        }
    }

    /// This program keeps a process that it had forked when it ran here before.
    func adoptElder(_ spawn: UInt64, as number: Int) {
        guard let elder = elders.removeValue(forKey: spawn) else { return }
        var child = elder.child
        if let pidfd = child.pidfdNumber {
            do throws(SystemError) {
                try epoll.modify(pidfd, .readable, word: UInt64(number))
            } catch {
                epoll.remove(pidfd)
                child = ChildProcess(withoutPidfd: child.pid)
            }
        }
        children[number] = child
        if let line = lines[number] { lineTable.free(line) }
        lines[number] = elder.line
        bells.inherit(
            UInt64(number), number: elder.bell, by: epoll, word: Source.bell | UInt64(number), at: .now)
    }

    func reapElder(_ spawn: UInt64) {
        guard let (line, bell) = elders[spawn].map({ ($0.line, $0.bell) }),
            let (exit, isGivenUp) = collectOther(Source.elder | spawn)
        else { return }
        var notes = TargetEndNotes()
        notes.lastWords = output?.end(spawn, at: .now)
        if case .signaled(let signal, _) = exit.status {
            if let record = crashRecord(line: line), record.signal == signal {
                crashMarks &+= 1
                notes.crash = report(of: record, isInherited: true)
            }
            if signal == .kill, table.succession.elders[spawn]?.killReason == nil {
                notes.outOfMemory = host?.outOfMemory.claim(at: .now) ?? false
            }
        }
        switch exit.status {
        case .signaled, .lost: scoreboard.orders.countDeath()
        case .exited: break
        }
        if let bell { closeDescriptor(bell) }
        if !isGivenUp {
            scoreboard.clear(line: line)
            lineTable.free(line)
        }
        handle(.elderExited(spawn: spawn, exit, notes))
    }
}
