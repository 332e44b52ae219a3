// Managed processes in the kernel: waits for their news, asks the table what follows, and does it.

package import PreforkSystem

/// Forks the targets of a manager and watches them by its own epoll, on the thread that made it.
///
/// It has no loop: its owner calls `turn`, directly or when `epollNumber` is readable or `nextDeadline` has come. A
/// worker pool's supervisor does the latter (see `TargetHost`).
package final class TargetRunner {
    enum Source {
        static let inbox: UInt64 = 2 << 32
        static let signals: UInt64 = 3 << 32
        static let output: UInt64 = 4 << 32
        static let mainLoop: UInt64 = 5 << 32
        static let clock: UInt64 = 6 << 32
        /// With the number of the target that has rung.
        static let bell: UInt64 = 1 << 63
        /// With the spawn of a process that has announced its crash, and whose pidfd is readable.
        static let crashed: UInt64 = 1 << 62
        /// With the spawn of a process of the previous image.
        static let elder: UInt64 = 1 << 61
        // Below: the number of the target whose pidfd is readable.
    }

    /// A target's body, in its process: it returns the exit code.
    package typealias Body = (TargetHandle) -> Int32

    private let owner = (process: ForkCount.current, thread: currentThreadNumber)
    let pid = CurrentProcess.pid
    let epoll: Epoll
    private var events = EpollEventBuffer(capacity: 64)
    /// Of use where there is no pool.
    private var mainLoop = MainLoop(word: Source.mainLoop)
    var bells = Doorbells()
    /// What children write. If nil, nothing is captured, or nothing was captured yet.
    var output: OutputCollector?
    /// Where there is no pool: from the environment.
    var ownCapture = OutputCapture.off
    /// As `ownCapture`.
    var ownCrashes = CrashPolicy()
    let inbox: ControlInbox
    var inboxPosition: UInt64?
    /// A pipe without data: targets keep its reading end, which tells them when the writing end is gone.
    let lifeline: Descriptor
    let lifelineHold: Descriptor
    var table: TargetTable
    var children: [Int: ChildProcess] = [:]
    /// Those that have said that they crash, by spawn, until they are reaped.
    var crashedChildren: [UInt64: CrashedChild] = [:]
    /// Processes of the previous image, by spawn, until they are reaped.
    var elders: [UInt64: ElderChild] = [:]
    /// How many have said so, also those whose end was seen first.
    var crashMarks: UInt64 = 0
    /// A line for each target, by `lines`. The first is for the program's own forks (see `ControlInbox`).
    let scoreboard: Scoreboard
    var lines: [Int: Int] = [:]
    var lineTable = ScoreboardLines()
    var late = UnreapedChildren()
    /// When unknown children are collected.
    var strangersLook: MonotonicInstant?
    var hasWarned = false
    var bodies: [Int: Body] = [:]
    /// The targets that the children know to be filled again.
    var promisedNames: Set<String> = []
    /// No process with a higher spawn was made before they were told.
    var promisedSpawn: UInt64 = 0
    /// Whether there may be promises of the previous image.
    var hasForeignPromises = false
    var queue: [TargetEvent] = []
    private var isHandling = false
    var hooksRunning = 0
    var lastForkError: ProcessError?
    var once: OnceTable
    /// The pool's supervisor, if tasks run in its workers.
    weak var onceWorkers: (any OnceWorkers)?
    /// If nil, no task has a schedule of the wall clock.
    var clockNotice: ClockNotice?
    /// While `run` runs.
    var signals: ManagerSignals?
    var wasStopped = false
    private let standardError = StandardErrorLog()
    lazy var ownLogger: SupervisorLogger = SupervisorLogger(beside: standardError) { [unowned self] line in
        if let log { ownLogger.running { log(line) } } else { standardError.write(line) }
    }
    /// The pool's supervisor, where there is one.
    var host: TargetHost?
    /// What managed processes give up where there is no pool, before the environment has its say.
    package var privileges = Privileges() {
        didSet { if privileges != oldValue { ownRights = nil } }
    }
    /// As `privileges`.
    package var sandbox: Sandbox? {
        didSet { if sandbox != oldValue { ownRights = nil } }
    }
    var ownRights: ChildRights?
    /// Targets with the supervisor's rights of which the log has been told.
    var hasWarnedOfRights: Set<Int> = []

    package var hooks: ProcessHooks
    /// Takes the log's lines. If nil, the pool supervisor's log does, or else standard error.
    package var log: (@Sendable (LogLine) -> Void)?

    /// - Parameter isBesidePool: it takes over the managed processes of the previous image, if there is one.
    /// - Throws: `.alreadyForked`, `.system`.
    package init(hooks: ProcessHooks, isBesidePool: Bool = false) throws(ProcessError) {
        if TaskIdentity.current != nil || ThreadLoop.current != nil { throw ProcessError(.alreadyForked) }
        self.hooks = hooks
        table = TargetTable(seed: UInt64(truncatingIfNeeded: MonotonicInstant.now.nanoseconds) ^ UInt64(pid))
        once = OnceTable(seed: UInt64(truncatingIfNeeded: MonotonicInstant.now.nanoseconds) &* 3 ^ UInt64(pid))
        let inheritance = isBesidePool && !Handover.isTrial ? TargetInheritance.take() : nil
        do {
            epoll = try Epoll()
            if let inheritance {
                lifeline = Descriptor(owning: inheritance.lifeline)
                lifelineHold = Descriptor(owning: inheritance.lifelineHold)
                scoreboard = try Scoreboard(
                    inherited: inheritance.scoreboard, orders: inheritance.orders, lines: WorkerCount.maximum)
                for process in inheritance.targets.processes { lineTable.inherit(process.line) }
            } else {
                let pipe = try makePipe()
                lifeline = Descriptor(owning: pipe.reading)
                lifelineHold = Descriptor(owning: pipe.writing)
                scoreboard = try Scoreboard(lines: WorkerCount.maximum)
            }
            let line = lineTable.take(of: scoreboard.lines) ?? 0
            var random = SplitMix64(seed: UInt64(truncatingIfNeeded: MonotonicInstant.now.nanoseconds) ^ UInt64(pid))
            inbox = try ControlInbox(
                manager: UInt32(truncatingIfNeeded: random.next()) & ControlPacket.lastManager,
                ring: scoreboard.controls(line: line))
            try epoll.add(inbox.button.descriptor.number, .readableOnce, word: Source.inbox)
        } catch {
            throw ProcessError(error)
        }
        ManagedOrderRoute.open(inbox)
        CurrentProcess.keepStatusOfChildren()
        DescriptorHolders.add(self)
        DescriptorHolders.add(MainLoopDescriptors.all)
        if let inheritance { inherit(inheritance) }
    }

    deinit {
        ManagedOrderRoute.close(inbox.manager)
    }

    /// Whether the caller may use it: a forked child has a copy, and another thread only a reference.
    package var isOwned: Bool { owner == (ForkCount.current, currentThreadNumber) }

    package func checkOwner() throws(ProcessError) {
        guard isOwned else { throw ProcessError(.wrongOwner) }
    }

    /// - Throws: `.calledByHook`, `.wrongOwner`: the caller must not wait here.
    package func checkMayWait() throws(ProcessError) {
        try checkOwner()
        if hooksRunning > 0 || isHandling || DrivenLoops.isTurning { throw ProcessError(.calledByHook) }
    }

    // Targets

    /// - Throws: `.duplicate`, `.badName`, `.system`.
    package func add(_ settings: TargetSettings, _ body: @escaping Body) throws(ProcessError) -> ManagedOrderLine {
        // Also where a task of that name runs in workers, and has no target.
        if once.knows(settings.name) { throw ProcessError(.duplicate(settings.name)) }
        let number = try table.add(settings)
        do throws(SystemError) {
            guard number <= ControlPacket.lastTarget, let line = lineTable.take(of: scoreboard.lines) else {
                throw SystemError("fork", .noMemory, on: "\(scoreboard.lines) targets at once")
            }
            lines[number] = line
            try raiseDescriptorLimit(to: descriptorNeed)
        } catch {
            try? table.remove(settings.name)
            freeLine(of: number)
            throw ProcessError(error)
        }
        bodies[number] = body
        return controlLine(to: number)
    }

    func controlLine(to target: Int) -> ManagedOrderLine { ManagedOrderLine(manager: inbox.manager, target: target) }

    private func freeLine(of number: Int) {
        if let line = lines.removeValue(forKey: number) { lineTable.free(line) }
    }

    var count: Int { table.targets.count }

    /// Of each target the pidfd, the doorbell, and the fourteen descriptors that its two channels take. Besides, what
    /// the program itself has open.
    var descriptorNeed: UInt64 { UInt64(table.targets.count) * 18 + 256 }

    package func remove(_ name: String) throws(ProcessError) {
        let number = table.numbers[name]
        try table.remove(name)
        once.remove(name)
        guard let number else { return }
        bodies[number] = nil
        freeLine(of: number)
    }

    package var statuses: [TargetStatus] { table.inOrder.map(table.status) }
    /// Without once-tasks.
    var managedStatuses: [TargetStatus] { table.inOrder.filter { !$0.settings.isOnceTask }.map(table.status) }

    package func status(of name: String) throws(ProcessError) -> TargetStatus {
        guard let target = table[name] else { throw ProcessError(.unknown(name)) }
        return table.status(of: target)
    }

    /// Whether the target's process lives. Asks the kernel, which knows before the next `turn` does.
    package func isAlive(_ name: String) throws(ProcessError) -> Bool {
        guard let number = table.numbers[name] else { throw ProcessError(.unknown(name)) }
        guard let child = children[number] else { return false }
        return !child.hasEnded
    }

    package func plan() throws(ProcessError) -> DependencyPlan { try table.plan() }

    package var isBusy: Bool { once.isActive || table.isBusy || !queue.isEmpty || !crashedChildren.isEmpty || !elders.isEmpty }
    package var isStoppingAll: Bool { table.isStoppingAll }
    /// The target whose crash ended everything. The next start sets it to nil.
    package var crashed: String? { table.crashed }
    package var nextDeadline: MonotonicInstant? {
        guard queue.isEmpty else { return .now }
        return deadlines.min()
    }

    private var deadlines: [MonotonicInstant] {
        [
            table.nextDeadline, bells.nextLook, late.nextLook, strangersLook, ownLogger.nextDeadline, output?.nextLook,
            once.isEmpty ? nil : once.deadline(at: .now),
        ].compactMap { $0 }
    }

    // Waiting

    package var epollNumber: Int32 { epoll.descriptor.number }

    /// Waits until something happens, at most `limit` (nil: as long as it takes), and does what follows.
    package func turn(waitingAtMost limit: Duration?) throws(ProcessError) {
        try DrivenLoops.holding { () throws(ProcessError) in try turnHolding(waitingAtMost: limit) }
    }

    private func turnHolding(waitingAtMost limit: Duration?) throws(ProcessError) {
        handleQueue()
        do throws(SystemError) {
            if host != nil { mainLoop.forget(epoll) }
            let loopDeadline = host == nil ? mainLoop.prepareToWait(on: epoll) : nil
            try events.wait(epoll, timeout: timeout(limit, loopDeadline))
        } catch {
            throw ProcessError(error)
        }
        var hasOutput = false
        for index in 0..<events.count {
            let word = events[index].word
            switch word {
            case Source.inbox: readInbox()
            case Source.signals: readSignals()
            case Source.output: hasOutput = true
            case Source.mainLoop: mainLoop.hasNews = true
            case Source.clock: clockNotice?.arm()
            case _ where word & Source.bell != 0:
                bells.rang(word & ~Source.bell, by: epoll, at: .now)
                readNews(of: Int(word & ~Source.bell))
            case _ where word & Source.crashed != 0: reapCrashed(word & ~Source.crashed)
            case _ where word & Source.elder != 0: reapElder(word & ~Source.elder)
            default: reap(Int(word))
            }
        }
        output?.turn(hasNews: hasOutput, at: .now)
        for number in bells.due(at: .now, by: epoll) { readNews(of: Int(number)) }
        if hasChildWithoutPidfd { reapWithoutPidfd() }
        reapLate()
        turnOnceTasks()
        ownLogger.tellLeftOut(at: .now)
        if let deadline = table.nextDeadline, deadline <= .now { handle(.tick) }
        handleQueue()
        if host != nil { return }
        do throws(SystemError) { try mainLoop.turn(by: epoll) } catch { throw ProcessError(error) }
    }

    private func timeout(_ limit: Duration?, _ loopDeadline: MonotonicInstant?) -> Int64 {
        var timeout = limit.map { max(0, $0.saturatedNanoseconds) } ?? -1
        func atMost(_ nanoseconds: Int64) {
            timeout = timeout < 0 ? max(0, nanoseconds) : min(timeout, max(0, nanoseconds))
        }
        for deadline in deadlines + (loopDeadline.map { [$0] } ?? []) { atMost((deadline - .now).saturatedNanoseconds) }
        // Only this check learns that a child without a pidfd has ended: SIGCHLD belongs to the program.
        if host == nil, hasChildWithoutPidfd { atMost(50_000_000) }
        return timeout
    }

    /// Reads what a target has left on its line: readiness and orders.
    func readNews(of number: Int) {
        takeControls(of: number)
        readReadiness(of: number)
        if bells[UInt64(number)]?.hasCrashed == true { noteCrash(of: number) }
    }

    func readReadiness(of number: Int) {
        guard case .starting(let process, _) = table.targets[number]?.state, let line = lines[number] else { return }
        if scoreboard.readySpawn(line: line) == process.spawn { handle(.ready(number, spawn: process.spawn)) }
    }

    // Doing

    /// Hooks may give orders. They are carried out after the order that called the hook.
    func handle(_ event: TargetEvent) {
        queue.append(event)
        handleQueue()
    }

    func handleQueue() {
        // No process is forked within a callback that gives an order: the next turn does.
        if isHandling || queue.isEmpty || DrivenLoops.isTurning { return }
        isHandling = true
        DrivenLoops.holding {
            while !queue.isEmpty { perform(table.handle(withObstacle(queue.removeFirst()), at: .now)) }
        }
        isHandling = false
    }

    private func perform(_ actions: [TargetAction]) {
        tellPromises()
        for action in actions {
            switch action {
            case .fork(let number, let spawn, let generation):
                guard table.isToBeForked(number, at: .now), children[number] == nil else { continue }
                perform(table.handle(fork(number, spawn: spawn, generation: generation), at: .now))
            case .hooks(let number, let order, let deadline):
                let isPrevented = table.targets[number].map { !runHooks(before: order, of: $0.name) } ?? false
                let event = TargetEvent.proceed(number, order, deadline: deadline, isPrevented: isPrevented)
                perform(table.handle(event, at: .now))
            case .signal(let number, let signal):
                send(signal, to: number)
            case .killCrashed(let spawn):
                killCrashed(spawn)
            case .askElder(let spawn, let name, let order):
                runHooks(before: .stop, of: name)
                askElder(spawn, order)
            case .killElder(let spawn):
                send(.kill, toElder: spawn)
            case .adopt(let number, let spawn):
                adoptElder(spawn, as: number)
            case .report(let report):
                tell(report)
            }
        }
    }

    private func send(_ signal: Signal, to number: Int) {
        if let line = lines[number] {
            let isReplaced = !table.isStoppingAll && table.targets[number]?.state.isToRestart == true
            scoreboard.orders.setOrder(isReplaced ? .makeRoom : .leave, line: line)
        }
        if signal == .kill, children[number] != nil { late.wasKilled(UInt64(number), at: .now) }
        do {
            try children[number]?.send(signal)
            // As systemd does: a stopped process would not act on the signal before its grace is over.
            if signal == .terminate { try children[number]?.send(.resume) }
        } catch {
            let name = table.targets[number]?.name ?? "a target"
            logger.say(LogLine(.error, "\(name) cannot be signalled: \(error)"), by: .target(name, .signal))
        }
    }
}
