// A pool with a clock and a made-up world of processes, driven as the supervisor drives it.

import PreforkSystem

@testable import PreforkSupervisor

extension MonotonicInstant {
    /// When every driven pool begins.
    static let poolStart = MonotonicInstant(nanoseconds: 1_000_000_000)
}

extension ProcessExit {
    static let success = ProcessExit(status: .exited(code: 0), usage: ResourceUsage())
    static let failure = ProcessExit(status: .exited(code: 3), usage: ResourceUsage())
    static let killed = ProcessExit(status: .signaled(.kill, coreDumped: false), usage: ResourceUsage())
}

struct PoolDriver {
    var pool: Pool
    var now = MonotonicInstant.poolStart
    /// The processes that live, by spawn.
    var living: [UInt64: Int] = [:]
    /// Every signal sent, by spawn.
    var received: [UInt64: [Signal]] = [:]
    var refusesForks = false
    var refusesNextFork = false
    /// The process IDs of the spares that live, by number.
    var spares: [UInt64: Int32] = [:]
    /// The spares that were asked to end, and those that were killed.
    var sparesSentAway: [UInt64] = []
    var sparesKilled: [UInt64] = []
    /// The spares that a slot was offered and that could not be told.
    var unfitSpares: Set<UInt64> = []
    private var nextPID: Int32 = 100

    init(workers: Int = 1, seed: UInt64 = 1, _ change: (inout Pool.Settings) -> Void = { _ in }) {
        var settings = Pool.Settings()
        settings.reload.probation = .zero
        change(&settings)
        pool = Pool(workers: workers, settings: settings, now: .poolStart, seed: seed)
    }

    /// Handles the event and the forks it leads to.
    @discardableResult
    mutating func handle(_ event: PoolEvent) -> [PoolAction] {
        if case .exited(_, let spawn, _) = event { living[spawn] = nil }
        return carryOut(pool.handle(event, at: now))
    }

    @discardableResult
    mutating func perform(_ command: ControlCommand) -> (outcome: ControlOutcome, actions: [PoolAction]) {
        let (outcome, actions) = pool.perform(command, at: now)
        return (outcome, carryOut(actions))
    }

    /// Forks in the order in which the supervisor makes them, their consequences after what has caused them.
    mutating func carryOut(_ wanted: [PoolAction]) -> [PoolAction] {
        var actions = wanted
        var next = 0
        while next < actions.count {
            switch actions[next] {
            case .fork(let slot, let spawn) where pool.generation(ofFork: spawn, slot: slot) == nil:
                break
            case .fork(let slot, let spawn) where handsOver(slot, spawn, &actions):
                break
            case .fork(let slot, let spawn) where refusesForks || refusesNextFork:
                refusesNextFork = false
                actions += pool.handle(.forkFailed(slot: slot, spawn: spawn, reason: "fork: EAGAIN"), at: now)
            case .fork(let slot, let spawn):
                nextPID += 1
                living[spawn] = slot
                actions += pool.handle(.forked(slot: slot, pid: nextPID, spawn: spawn), at: now)
            case .forkSpare(let number) where refusesForks:
                actions += pool.handle(.spare(.refused(number, reason: "fork: EAGAIN")), at: now)
            case .forkSpare(let number):
                nextPID += 1
                spares[number] = nextPID
                actions += pool.handle(.spare(.forked(number, pid: nextPID)), at: now)
            case .letSpareGo(let number): sparesSentAway.append(number)
            case .killSpare(let number): sparesKilled.append(number)
            case .signal(_, let spawn, let signal):
                received[spawn, default: []].append(signal)
            default: break
            }
            next += 1
        }
        return actions
    }

    /// As `Supervisor.handOver`.
    private mutating func handsOver(_ slot: Int, _ spawn: UInt64, _ actions: inout [PoolAction]) -> Bool {
        while let number = pool.spare(forFork: spawn, slot: slot) {
            if unfitSpares.contains(number) {
                actions += pool.handle(.spare(.unfit(number)), at: now)
                continue
            }
            let pid = spares.removeValue(forKey: number) ?? 0
            living[spawn] = slot
            actions += pool.handle(.spare(.taken(number)), at: now)
            actions += pool.handle(.forked(slot: slot, pid: pid, spawn: spawn), at: now)
            return true
        }
        return false
    }

    @discardableResult
    mutating func spareExits(_ number: UInt64, _ status: ExitStatus = .exited(code: 0)) -> [PoolAction] {
        spares[number] = nil
        return handle(.spare(.exited(number, status)))
    }

    @discardableResult
    mutating func ready(_ slot: Int) -> [PoolAction] {
        handle(.ready(slot: slot, spawn: pool.slots[slot].worker!.spawn))
    }

    @discardableResult
    mutating func exit(_ slot: Int, _ exit: ProcessExit) -> [PoolAction] {
        handle(.exited(slot: slot, spawn: pool.slots[slot].worker?.spawn ?? 0, exit))
    }

