// The supervisor's decisions, event by event, without a process.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

private enum EventKind: CaseIterable {
    case early, late, forked, forkFailed, ready, staleReady, exitedWell, exitedBadly, stopGracefully, stopQuickly
}

@Suite struct PoolTests {
    /// A pool of two whose slot 0 is in the wanted state. Slot 1 is ready, so that the pool as a whole continues.
    private func driver(in kind: WorkerStatus.State) -> PoolDriver {
        var driver = PoolDriver(workers: 2) { $0.restarts.backoff.immediate = 0 }
        driver.handle(.tick)
        _ = driver.ready(1)
        switch kind {
        case .booting: break
        case .ready: _ = driver.ready(0)
        case .backingOff: _ = driver.exit(0, .failure)
        case .draining:
            _ = driver.ready(0)
            driver.handle(.stop(.graceful))
        case .killed: _ = driver.pass(.seconds(60))
        case .ended: _ = driver.exit(0, .success)
        case .failed:
            driver = PoolDriver(workers: 2) { $0.restarts.limit = 0 }
            _ = driver.readyPool()
            _ = driver.exit(0, .failure)
        }
        return driver
    }

    private func event(_ kind: EventKind, _ driver: PoolDriver) -> PoolEvent {
        let spawn = driver.pool.slots[0].worker?.spawn ?? 0
        return switch kind {
        case .early, .late: .tick
        case .forked: .forked(slot: 0, pid: 999, spawn: 999)
        case .forkFailed: .forkFailed(slot: 0, spawn: 0, reason: "EAGAIN")
        case .ready: .ready(slot: 0, spawn: spawn)
        case .staleReady: .ready(slot: 0, spawn: spawn &+ 77)
        case .exitedWell: .exited(slot: 0, spawn: spawn, .success)
        case .exitedBadly: .exited(slot: 0, spawn: spawn, .failure)
        case .stopGracefully: .stop(.graceful)
        case .stopQuickly: .stop(.quick)
        }
    }

    /// What becomes of slot 0, for every state and every event.
    private func expected(_ state: WorkerStatus.State, _ event: EventKind) -> WorkerStatus.State {
        switch (state, event) {
        case (.ended, _), (.failed, _): state
        // An unexpected event, `.forked`, changes nothing.
        case (.backingOff, .late): .booting
        case (.backingOff, .stopGracefully), (.backingOff, .stopQuickly): .ended
        case (.backingOff, _): .backingOff
        case (.booting, .ready): .ready
        case (.booting, .late): .killed
        case (.booting, .stopGracefully), (.booting, .stopQuickly): .draining
        case (.ready, .stopGracefully), (.ready, .stopQuickly): .draining
        case (.draining, .late): .killed
        case (.draining, .exitedWell), (.draining, .exitedBadly): .ended
        case (.booting, .exitedWell), (.ready, .exitedWell), (.killed, .exitedWell): .ended
        case (.booting, .exitedBadly), (.ready, .exitedBadly), (.killed, .exitedBadly): .backingOff
        default: state
        }
    }

    @Test func everyStateAnswersEveryEvent() {
        for state in WorkerStatus.State.allCases {
            for kind in EventKind.allCases {
                var driver = driver(in: state)
                #expect(driver.pool.slots[0].state.kind == state)
                if kind == .late { driver.now = driver.now + .seconds(61) }
                let actions = driver.pool.handle(event(kind, driver), at: driver.now)
                for case .fork(0, let spawn) in actions {
                    _ = driver.pool.handle(.forked(slot: 0, pid: 7, spawn: spawn), at: driver.now)
                }
                let result = driver.pool.slots[0].state.kind
                #expect(result == expected(state, kind), "\(state) on \(kind) became \(result)")
            }
        }
    }

    @Test func aNewPoolForksEverySlotAndSaysWhenAllAreReady() {
        var driver = PoolDriver(workers: 3)
        #expect(forks(driver.handle(.tick)) == 3)
        #expect(!driver.ready(0).contains(.report(.allReady(workers: 3))))
        #expect(!driver.ready(2).contains(.report(.allReady(workers: 3))))
        #expect(driver.ready(1).contains(.report(.allReady(workers: 3))))
    }

    /// A service manager waits for it.
    @Test(arguments: [[0, 1], [1, 0]]) func aWorkerThatHasEndedWellKeepsNobodyWaiting(order: [Int]) {
        var driver = PoolDriver(workers: 2)
        driver.handle(.tick)
        var actions: [PoolAction] = []
        for slot in order { actions += slot == 0 ? driver.ready(0) : driver.exit(1, .success) }
        #expect(reports(actions).count { $0 == .allReady(workers: 1) } == 1)
    }

