// Workers that are alive and do nothing.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct PoolHangTests {
    private static let policy = HangPolicy(soft: .seconds(4), grace: .seconds(2))

    private func pool(_ workers: Int = 1) -> PoolDriver {
        .ready(workers: workers) { $0.hangs = Self.policy }
    }

    /// Samples as often as the pool wants, for so long. Workers in `alive` give heartbeats.
    private func look(
        _ driver: inout PoolDriver, for duration: Duration, alive: Set<Int> = [],
        extendedUntil: MonotonicInstant? = nil, period: Duration? = .zero
    ) -> [PoolAction] {
        var actions: [PoolAction] = []
        let end = driver.now + duration
        while let next = driver.pool.nextSample, next <= end {
            driver.now = max(driver.now, next)
            let samples = driver.pool.slots.compactMap { slot -> WorkerSample? in
                guard slot.isReady, let worker = slot.worker else { return nil }
                let beat = alive.contains(slot.taskID) ? UInt64(driver.now.nanoseconds) : 7
                return WorkerSample(
                    slot: slot.taskID, spawn: worker.spawn, heartbeat: beat, heartbeatPeriod: period,
                    extendedUntil: extendedUntil)
            }
            actions += driver.handle(.sample(samples, backlog: 0))
        }
        driver.now = end
        return actions
    }

    private func dumps(_ actions: [PoolAction]) -> Int {
        actions.count { if case .dumpStack = $0 { true } else { false } }
    }

    private func isHung(_ report: PoolReport) -> Bool { if case .hung = report { true } else { false } }

    @Test func silenceIsDumpedOnceAndKilledAfterTheGrace() {
        var driver = pool(2)
        let hung = driver.pool.slots[0].worker!.spawn
        #expect(look(&driver, for: .seconds(4), alive: [1]).isEmpty)
        let soft = look(&driver, for: .seconds(1.5), alive: [1])
        #expect(dumps(soft) == 1 && reports(soft).count(where: isHung) == 1)
        #expect(driver.received[hung] == nil)
        _ = look(&driver, for: .seconds(1.5), alive: [1])
        #expect(driver.received[hung] == [.kill])
        #expect(driver.received.count == 1, "the other one is alive")
        let exit = driver.exit(0, .killed)
        #expect(forks(exit) == 1)
        #expect(
            reports(exit).contains { if case .exited(let report) = $0 { report.killReason == .hung } else { false } })
    }

    /// An upgrade in place may bring a policy, or a shorter one. Its workers come from the previous image.
    @Test func workersKeepToThePolicyThatTheyWereForkedUnder() {
        var driver = pool()
        let old = driver.pool.slots[0].worker!.spawn
        #expect(look(&driver, for: .seconds(60), period: nil).isEmpty, "its image looked for no signs")
        #expect(look(&driver, for: .seconds(28), period: .seconds(10)).isEmpty, "one is due every ten seconds")
        _ = look(&driver, for: .seconds(6), period: .seconds(10))
        #expect(driver.received[old] == [.kill])
    }

    @Test func whoComesBackWithinTheGraceIsToldOfAndLives() {
        var driver = pool()
        #expect(dumps(look(&driver, for: .seconds(5.5))) == 1)
        let back = look(&driver, for: .seconds(1), alive: [0])
        #expect(reports(back).contains { if case .recovered = $0 { true } else { false } })
        #expect(look(&driver, for: .seconds(20), alive: [0]).isEmpty)
        #expect(dumps(look(&driver, for: .seconds(5.5))) == 1, "the next time is another one")
    }

    @Test func anExtensionIsKeptToTheEndAndNotLonger() {
        var driver = pool()
        let until = driver.now + .seconds(60)
        #expect(look(&driver, for: .seconds(62), extendedUntil: until).isEmpty)
        let late = look(&driver, for: .seconds(8), extendedUntil: until)
        #expect(dumps(late) == 1)
        #expect(driver.pool.slots[0].state.kind == .killed)
    }

    @Test func anAbsurdExtensionIsNoTrap() {
        var driver = pool()
        #expect(look(&driver, for: .seconds(100), extendedUntil: .distantFuture).isEmpty)
        _ = look(&driver, for: .seconds(10), extendedUntil: MonotonicInstant(nanoseconds: .min))
        #expect(driver.pool.slots[0].state.kind == .killed)
    }

    @Test func `Of an extension a day is believed`() {
        // It is looked at four times an hour.
        var driver = PoolDriver.ready(workers: 1) { $0.hangs = HangPolicy(soft: .seconds(3_600), grace: .seconds(3_600)) }
        #expect(look(&driver, for: Pool.longestExtension, extendedUntil: .distantFuture).isEmpty)
        let late = look(&driver, for: .seconds(3 * 3_600), extendedUntil: .distantFuture)
        #expect(dumps(late) == 1)
        #expect(driver.pool.slots[0].state.kind == .killed)
    }

    @Test func aMachineThatStoodStillKillsNobody() {
        var driver = pool(3)
        _ = look(&driver, for: .seconds(3), alive: [0, 1, 2])
        // Nothing ran for an hour. Then all workers need a moment to come back.
        driver.now = driver.now + .seconds(3_600)
        var actions = look(&driver, for: .zero)
        #expect(reports(actions).contains { if case .stoodStill = $0 { true } else { false } })
        actions += look(&driver, for: .seconds(3))
        actions += look(&driver, for: .seconds(20), alive: [0, 1, 2])
        #expect(dumps(actions) == 0 && driver.received.isEmpty)
    }

    @Test func aHangDuringAStandstillIsForgivenAndFoundAnew() {
        var driver = pool()
        #expect(dumps(look(&driver, for: .seconds(5.5))) == 1)
        driver.now = driver.now + .seconds(100)
        _ = look(&driver, for: .seconds(3))
        #expect(driver.received.isEmpty, "the grace begins anew")
        _ = look(&driver, for: .seconds(6))
        #expect(driver.pool.slots[0].state.kind == .killed)
    }

    @Test func bootingWorkersHaveTheirOwnDeadline() {
        var driver = PoolDriver(workers: 1) { $0.hangs = Self.policy }
        driver.handle(.tick)
        #expect(driver.pool.nextSample == nil)
        driver.pass(.seconds(50))
        #expect(driver.received.isEmpty)
    }

    @Test func aHungWorkerIsKilledDuringAReloadWhoseReplacementTakesItsPlace() {
        var driver = pool()
        driver.perform(.reload)
        _ = look(&driver, for: .seconds(8))
        #expect(driver.pool.slots[0].state.kind == .killed)
        driver.replacementReady(0)
        #expect(driver.pool.slots[0].isReady && driver.generations() == [2])
        driver.leaversEnd()
        #expect(driver.pool.reload == nil && driver.complaints.isEmpty && driver.living.count == 1)
    }

    @Test func tooSmallDeadlinesAreMadePossible() {
        #expect(
            HangPolicy(soft: .zero, grace: .seconds(-1)) == HangPolicy(soft: .milliseconds(60), grace: .milliseconds(1))
        )
        var driver = PoolDriver.ready(workers: 1) { $0.hangs = HangPolicy(soft: .zero, grace: .zero) }
        #expect(driver.pool.samplingPeriod == .milliseconds(20))
        #expect(look(&driver, for: .seconds(1), alive: [0]).isEmpty)
    }
}
