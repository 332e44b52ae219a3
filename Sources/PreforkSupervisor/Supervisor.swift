// The supervisor's loop: waits for signals, exits and news, asks the pool what follows, and does it.

import PreforkSystem

/// How `Supervisor.run` comes back: once in the supervisor, and once in each worker it forks.
package enum SupervisorReturn {
    case worker(WorkerSeat)
    case supervisor(SupervisorSummary)
}

/// What a pool was, when it is over.
public struct SupervisorSummary: Hashable, Sendable {
    public var outcome: SupervisorOutcome
    /// Restarts of workers that had been ready.
    public var restarts: Int
}

/// What a supervisor is to do.
package struct SupervisorConfiguration: Sendable {
    package var workers: Int
    package var restarts = RestartPolicy()
    package var bootTimeout: Duration = .seconds(60)
    package var drainTimeout: Duration = .seconds(30)
    package var quickTimeout: Duration = .seconds(2)
    package var hooks = SupervisorHooks()
    /// Takes the log's lines; nil: standard error.
    package var log: (@Sendable (LogLine) -> Void)?

    package init(workers: Int) {
        self.workers = workers
    }
}

/// Forks workers and keeps them alive, on one thread, by epoll alone: idle, it makes no system call.
package final class Supervisor {
    private enum Source {
        static let signals: UInt64 = 1 << 32
        static let news: UInt64 = 2 << 32
        static let targets: UInt64 = 3 << 32
        // Below: the slot whose worker's pidfd is readable.
    }

    private static let signals: [Signal] = [.terminate, .quit, .interrupt, .hangUp, .child]

    private let configuration: SupervisorConfiguration
    private let standardError = StandardErrorLog()
    private let pid = CurrentProcess.pid
    private let epoll: Epoll
    private var events = EpollEventBuffer(capacity: 64)
    private let signals: SignalDescriptor
    private let news: EventCounter
    /// A pipe that nobody writes to: its reading end, which workers keep, tells them when the writing end is gone.
    private let lifeline: Descriptor
    private let lifelineHold: Descriptor
    private let scoreboard: Scoreboard
    private let outOfMemoryKills = OutOfMemoryKills()
    private var lastOutOfMemoryKills: UInt64?
    private let signalMask: SignalSet
    private var pool: Pool
    private var children: [ChildProcess?]
    private var outcome: SupervisorOutcome?
    /// The managed processes beside the pool.
    private let targets: TargetRunner?
    private var haveTargetNews = false
    private var quickStops = 0

    /// Takes over the process's signals until `run` returns.
    ///
    /// - Throws: see `SupervisorError`.
    package init(
        _ configuration: SupervisorConfiguration, beside targets: TargetRunner? = nil
    ) throws(SupervisorError) {
        if TaskIdentity.current != nil { throw SupervisorError(.alreadyForked) }
        let threads = threadCount()
        if threads > 1 { throw SupervisorError(.multithreaded(threads: threads)) }
        let limit = WorkerCount.maximum
        guard (1...limit).contains(configuration.workers) else {
            throw SupervisorError(.badWorkerCount("\(configuration.workers) is not within 1...\(limit)"))
        }
        self.configuration = configuration
        self.targets = targets
        let settings = Pool.Settings(
            restarts: configuration.restarts, bootTimeout: configuration.bootTimeout,
            drainTimeout: configuration.drainTimeout, quickTimeout: configuration.quickTimeout)
        pool = Pool(
            workers: configuration.workers, settings: settings, now: .now,
            seed: UInt64(truncatingIfNeeded: MonotonicInstant.now.nanoseconds) ^ UInt64(pid))
        children = Array(repeating: nil, count: configuration.workers)
        do {
            try raiseDescriptorLimit(to: UInt64(configuration.workers) + 64 + (targets?.descriptorNeed ?? 0))
            epoll = try Epoll()
            news = try EventCounter()
            let pipe = try makePipe()
            lifeline = Descriptor(owning: pipe.reading)
            lifelineHold = Descriptor(owning: pipe.writing)
            scoreboard = try Scoreboard(slots: configuration.workers)
            signals = try SignalDescriptor(SignalSet(Self.signals))
            try epoll.add(signals.descriptor.number, .readable, word: Source.signals)
            try epoll.add(news.descriptor.number, .readable, word: Source.news)
            if let targets { try epoll.add(targets.epollNumber, .readable, word: Source.targets) }
        } catch {
            throw SupervisorError(error)
        }
        lastOutOfMemoryKills = outOfMemoryKills.current()
        CurrentProcess.keepStatusOfChildren()
        // Whoever reads the log may go away; that must not be the supervisor's end.
        ignoreBrokenPipes()
        signalMask = SignalMask.block(SignalSet(Self.signals))
        targets?.host = TargetHost(signalMask: signalMask) { [unowned self] in leaveToChild() }
    }

    /// Supervises until no worker is left and none is to come; then ends the managed processes.
    package func run() throws(SupervisorError) -> SupervisorReturn {
        try startTargets()
        if let seat = handle(.tick) { return .worker(seat) }
        while outcome == nil || targets?.isBusy == true {
            do {
                try events.wait(epoll, timeout: untilNextDeadline())
            } catch {
                returnSignals()
                throw SupervisorError(error)
            }
            if let seat = handleEvents() { return .worker(seat) }
            if let seat = try turnTargets() { return .worker(seat) }
        }
        returnSignals()
        if targets?.crashed != nil { outcome = .targetFailed }
        return .supervisor(SupervisorSummary(outcome: outcome ?? .ended, restarts: pool.restarts))
    }

    private func returnSignals() {
        targets?.host = nil
        SignalMask.restore(signalMask)
    }

    private func untilNextDeadline() -> Int64 {
        guard let deadline = [pool.nextDeadline, targets?.nextDeadline].lazy.compactMap({ $0 }).min() else { return -1 }
        return max(0, (deadline - .now).saturatedNanoseconds)
    }

    // Managed processes: they start before the workers, which may need them, and end after them.

    private func startTargets() throws(SupervisorError) {
        do {
            try targets?.startAll()
        } catch {
            returnSignals()
            throw SupervisorError(error)
        }
    }

    private func turnTargets() throws(SupervisorError) -> WorkerSeat? {
        guard let targets else { return nil }
        if haveTargetNews || targets.nextDeadline.map({ $0 <= .now }) == true {
            haveTargetNews = false
            do {
                try targets.turn(waitingAtMost: .zero)
            } catch {
                returnSignals()
                throw SupervisorError(error)
            }
        }
        if outcome != nil {
            if targets.isBusy, !targets.isStoppingAll { targets.stopAll(within: nil) }
        } else if targets.crashed != nil, pool.phase == .running {
            return handle(.stop(.graceful))
        }
        return nil
    }

    private func stopQuickly() -> WorkerSeat? {
        // The first time they have as long as the workers, the second time none.
        targets?.stopAll(within: quickStops == 0 ? configuration.quickTimeout : .zero)
        quickStops += 1
        return handle(.stop(.quick))
    }

    private func handleEvents() -> WorkerSeat? {
        for index in 0..<events.count {
            let word = events[index].word
            let seat =
                switch word {
                case Source.signals: readSignals()
                case Source.news: readNews()
                case Source.targets: noteTargetNews()
                default: reap(slot: Int(word))
                }
            if let seat { return seat }
        }
        guard let deadline = pool.nextDeadline, deadline <= .now else { return nil }
        return handle(.tick)
    }

    private func noteTargetNews() -> WorkerSeat? {
        haveTargetNews = true
        return nil
    }

    private func readSignals() -> WorkerSeat? {
        while let (signal, _) = signals.next() {
            let seat: WorkerSeat? =
                switch signal {
                case .interrupt: stopQuickly()
                case .child: reapWithoutPidfd()
                default: handle(.stop(.graceful))
                }
            if let seat { return seat }
        }
        return nil
    }

    private func readNews() -> WorkerSeat? {
        news.clear()
        for slot in pool.slots {
            guard case .booting(let worker, _) = slot.state else { continue }
            if scoreboard.readySpawn(slot: slot.taskID) == worker.spawn {
                if let seat = handle(.ready(slot: slot.taskID, spawn: worker.spawn)) { return seat }
            }
        }
        return nil
    }

    /// Children are reaped by their pidfds, which say who has ended; SIGCHLD says only that somebody has. It is what
    /// is left for children that have none.
    private func reapWithoutPidfd() -> WorkerSeat? {
        targets?.reapWithoutPidfd()
        for slot in children.indices where children[slot] != nil && children[slot]?.pidfdNumber == nil {
            if let seat = reap(slot: slot) { return seat }
        }
        return nil
    }

    private func reap(slot: Int) -> WorkerSeat? {
        guard let exit = collect(slot: slot) else { return nil }
        return handle(.exited(slot: slot, exit))
    }

    /// A function of its own: with its end the pidfd is closed, and a successor that is forked next does not have it.
    private func collect(slot: Int) -> ProcessExit? {
        // Words of closed pidfds can be left in a batch of events; the slot then has no child, or one that lives.
        guard children.indices.contains(slot), let child = children[slot] else { return nil }
        let exit: ProcessExit
        do {
            guard let found = try child.reap() else { return nil }
            exit = found
        } catch {
            // waitid fails on a child of one's own only when somebody has closed the descriptor under it.
            exit = ProcessExit(status: .lost, usage: ResourceUsage())
        }
        if let pidfd = child.pidfdNumber { epoll.remove(pidfd) }
        children[slot] = nil
        scoreboard.clear(slot: slot)
        return exit
    }

    private func wasOutOfMemory(_ status: ExitStatus) -> Bool {
        guard case .signaled(.kill, _) = status, let count = outOfMemoryKills.current() else { return false }
        defer { lastOutOfMemoryKills = count }
        return count > lastOutOfMemoryKills ?? count
    }

    /// Tells the pool what happened and does what it wants.
    ///
    /// - Returns: the seat, when the caller now is a new worker.
    private func handle(_ event: PoolEvent) -> WorkerSeat? {
        var actions = pool.handle(event, at: .now)
        // Forks first: clients wait for the worker, the log and the hooks do not mind. What the forks lead to is told
        // last, so that a death is told before its replacement.
        for case .fork(let slot, let spawn, let generation) in actions {
            switch fork(slot: slot, spawn: spawn, generation: generation) {
            case .parent(let result): actions += pool.handle(result, at: .now)
            case .child(let seat): return seat
            }
        }
        for action in actions {
            switch action {
            case .fork: break
            case .signal(let slot, let signal): send(signal, to: slot)
            case .report(let report): tell(report)
            case .finish(let outcome): self.outcome = outcome
            }
        }
        return nil
    }

    /// How a fork came out, on either side of it.
    private enum ForkResult {
        case parent(PoolEvent)
        case child(WorkerSeat)
    }

    private func fork(slot: Int, spawn: UInt64, generation: Int) -> ForkResult {
        var info = WorkerInfo(taskID: slot, generation: generation, pid: nil)
        configuration.hooks.beforeFork?(info)
        let threads = threadCount()
        guard threads == 1 else {
            return .parent(.forkFailed(slot: slot, reason: "\(SupervisorError(.multithreaded(threads: threads)))"))
        }
        let mask = SignalMask.block(.all)
        do {
            switch try forkProcess() {
            case .parent(let child):
                SignalMask.restore(mask)
                adopt(child, slot: slot)
                return .parent(.forked(slot: slot, pid: child, spawn: spawn))
            case .child:
                info.pid = CurrentProcess.pid
                return .child(becomeWorker(info, spawn: spawn))
            }
        } catch {
            SignalMask.restore(mask)
            return .parent(.forkFailed(slot: slot, reason: "\(error)"))
        }
    }

    private func adopt(_ pid: Int32, slot: Int) {
        let child = ChildProcess(pid: pid)
        children[slot] = child
        guard let pidfd = child.pidfdNumber else { return }
        do {
            try epoll.add(pidfd, .readable, word: UInt64(slot))
        } catch {
            // ENOMEM or the user's watch limit: without its pidfd the child is still heard of by SIGCHLD.
            children[slot] = ChildProcess(withoutPidfd: pid)
        }
    }

    /// Runs in the child. Signals stay blocked: only the worker's own code knows when it can take them.
    private func becomeWorker(_ info: WorkerInfo, spawn: UInt64) -> WorkerSeat {
        let unneeded = leaveToChild() + (targets?.leaveToChild() ?? [])
        guard becomeChild(of: pid, closing: unneeded) else { exitChild(code: 0) }
        TaskIdentity.current = TaskIdentity(taskID: info.taskID, generation: info.generation, supervisor: pid)
        configuration.hooks.afterFork?(info)
        return WorkerSeat(
            info: info, scoreboard: scoreboard, supervisorPipe: lifeline.number, signalMask: signalMask,
            spawn: spawn, news: news.descriptor.number)
    }

    /// In a child, a worker or a managed one: what it must not keep open. It never frees the supervisor, whose
    /// descriptors are closed by number: the numbers will belong to others when an owner would close them again.
    private func leaveToChild() -> [Int32] {
        _ = Unmanaged.passRetained(self)
        var unneeded = children.compactMap { $0?.pidfdNumber }
        unneeded += [epoll.descriptor.number, signals.descriptor.number, lifelineHold.number]
        return unneeded
    }

    private func send(_ signal: Signal, to slot: Int) {
        do {
            try children[slot]?.send(signal)
        } catch {
            log(LogLine(level: .error, text: "worker \(slot) cannot be signalled: \(error)"))
        }
    }

    private func tell(_ report: PoolReport) {
        let hooks = configuration.hooks
        var report = report
        if case .exited(var exit) = report {
            // Asked here and not before the fork of the successor: it takes three system calls.
            exit.outOfMemory = wasOutOfMemory(exit.status)
            report = .exited(exit)
        }
        if case .stopping = report { scoreboard.serviceStops = true }
        log(report.line(limit: configuration.restarts.limit))
        switch report {
        case .ready(let taskID, let pid, _): hooks.onReady?(WorkerInfo(taskID: taskID, generation: 1, pid: pid))
        case .allReady: hooks.onAllReady?()
        case .exited(let exit): hooks.onExit?(exit)
        case .stopping(let reason): hooks.onStop?(reason)
        case .forked, .forkFailed, .killing: break
        }
    }

    private func log(_ line: LogLine) {
        if let log = configuration.log { log(line) } else { standardError.write(line) }
    }
}
