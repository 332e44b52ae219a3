// The forks of managed processes, on both sides.

import PreforkSystem

/// The worker pool's supervisor beside which managed processes run, as they need it.
final class TargetHost {
    /// The signals that were blocked before supervision began.
    let signalMask: SignalSet
    /// What its workers give up.
    let rights: ChildRights
    let logger: SupervisorLogger
    let crashes: CrashPolicy
    let outOfMemory: OutOfMemoryJudge
    let capture: OutputCapture
    /// The title of a process of this name and generation in ps(1). If nil, titles stay as they are.
    let title: ((String, Int) -> ProcessTitleText)?

    init(
        signalMask: SignalSet, rights: ChildRights, logger: SupervisorLogger, crashes: CrashPolicy,
        outOfMemory: OutOfMemoryJudge, capture: OutputCapture, title: ((String, Int) -> ProcessTitleText)?
    ) {
        self.crashes = crashes
        self.outOfMemory = outOfMemory
        self.title = title
        self.signalMask = signalMask
        self.rights = rights
        self.logger = logger
        self.capture = capture
    }
}

extension TargetRunner {
    /// Does not return in the child.
    func fork(_ number: Int, spawn: UInt64, generation: Int) -> TargetEvent {
        let threads = threadCount()
        guard threads == 1 else { return refused(number, ProcessError(.multithreaded(threads: threads))) }
        let rights: ChildRights
        do throws(ProcessError) { rights = try childRights() } catch { return refused(number, error) }
        warnOfRights(of: number)
        if let line = lines[number] { scoreboard.clear(line: line) }
        let bell = bells.add(UInt64(number), by: epoll, word: Source.bell | UInt64(number), at: .now)
        let isPrivileged = table.targets[number]?.settings.privileges == .supervisor
        let child = SupervisedChild(
            kind: isPrivileged ? .privileged : .managed, owner: .target(table.targets[number]?.name ?? ""),
            spawn: spawn, place: -2 - number, bell: bell, isWalled: rights.otherUser != nil && !isPrivileged,
            crashes: lines[number].flatMap { scoreboard.crashArea(line: $0) })
        do throws(SystemError) {
            switch try child.fork(by: self, output: capturedOutput()) {
            case .parent(let child):
                children[number] = .watched(child, by: epoll, word: UInt64(number))
                return .forked(number, pid: child, spawn: spawn)
            case .child(let doorbell, let maskBefore):
                becomeTarget(
                    number, spawn: spawn, generation: generation, rights, signalMask: maskBefore, doorbell: doorbell)
            }
        } catch {
            bells.remove(UInt64(number), from: epoll)
            return refused(number, ProcessError(.fork, error))
        }
    }

    private func refused(_ number: Int, _ error: ProcessError) -> TargetEvent {
        lastForkError = error
        return .forkFailed(number, reason: "\(error)")
    }

    /// Runs in the child, where the parent's calls are still on the stack and never return. Signals stay blocked: only
    /// the body knows when it can take them.
    private func becomeTarget(
        _ number: Int, spawn: UInt64, generation: Int, _ rights: ChildRights, signalMask: SignalSet, doorbell: Int32
    ) -> Never {
        guard let target = table.targets[number], let body = bodies[number], let line = lines[number]
        else { exitChild(code: 70) }
        let privileges = target.settings.privileges
        ManagedOrderRoute.enter(
            ManagedOrderRoute.Sender(scoreboard: scoreboard, line: line, doorbell: doorbell, lifeline: lifeline.number))
        if let text = host?.title?(target.name, generation) { ProcessTitle.set(text.title, name: text.name) }
        do {
            try rights.giveUp(privileges)
        } catch {
            StandardErrorLines.say("error", "\(target.name) cannot run: \(error)", by: "end")
            exitChild(code: ChildRights.failureCode)
        }
        let orders = scoreboard.orders
        let identity = ProcessSlot.identity(ofProcess: target.name, of: pid)
        ProcessSlot.enter(ProcessSlot(identity: identity, spawn: spawn) { orders.order(line: line) })
        let handle = TargetHandle(
            name: target.name, generation: generation, control: controlLine(to: number),
            supervisorPipe: lifeline.number, signalMask: host?.signalMask ?? signals?.maskBefore ?? signalMask,
            grace: target.settings.grace, run: once[target.name]?.current, scoreboard: scoreboard, line: line, spawn: spawn, doorbell: doorbell)
        exitChild(code: body(handle))
    }
}
