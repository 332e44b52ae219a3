// The supervisor's loop: waits for signals, exits and news, asks the pool what follows, and does it.

import PreforkSystem

/// How `Supervisor.run` comes back: once in the supervisor, and once in each worker it forks.
package enum SupervisorReturn {
    case worker(WorkerHandle)
    case supervisor(SupervisorSummary)
}

/// What a pool did in its life, as `ForkRuntime.run` returns it.
public struct SupervisorSummary: Hashable, Sendable {
    /// Why the pool ended. `SupervisorOutcome.exitCode` is the exit code for it.
    public var outcome: SupervisorOutcome
    /// Restarts of workers that had been ready.
    public var restarts: Int
}

/// Forks workers and keeps them alive, on one thread, by epoll alone: idle, it makes no system call.
package final class Supervisor {
    enum Source {
        static let signals: UInt64 = 1 << 32
        static let targets: UInt64 = 3 << 32
        static let trial: UInt64 = 4 << 32
        static let servers: UInt64 = 5 << 32
        static let output: UInt64 = 6 << 32
        static let mainLoop: UInt64 = 7 << 32
        static let outOfMemory: UInt64 = 8 << 32
        /// With the spawn of the worker that has rung.
        static let bell: UInt64 = 1 << 63
        // `SpareTable.keyBit` with the number of a spare: its pidfd is readable, or with `bell`, it has rung.
        // Below 1 << 32: the spawn of the worker whose pidfd is readable.
    }

    static var signals: [Signal] {
        let own: [Signal] = [
            .terminate, .quit, .interrupt, .hangUp, .child, .moreWorkers, .fewerWorkers, .user1, .user2,
        ]
        return InitReaper.areNeeded ? own + InitReaper.forwarded : own
    }

    let configuration: SupervisorConfiguration
    let logger: SupervisorLogger
    let pid = CurrentProcess.pid
    let started: MonotonicInstant
    /// The path of this program's file, where a newer one may be by now.
    var program: String { programs.running.file }
    /// What runs here, what ran before, and what an upgrade starts.
    var programs: ProgramHistory
    /// What the previous program inherits in a rollback.
    var undo: ProgramHandover?
    let epoll: Epoll
    /// From here on the process has one thread. Nil when supervision is over.
    private var loopHold: DrivenLoopHold?
    var mainLoop = MainLoop(word: Source.mainLoop)
    private var events = EpollEventBuffer(capacity: 64)
    let signals: SignalDescriptor
    var bells = Doorbells()
    /// What workers write. If nil, `PREFORK_CAPTURE_OUTPUT` is `off`.
    let output: OutputCollector?
    /// A pipe without data: workers keep its reading end, which tells them when the writing end is gone.
    let lifeline: Descriptor
    let lifelineHold: Descriptor
    let scoreboard: Scoreboard
    let signalMask: SignalSet
    private(set) var descriptors: DescriptorNeed
    let host: SupervisorHost
    private(set) var servers: SupervisorServers?
    var records = SupervisorRecords()
    /// The counters of the last page.
    var lastShown: PoolCounters?
    let outOfMemory = OutOfMemoryJudge()
    var usageReader = ProcessUsageReader()
    /// What workers had served when they were reaped, until their ends are reported.
    var lastRequests: [Int32: UInt64] = [:]
    /// Whether the kernel has killed in the control group of a worker that was reaped, until its end is reported.
    var groupKills: [Int32: Bool] = [:]
    /// What crashed workers have said, by process, until their ends are reported.
    var crashNotes: [Int32: CrashNote] = [:]
    /// Where workers that live have hung, by process.
    var hangStacks: [Int32: [StackFrame]] = [:]
    /// What they had in hand then.
    var lastHands: [Int32: RequestsInHand] = [:]
    /// What those wrote last, likewise.
    var lastWords: [Int32: LastWords] = [:]
    /// The streams of workers whose end is not yet reported, by process.
    var endedOutputs: [Int32: UInt64] = [:]
    var pool: Pool
    var workers = WorkerTable()
    var spares = SpareTable()
    var outcome: SupervisorOutcome?
    /// What the pool wants and `carryOut` has not done yet.
    private var wanted: [PoolAction] = []
    /// The clients that wait for the end of their commands.
    var waits = CommandWaits()
    var managedWaits = ManagedWaits()
    var onceWaits = OnceWaits()
    /// Of once-tasks that run in workers. If nil, there is no such task.
    let onceOrders: OnceOrders?
    /// The runs that workers have, by spawn.
    var onceRuns: [UInt64: WorkerRun] = [:]
    /// The managed processes beside the pool.
    let targets: TargetRunner?
    var upgrade: Upgrade?
    var dumps = StackDumpRequests()
    /// Where workers write samples of their stacks. If nil, there was no memory for it.
    let profiles: ProfileLanes?
    var profileRun: ProfileRun?
    var slowRequests = SlowRequests()
    /// If nil, loops are not watched.
    var loopStalls: LoopStalls?
    var quarantine: Quarantine
    var late = UnreapedChildren()
    var noise = SignalNoise()
    var queues = QueueAssignment()
    var accessLogRoutes = AccessLogRoutes()
    var handoverRoutes = HandoverRoutes()
    var nextRebalance: MonotonicInstant?
    var promised = ToldPromises()
    var listeningLine = ListeningLine.awaitsWorkers
    /// When unknown children are collected.
    var strangersLook: MonotonicInstant?
    /// Not before.
    var strangersRest = MonotonicInstant(nanoseconds: .min)
    /// The program that ran here before, until this one has held or must end.
    var rollback: SupervisorRollback?
    /// The workers of this program did not come up. See `goBack()`.
    var isGoingBack = false
    /// To be told if that cannot be done.
    var whenNotBack: ((ControlOutcome) -> Void)?
    /// Until `begin`, after the first managed processes.
    private(set) var inheritance: SupervisorInheritance?
    var haveTargetNews = false
    private var hasOutput = false
    var quickStops = 0

    /// Takes over the process's signals until `run` returns.
    ///
    /// - Throws: see `SupervisorError`.
    package init(
        _ configuration: SupervisorConfiguration, beside targets: TargetRunner? = nil
    ) throws(SupervisorError) {
        if TaskIdentity.current != nil { throw SupervisorError(.alreadyForked) }
        loopHold = DrivenLoopHold()
        let inheritance = Handover.isTrial ? nil : SupervisorInheritance.take()
        self.inheritance = inheritance
        rollback = Handover.isTrial ? nil : SupervisorRollback.take()
        // Before titles, which lie where the arguments were.
        do {
            let left = Handover.isTrial ? nil : ProgramHandover.take()
            programs = try ProgramHistory(left)
            undo = rollback == nil ? nil : left?.undo.flatMap { ProgramHandover(text: $0) }
        } catch {
            throw SupervisorError(error)
        }
        profiles = try? ProfileLanes()
        started = inheritance.map { MonotonicInstant(nanoseconds: $0.pool.supervisorStarted) } ?? .now
        let limit = WorkerCount.maximum
        do throws(SupervisorError) { try Self.checkProcess(configuration.workers) } catch { throw Self.refusing(error) }
        self.configuration = configuration
        if let targets { self.targets = targets } else { self.targets = try Self.targetsOfImageBefore() }
        quarantine = Quarantine(configuration.settings.quarantine)
        loopStalls = configuration.settings.loopStall.map { LoopStalls(limit: $0) }
        do throws(SupervisorError) {
            host = try SupervisorHost(configuration.settings, pid: pid, now: .now)
        } catch {
            throw Self.refusing(error)
        }
        logger = Self.logger(configuration.log, host.logFile, configuration.settings.logFormat)
        if Handover.isTrial { Self.endTrial(configuration, host) }
        pool = Pool(
            workers: configuration.workers, settings: configuration.poolSettings(samplesMemory: host.workerGroups == nil), now: .now,
            seed: UInt64(truncatingIfNeeded: MonotonicInstant.now.nanoseconds) ^ UInt64(pid))
        do {
            let most = max(configuration.workers, configuration.settings.scaling.workers?.upperBound ?? 0)
            let processes = most + (self.targets?.count ?? 0) + 1
            descriptors = DescriptorNeed(
                workers: most,
                others: (self.targets?.descriptorNeed ?? 0) + (host.accessLog == nil ? 0 : UInt64(most) + 1)
                    + UInt64(pool.spares.wanted) * 9
                    + (configuration.settings.movesConnections ? UInt64(most) : 0)
                    + UInt64(ProcessBells.count(for: processes)))
            descriptors.limit = try raiseDescriptorLimit(to: descriptors.wanted)
            ProcessBells.make(for: processes)
            if configuration.settings.adoptsOrphans { try AdoptedOrphans.becomeSubreaper() }
            epoll = try Epoll()
            if let inheritance {
                lifeline = Descriptor(owning: inheritance.lifeline)
                lifelineHold = Descriptor(owning: inheritance.lifelineHold)
                scoreboard = try Scoreboard(
                    inherited: inheritance.scoreboard, orders: inheritance.orders, lines: limit * 4)
            } else {
                let pipe = try makePipe()
                lifeline = Descriptor(owning: pipe.reading)
                lifelineHold = Descriptor(owning: pipe.writing)
                scoreboard = try Scoreboard(lines: limit * 4)
            }
            onceOrders = self.targets?.once.hasTasksInWorkers == true ? try OnceOrders(lines: limit * 4) : nil
            signals = try SignalDescriptor(SignalSet(Self.signals))
            try epoll.add(signals.descriptor.number, .readable, word: Source.signals)
            if let targets = self.targets { try epoll.add(targets.epollNumber, .readable, word: Source.targets) }
            let mode = configuration.settings.captureOutput
            output = try mode == .off ? nil : OutputCollector(mode, at: .now) { [logger] in logger.say($0, by: $1) }
            if let output { try epoll.add(output.epollNumber, .readable, word: Source.output) }
            if let number = outOfMemory.descriptor { try epoll.add(number, .readable, word: Source.outOfMemory) }
        } catch {
            throw SupervisorError(error)
        }
        CurrentProcess.keepStatusOfChildren()
        // The log's reader may close it. That must not end the supervisor.
        ignoreBrokenPipes()
        let mask = SignalMask.block(SignalSet(Self.signals))
        signalMask = inheritance.map { SignalSet(numbers: $0.pool.signalMask) } ?? mask
        self.targets?.host = TargetHost(
            signalMask: signalMask, rights: host.rights, logger: logger, crashes: configuration.settings.crashes,
            outOfMemory: outOfMemory, capture: configuration.settings.captureOutput,
            title: host.settings.setsTitles
                ? { [service = host.settings.service] name, generation in
                    ProcessTitleText(
                        role: .managed(name: name, generation: generation), state: "running", service: service)
                } : nil)
        self.targets?.onceWorkers = self
        DescriptorHolders.add(self)
        DescriptorHolders.add(MainLoopDescriptors.all)
        beginMetrics()
        Handover.settle(true)
    }

    /// Whether this process can fork workers at all.
    ///
    /// - Throws: `.multithreaded`, `.unstartedTask`, `.badWorkerCount`.
    private static func checkProcess(_ workers: Int) throws(SupervisorError) {
        let threads = threadCount()
        if threads > 1 { throw SupervisorError(.multithreaded(threads: threads)) }
        if hasWorkForMainQueue { throw SupervisorError(.unstartedTask) }
        let limit = WorkerCount.maximum
        guard (1...limit).contains(workers) else {
            throw SupervisorError(.badWorkerCount("\(workers) is not within 1...\(limit)"))
        }
    }

    /// What a start throws. In a trial, the running program hears the reason.
    private static func refusing(_ error: SupervisorError) -> SupervisorError {
        TrialReport.tell(.refusal("\(error)"))
        return error
    }

    /// Supervises until no worker is left and none will be forked. Then ends the managed processes. If the pool ends
    /// without an order while a rollback is possible, the previous program takes over.
    package func run() throws(SupervisorError) -> SupervisorReturn {
        do throws(SupervisorError) {
            if let worker = try supervise() { return .worker(worker) }
        } catch {
            returnSignals()
            throw error
        }
        if rollback != nil { commitRollback() }
        returnSignals()
        endTrial()
        if pid == 1 {
            // A second order for a quick end leaves no time for strangers.
            InitReaper.endStrangers(
                except: knownChildren, within: quickStops > 1 ? .zero : configuration.settings.quickTimeout)
        }
        host.end()
        finishLog()
        if targets?.crashed != nil { outcome = .targetFailed }
        return .supervisor(SupervisorSummary(outcome: outcome ?? .ended, restarts: pool.restarts))
    }

    /// - Returns: in the supervisor nil, when all is over.
    private func supervise() throws(SupervisorError) -> WorkerHandle? {
        if let warning = scoreboard.orders.warning { logger.say(warning, by: .own(.start)) }
        let orders = scoreboard.orders
        // If the previous program comes back, its locks name this process, too.
        orders.ownsLocks = rollback != nil
        LockFamily.found(isOwner: { orders.ownsLocks }, becomesOwner: { orders.ownsLocks = true })
        try startTargets()
        try begin()
        // Also where the pool wants nothing: the previous image has made other promises.
        tellPromises()
        if let worker = carryOut() { return worker }
        // The first turn can have aborted the upgrade, and no event may follow.
        turnUpgrade()
        assignQueues()
        while outcome == nil || targets?.isBusy == true {
            let loopDeadline = mainLoop.prepareToWait(on: epoll)
            do { try events.wait(epoll, timeout: untilNextDeadline(loopDeadline)) } catch { throw SupervisorError(error) }
            if let worker = handleEvents() { return worker }
            assignQueues()
            try turnTargets()
            if let worker = carryOut() { return worker }
            do { try mainLoop.turn(by: epoll) } catch { throw SupervisorError(error) }
            noteCounters()
            turnUpgrade()
            describeRollback()
        }
        noteCounters()
        return nil
    }

    /// The first turn. In a new image, its workers replace the inherited ones.
    private func begin() throws(SupervisorError) {
        do {
            let servers = try SupervisorServers(host, delegate: self)
            for number in servers.epolls { try epoll.add(number, .readable, word: Source.servers) }
            self.servers = servers
        } catch {
            throw SupervisorError(error)
        }
        wakeLoopWatch()
        guard let inheritance else {
            takeCounterNote()
            return handle(.tick)
        }
        adopt(inheritance)
        adoptRuns()
        self.inheritance = nil
        if rollback != nil { pool.isHeld = targets?.isSucceeding == true }
        if rollback == nil { closeRest() }
        describeRollback()
        Rollback.endStartLimit()
        tellOfReturn()
        // One that came back has its own workers already, unless some were replaced: those are of the generation that
        // the program in between has begun.
        let generations = Set(inheritance.pool.workers.filter { !$0.isLeaving }.map(\.generation))
        let hasOwnWorkers = generations.count == 1 && generations.first.map { $0 < pool.generation } == true
        // Accept queues that the program in between has added are for new workers.
        if rollback == nil, hasOwnWorkers, olderWorkersHaveAllQueues {
            host.notify(.ready, .status("serving with the previous program"))
            host.setTitle("serving", workers: pool.target)
            return handle(.tick)
        }
        let objections = Handover.objections
        for reason in objections {
            let text = "this program cannot take over from the previous one: \(reason)"
            logger.say(LogLine(.error, text), by: .own(.start))
        }
        if !objections.isEmpty && rollback != nil || isRefused(.reload) {
            // A program that refuses its own workers counts as one whose workers do not come up.
            goBack()
            turnUpgrade()
            return handle(.tick)
        }
    }

    private func isRefused(_ command: ControlCommand) -> Bool {
        if case .failed = perform(command, completion: nil) { true } else { false }
    }

    private func returnSignals() {
        Handover.settle(false)
        LockFamily.end()
        targets?.host = nil
        // Signals that come before the previous program is back are for that program.
        if rollback == nil { SignalMask.restore(signalMask) }
        loopHold = nil
    }

    private func untilNextDeadline(_ loopDeadline: MonotonicInstant?) -> Int64 {
        let deadlines = [
            pool.nextDeadline, pool.nextSample, targets?.nextDeadline, upgradeDeadline, servers?.nextDeadline,
            host.nextLook, bells.nextLook, late.nextLook, noise.restsUntil, strangersLook,
            logger.nextDeadline, quarantine.nextDeadline, output?.nextLook, outOfMemory.nextLook, loopDeadline,
            listeningDeadline, nextRunDeadline, loopStalls?.nextLook, nextRebalance,
        ]
        if !wanted.isEmpty { return 0 }
        guard let deadline = deadlines.lazy.compactMap({ $0 }).min() else { return -1 }
        return max(0, (deadline - .now).saturatedNanoseconds)
    }

    /// What has happened, then what is due without an event.
    ///
    /// - Returns: in a new worker, what it is.
    private func handleEvents() -> WorkerHandle? {
        for index in 0..<events.count {
            handleEvent(events[index].word)
            // Not after the whole batch: clients wait for the successor of a worker that has died.
            if let worker = carryOut() { return worker }
        }
        handleWhatIsDue()
        return carryOut()
    }

    private func handleEvent(_ word: UInt64) {
        switch word {
        case Source.signals: readSignals()
        case Source.targets: haveTargetNews = true
        // `turnUpgrade` follows every batch of events.
        case Source.trial: break
        case Source.output: hasOutput = true
        case Source.mainLoop: mainLoop.hasNews = true
        case Source.outOfMemory: outOfMemory.noteNews(at: .now)
        case Source.servers: servers?.turn()
        case _ where word & Source.bell != 0: hear(word & ~Source.bell)
        default: reap(word)
        }
    }

    private func handleWhatIsDue() {
        output?.turn(hasNews: hasOutput, at: .now)
        hasOutput = false
        outOfMemory.look(at: .now)
        readNewsWithoutRing()
        tellListeners()
        reapLate()
        killLateRuns()
        turnQuarantine()
        watchLoops()
        rebalanceSlowly()
        if let sample = pool.nextSample, sample <= .now {
            tellSlowRequests()
            handle(.sample(takeSamples(), backlog: waitingConnections()))
        }
        logger.tellLeftOut(at: .now)
        host.feedWatchdog(readyWorkers: pool.slots.count(where: \.isReady), at: .now)
        if let deadline = servers?.nextDeadline, deadline <= .now { servers?.turn() }
        if let deadline = pool.nextDeadline, deadline <= .now { handle(.tick) }
    }

    // What the pool wants: a list to which every event adds, and one place that does it.

    /// Tells the pool what happened.
    func handle(_ event: PoolEvent) {
        want(pool.handle(event, at: .now))
    }

    /// Adds to what `carryOut` does.
    func want(_ actions: [PoolAction]) {
        queues.isDue = true
        wanted += actions
    }

    /// Does what the pool wants.
    ///
    /// Called by the loop alone, between two events, where nothing is half done: a fork copies the whole process.
    ///
    /// - Returns: in a new worker, what it is.
    private func carryOut() -> WorkerHandle? {
        if wanted.isEmpty { return nil }
        tellPromises()
        var actions = wanted
        wanted = []
        // Forks first: clients wait for the worker, the log and the hooks do not mind. The effects of the forks are
        // reported last, so that a death is reported before its replacement.
        var next = 0
        while next < actions.count {
            if case .fork(let slot, let spawn) = actions[next],
                let generation = pool.generation(ofFork: spawn, slot: slot)
            {
                if let result = handOver(slot: slot, spawn: spawn, generation: generation) {
                    actions += pool.handle(result, at: .now)
                } else {
                    switch fork(slot: slot, spawn: spawn, generation: generation) {
                    case .parent(let result): actions += pool.handle(result, at: .now)
                    case .child(let worker): return worker
                    }
                }
            }
            next += 1
        }
        for case .forkSpare(let number) in actions {
            switch forkSpare(number) {
            // Another spare follows when the pool has been quiet again.
            case .parent(let results): want(results)
            case .child(let worker): return worker
            }
        }
        tellPromises()
        // Before the program's own code runs, which may end.
        describeRollback()
        carryOutAllButForks(actions)
        return nil
    }

    func carryOutAllButForks(_ actions: [PoolAction]) {
        for action in actions {
            switch action {
            case .fork, .forkSpare: break
            case .letSpareGo, .killSpare: carryOutSpareAction(action)
            case .signal(_, let spawn, let signal): send(signal, to: spawn)
            case .dumpStack(_, let spawn): dumpStack(of: spawn)
            case .report(let report): tell(report)
            case .finish(let outcome): self.outcome = outcome
            }
        }
        // Every change of the pool comes with a report.
        if actions.contains(where: { if case .report = $0 { true } else { false } }) {
            host.notifyStatus(pool.serviceStatus)
        }
    }
}