    @Test func aLargePoolForksInBatchesSoThatAStopCanComeBetween() {
        var driver = PoolDriver(workers: 40)
        #expect(forks(driver.handle(.tick)) == 16)
        driver.handle(.stop(.graceful))
        #expect(forks(driver.handle(.tick)) == 0)
        #expect(driver.pool.slots[39].state == .ended)
    }

    @Test func exitCodeZeroIsFinalAndTheLastOneEndsThePool() {
        var driver = PoolDriver(workers: 2)
        _ = driver.readyPool()
        #expect(!driver.exit(0, .success).contains(.finish(.ended)))
        #expect(driver.exit(1, .success).contains(.finish(.ended)))
        #expect(driver.pool.restarts == 0)
    }

    @Test func oneRestartMoreThanTheLimitStopsTheSiblings() {
        var driver = PoolDriver(workers: 2) { $0.restarts = RestartPolicy(limit: 2) }
        _ = driver.readyPool()
        for _ in 0..<2 {
            #expect(forks(driver.exit(0, .failure)) == 1)
            _ = driver.ready(0)
        }
        let last = driver.exit(0, .killed)
        #expect(signals(last) == [Sent(slot: 1, signal: .terminate)])
        #expect(last.contains(.report(.stopping(.tooManyRestarts))))
        #expect(driver.exit(1, .success).contains(.finish(.tooManyRestarts)))
    }

    @Test func theWindowCountsPerSlotAndForgets() {
        func drive(pause: Duration) -> Pool.Phase {
            var driver = PoolDriver(workers: 2) {
                $0.restarts.window = .init(count: 2, per: .seconds(10))
                $0.restarts.backoff.maximum = .zero
            }
            _ = driver.readyPool()
            for _ in 0..<3 {
                _ = driver.exit(0, .failure)
                if driver.pool.slots[0].worker != nil { _ = driver.ready(0) }
                _ = driver.pass(pause)
            }
            return driver.pool.phase
        }
        #expect(drive(pause: .seconds(1)) == .stopping(.tooManyRestarts, outcome: .tooManyRestarts))
        #expect(drive(pause: .seconds(6)) == .running)
    }