    @discardableResult
    mutating func replacementReady(_ slot: Int) -> [PoolAction] {
        handle(.ready(slot: slot, spawn: pool.slots[slot].replacement!.worker!.spawn))
    }

    @discardableResult
    mutating func replacementExits(_ slot: Int, _ exit: ProcessExit = .failure) -> [PoolAction] {
        handle(.exited(slot: slot, spawn: pool.slots[slot].replacement!.worker!.spawn, exit))
    }

    /// The slot's workers die until its next one is not forked at once.
    mutating func becomesLate(_ slot: Int) {
        while pool.slots[slot].worker != nil {
            ready(slot)
            exit(slot, .failure)
        }
    }

    /// All that were asked to leave end.
    @discardableResult
    mutating func leaversEnd() -> [PoolAction] {
        var actions: [PoolAction] = []
        for slot in pool.slots {
            for worker in slot.leaving {
                actions += handle(.exited(slot: slot.taskID, spawn: worker.worker.spawn, .success))
            }
        }
        return actions
    }

    @discardableResult
    mutating func pass(_ duration: Duration) -> [PoolAction] {
        now = now + duration
        return handle(.tick)
    }

    mutating func readyPool() -> Self {
        handle(.tick)
        for slot in pool.slots.indices { ready(slot) }
        return self
    }

    static func ready(workers: Int, _ change: (inout Pool.Settings) -> Void = { _ in }) -> Self {
        var driver = PoolDriver(workers: workers, change)
        return driver.readyPool()
    }

    /// Whatever boots gets ready and whatever leaves ends, until nothing is under way.
    @discardableResult
    mutating func settle(rounds: Int = 1_000) -> [PoolAction] {
        var actions: [PoolAction] = []
        for _ in 0..<rounds {
            let booting = pool.slots.flatMap { slot in slot.bootingWorkers.map { (slot.taskID, $0.spawn) } }
            let isBusy = !booting.isEmpty || pool.slots.contains { !$0.leaving.isEmpty || $0.replacement != nil }
            guard isBusy || (pool.nextDeadline.map { $0 <= now } ?? false) else { break }
            for (slot, spawn) in booting { actions += handle(.ready(slot: slot, spawn: spawn)) }
            actions += leaversEnd()
            actions += handle(.tick)
        }
        return actions
    }

    /// What is not as it must be, whatever has happened.
    var complaints: [String] {
        var list: [String] = []
        let known = pool.slots.flatMap(\.workers).map(\.spawn)
        if Set(known).count != known.count { list.append("a worker is in two places: \(known)") }
        let lost = Set(living.keys).subtracting(known)
        if !lost.isEmpty { list.append("processes that the pool does not know: \(lost.sorted())") }
        let ghosts = Set(known).subtracting(living.keys)
        if !ghosts.isEmpty { list.append("workers without a process: \(ghosts.sorted())") }
        for (index, slot) in pool.slots.enumerated() {
            if slot.taskID != index { list.append("slot \(index) says that it is \(slot.taskID)") }
            if !slot.isFinal, slot.workers.isEmpty, slot.deadline == nil {
                list.append("slot \(index) waits for nothing")
            }
            if case .forking = slot.replacement?.stage { list.append("slot \(index): a fork without an answer") }
        }
        let most = max(0, pool.settings.recycling.atOnce)
        if pool.recyclingInHand > most { list.append("too many are recycled at once") }
        return list
    }

    var areAllReady: Bool { pool.slots.allSatisfy { $0.isReady } }

    func generations() -> [Int] { pool.slots.map { $0.worker?.generation ?? 0 } }
}

/// A signal, without the worker's number, which the slot says.
struct Sent: Equatable, CustomStringConvertible {
    let slot: Int
    let signal: Signal
    var description: String { "\(signal) to \(slot)" }
}

func signals(_ actions: [PoolAction]) -> [Sent] {
    actions.compactMap { action in
        if case .signal(let slot, _, let signal) = action { Sent(slot: slot, signal: signal) } else { nil }
    }
}

func forks(_ actions: [PoolAction]) -> Int {
    actions.count { if case .fork = $0 { true } else { false } }
}

func reports(_ actions: [PoolAction]) -> [PoolReport] {
    actions.compactMap { if case .report(let report) = $0 { report } else { nil } }
}

/// Why reloads were aborted.
func aborts(_ actions: [PoolAction]) -> [String] {
    reports(actions).compactMap { if case .reloadAborted(_, _, _, let reason) = $0 { reason } else { nil } }
}

func finishedReloads(_ actions: [PoolAction]) -> [Int] {
    reports(actions).compactMap { if case .reloadFinished(let generation, _) = $0 { generation } else { nil } }
}

func endings(_ actions: [PoolAction]) -> Int {
    actions.count { if case .finish = $0 { true } else { false } }
}