    @Test func deathsBeforeReadyDoNotCountForTheLimitButHaveTheirOwn() {
        var driver = PoolDriver(workers: 2) {
            $0.restarts = RestartPolicy(limit: 0, bootLimit: 3)
            $0.restarts.backoff.maximum = .zero
        }
        driver.handle(.tick)
        _ = driver.ready(1)
        for _ in 0..<3 { #expect(forks(driver.exit(0, .failure)) == 1) }
        #expect(driver.pool.restarts == 0)
        // Another worker has been ready, so this is no failed start.
        #expect(driver.exit(0, .failure).contains(.report(.stopping(.tooManyRestarts))))
    }

    @Test func aPoolWhoseWorkersNeverGetReadyHasFailedToStart() {
        var driver = PoolDriver(workers: 1) {
            $0.restarts.bootLimit = 2
            $0.restarts.backoff.maximum = .zero
        }
        driver.handle(.tick)
        _ = driver.exit(0, .failure)
        _ = driver.exit(0, .failure)
        let last = driver.exit(0, .failure)
        #expect(last.contains(.report(.stopping(.startFailed))))
        #expect(last.contains(.finish(.startFailed)))
        #expect(SupervisorOutcome.startFailed.exitCode == 75)
    }

    @Test func theFirstThreeRestartsAreImmediateThenTheDelayGrowsWithJitter() {
        var driver = PoolDriver()
        _ = driver.readyPool()
        for _ in 0..<3 {
            #expect(forks(driver.exit(0, .failure)) == 1)
            _ = driver.ready(0)
        }
        var delays: [Duration] = []
        for _ in 0..<12 {
            let report = driver.exit(0, .failure).compactMap { action -> ExitReport? in
                if case .report(.exited(let report)) = action { report } else { nil }
            }
            guard case .restart(let delay, _) = report.first?.consequence else { break }
            delays.append(delay)
            // At once after the delay, within the period in which deaths count as quick ones.
            driver.now = driver.now + .microseconds(1)
            driver.pool = driver.pool.expiringBackoff(at: &driver.now)
            driver.handle(.tick)
            _ = driver.ready(0)
        }
        #expect(delays.count == 12)
        #expect(delays.suffix(4).reduce(.zero, +) > .seconds(1), "a long wait must not count as a quiet time")
        for (step, delay) in delays.enumerated() {
            #expect(delay <= Backoff().ceiling(step: step))
        }
        #expect(Backoff().ceiling(step: 0) == .milliseconds(100))
        #expect(Backoff().ceiling(step: 3) == .milliseconds(800))
        #expect(Backoff().ceiling(step: 100) == .seconds(30))
    }

    @Test func aStableWorkerClearsItsSlotsRecord() {
        var driver = PoolDriver()
        _ = driver.readyPool()
        for _ in 0..<3 {
            _ = driver.exit(0, .failure)
            _ = driver.ready(0)
        }
        driver.now = driver.now + .seconds(31)
        #expect(forks(driver.exit(0, .failure)) == 1)
    }

    @Test func backoffMaximumZeroRestartsAtOnceAlways() {
        var driver = PoolDriver { $0.restarts.backoff.maximum = .zero }
        _ = driver.readyPool()
        for _ in 0..<50 {
            #expect(forks(driver.exit(0, .killed)) == 1)
            _ = driver.ready(0)
        }
    }

    @Test func aRefusedForkWaitsLongerEachTimeAndNeverLosesTheSlot() {
        var driver = PoolDriver { $0.restarts.backoff.maximum = .zero }
        for step in 0..<20 {
            let actions = driver.pool.handle(.tick, at: driver.now)
            #expect(forks(actions) == 1)
            let spawn = driver.pool.lastSpawn
            _ = driver.pool.handle(.forkFailed(slot: 0, spawn: spawn, reason: "fork: EAGAIN"), at: driver.now)
            let wait = driver.pool.nextDeadline! - driver.now
            #expect(wait >= min(.milliseconds(50 << min(step, 8)), .milliseconds(500)))
            #expect(wait <= .seconds(1))
            driver.now = driver.pool.nextDeadline!
        }
        #expect(forks(driver.handle(.tick)) == 1)
        #expect(driver.pool.slots[0].state.kind == .booting)
    }

    @Test func aWorkerThatIsNotReadyInTimeIsKilledAndReplaced() {
        var driver = PoolDriver()
        driver.handle(.tick)
        #expect(driver.pool.nextDeadline == MonotonicInstant.poolStart + .seconds(60))
        #expect(signals(driver.pass(.seconds(60))) == [Sent(slot: 0, signal: .kill)])
        let actions = driver.exit(0, .killed)
        #expect(forks(actions) == 1)
        let reports = actions.compactMap { if case .report(.exited(let report)) = $0 { report } else { nil } }
        #expect(reports.first?.killReason == .bootTimeout)
    }

    @Test func aGracefulStopDrainsThenKills() {
        var driver = PoolDriver(workers: 2)
        _ = driver.readyPool()
        let stop = driver.handle(.stop(.graceful))
        #expect(signals(stop) == [Sent(slot: 0, signal: .terminate), Sent(slot: 1, signal: .terminate)])
        #expect(driver.handle(.stop(.graceful)).isEmpty)
        _ = driver.exit(0, .success)
        #expect(signals(driver.pass(.seconds(30))) == [Sent(slot: 1, signal: .kill)])
        #expect(driver.exit(1, .killed).contains(.finish(.stopped)))
    }

    @Test func aDelayedStopServesUntilItsTimeAndTheOrderComesOnce() {
        var driver = PoolDriver(workers: 2) { $0.stopDelay = .seconds(5) }
        _ = driver.readyPool()
        #expect(driver.handle(.stop(.graceful)) == [.report(.stopDelayed(by: .seconds(5)))])
        #expect(driver.pool.nextDeadline == driver.now + .seconds(5))
        // A worker that dies meanwhile has a successor. Orders that change the pool are refused.
        #expect(driver.exit(0, .killed).contains { if case .fork(slot: 0, _) = $0 { true } else { false } })
        #expect(driver.perform(.reload).outcome == .failed("the pool is stopping"))
        #expect(driver.perform(.scale(.to(4))).outcome == .failed("the pool is stopping"))
        #expect(signals(driver.pass(.seconds(4))).isEmpty)
        let stop = driver.pass(.seconds(1))
        #expect(stop.contains(.report(.stopping(.graceful))))
        #expect(signals(stop) == [Sent(slot: 0, signal: .terminate), Sent(slot: 1, signal: .terminate)])
        #expect(driver.handle(.stop(.graceful)).isEmpty)
        #expect(driver.pool.nextDeadline == driver.now + .seconds(30))
        _ = driver.exit(0, .success)
        #expect(driver.exit(1, .success).contains(.finish(.stopped)))
    }

    @Test(arguments: [StopRequestKind.graceful, .quick]) func anotherOrderEndsTheDelay(second: StopRequestKind) {
        var driver = PoolDriver(workers: 2) { $0.stopDelay = .seconds(5) }
        _ = driver.readyPool()
        driver.perform(.stop(quick: false))
        let signal: Signal = second == .quick ? .interrupt : .terminate
        #expect(signals(driver.handle(.stop(second))) == [Sent(slot: 0, signal: signal), Sent(slot: 1, signal: signal)])
    }

    @Test func aQuickStopAndOneBeforeTheFirstWorkerIsReadyHaveNoDelay() {
        var ready = PoolDriver { $0.stopDelay = .seconds(5) }
        _ = ready.readyPool()
        #expect(signals(ready.handle(.stop(.quick))) == [Sent(slot: 0, signal: .interrupt)])
        var booting = PoolDriver { $0.stopDelay = .seconds(5) }
        booting.handle(.tick)
        #expect(signals(booting.handle(.stop(.graceful))) == [Sent(slot: 0, signal: .terminate)])
    }

    @Test func aReloadEndsWhereItIsWhenADelayBeginsAndNoOtherFollows() {
        var driver = PoolDriver(workers: 2) { $0.stopDelay = .seconds(5) }
        _ = driver.readyPool()
        driver.perform(.reload)
        driver.perform(.reload)
        let actions = driver.handle(.stop(.graceful))
        let aborted = actions.contains { if case .report(.reloadAborted) = $0 { true } else { false } }
        #expect(aborted && driver.pool.reload == nil)
        let serving = driver.pool.slots.count { $0.isReady }
        #expect(serving == 2)
    }

    @Test func restartsCountAndTheirLimitEndsAPoolThatDelaysItsStop() {
        var driver = PoolDriver { ($0.stopDelay, $0.restarts.limit) = (.seconds(5), 0) }
        _ = driver.readyPool()
        driver.handle(.stop(.graceful))
        #expect(driver.exit(0, .killed).contains(.report(.stopping(.tooManyRestarts))))
        #expect(driver.pool.phase == .finished)
    }

    @Test func aQuickStopAfterAGracefulOneShortensItAndASecondKills() {
        var driver = PoolDriver(workers: 2)
        _ = driver.readyPool()
        driver.handle(.stop(.graceful))
        #expect(signals(driver.handle(.stop(.quick))).count == 2)
        #expect(driver.pool.nextDeadline == driver.now + .seconds(2))
        let kill = driver.handle(.stop(.quick))
        #expect(signals(kill) == [Sent(slot: 0, signal: .kill), Sent(slot: 1, signal: .kill)])
        #expect(signals(driver.handle(.stop(.quick))).isEmpty)
    }

    @Test func aStopDuringBackoffEndsAtOnce() {
        var driver = PoolDriver { $0.restarts.backoff.immediate = 0 }
        _ = driver.readyPool()
        _ = driver.exit(0, .failure)
        #expect(driver.handle(.stop(.graceful)).contains(.finish(.stopped)))
        #expect(driver.pool.nextDeadline == nil)
    }

    @Test func anIdlePoolHasNoDeadline() {
        var driver = PoolDriver(workers: 4)
        _ = driver.readyPool()
        #expect(driver.pool.nextDeadline == nil)
    }

    /// Whatever happens in whatever order: no trap, no slot without a worker and without a time for one.
    @Test(arguments: 0..<20) func randomHistoriesNeverLoseASlot(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var driver = PoolDriver(workers: 5) { $0.restarts = RestartPolicy(limit: 50, bootLimit: 1_000) }
        for _ in 0..<2_000 {
            let slot = Int.random(in: 0..<5, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: driver.handle(.tick)
            case 2: if driver.pool.slots[slot].worker != nil { _ = driver.ready(slot) }
            case 3 where driver.pool.slots[slot].worker != nil: _ = driver.exit(slot, .failure)
            case 4: driver.handle(.forkFailed(slot: slot, spawn: 0, reason: "x"))
            case 5: driver.now = driver.now + .milliseconds(Int.random(in: 0..<5_000, using: &random))
            case 6 where Int.random(in: 0..<400, using: &random) == 0: driver.handle(.stop(.graceful))
            default: break
            }
            if driver.pool.phase == .finished { break }
            for slot in driver.pool.slots where !slot.isFinal {
                #expect(slot.worker != nil || slot.deadline != nil)
            }
            let live = driver.pool.slots.compactMap(\.worker?.spawn)
            #expect(Set(live).count == live.count)
        }
    }
}

extension Pool {
    /// The pool at the time when its next backoff is over. `now` moves there.
    fileprivate func expiringBackoff(at now: inout MonotonicInstant) -> Pool {
        if let deadline = nextDeadline, deadline > now { now = deadline }
        return self
    }
}
