// More and fewer workers, asked for or by load.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct PoolScalingTests {
    @Test func oneMoreAndOneLess() {
        var driver = PoolDriver.ready(workers: 2)
        #expect(driver.perform(.scale(.by(1))).outcome == .done("3 workers instead of 2"))
        #expect(driver.living.count == 3)
        driver.ready(2)
        #expect(driver.pool.order(toWorkerOf: 2) == .makeRoom)
        let less = driver.perform(.scale(.by(-1)))
        #expect(signals(less.actions) == [Sent(slot: 2, signal: .terminate)], "the highest task ID goes first")
        #expect(driver.pool.order(toWorkerOf: 2) == .giveUp && driver.pool.order(toWorkerOf: 1) == .makeRoom)
        driver.leaversEnd()
        #expect(driver.pool.slots.count == 2 && driver.complaints.isEmpty && driver.pool.nextDeadline == nil)
    }

    @Test(arguments: [
        (ScaleChange.by(-2), "0 is not within 1...10000 workers"), (.to(0), "0 is not within 1...10000 workers"),
        (.to(-5), "-5 is not within 1...10000 workers"), (.to(10_001), "10001 is not within 1...10000 workers"),
        (.by(.max), "that is not within 1...10000 workers"), (.to(.min), "\(Int.min) is not within 1...10000 workers"),
    ])
    func outOfBoundsIsRefusedAndChangesNothing(change: ScaleChange, reason: String) {
        var driver = PoolDriver.ready(workers: 2)
        let before = driver.pool
        #expect(driver.perform(.scale(change)).outcome == .failed(reason))
        #expect(driver.pool == before)
    }

    @Test func theBoundsOfAutomaticScalingHoldForOperatorsToo() {
        var driver = PoolDriver.ready(workers: 3) { $0.scaling = ScalingPolicy(workers: 2...4) }
        #expect(
            driver.perform(.scale(.to(5))).outcome == .failed("5 is not within 2...4, the bounds of automatic scaling"))
        #expect(
            driver.perform(.scale(.to(1))).outcome == .failed("1 is not within 2...4, the bounds of automatic scaling"))
        #expect(driver.perform(.scale(.to(4))).outcome == .done("4 workers instead of 3"))
    }

    @Test func upWhileTheLastStillDrainTakesTheirPlacesAgain() {
        var driver = PoolDriver.ready(workers: 4)
        driver.perform(.scale(.to(1)))
        #expect(driver.pool.target == 1)
        driver.perform(.scale(.to(3)))
        #expect(driver.pool.target == 3 && driver.living.count == 6)
        driver.leaversEnd()
        driver.settle()
        #expect(driver.pool.slots.count == 3 && driver.areAllReady && driver.complaints.isEmpty)
    }

    @Test func retiredSlotsAreNoTargetsOfCommands() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.scale(.to(1)))
        #expect(driver.perform(.drain(slot: 1)).outcome == .failed("there is no worker 1"))
        driver.perform(.reload)
        #expect(driver.pool.reload?.total == 1)
        driver.settle()
        #expect(driver.complaints.isEmpty && driver.living.count == 1)
    }

    @Test func aRetiredWorkerThatIsLateIsKilledAndHasNoSuccessor() {
        var driver = PoolDriver.ready(workers: 2)
        let last = driver.pool.slots[1].worker!.spawn
        driver.perform(.scale(.to(1)))
        driver.pass(.seconds(30))
        #expect(driver.received[last] == [.terminate, .kill])
        #expect(forks(driver.handle(.exited(slot: 1, spawn: last, .killed))) == 0)
        #expect(driver.pool.slots.count == 1 && driver.pool.restarts == 0)
    }

    @Test func fewerDuringAReloadEndsTheReloadWithThoseWhoStay() {
        var driver = PoolDriver.ready(workers: 4)
        driver.perform(.reload)
        driver.replacementReady(0)
        driver.replacementReady(1)
        driver.perform(.scale(.to(2)))
        #expect(driver.pool.reload == nil)
        driver.settle()
        #expect(driver.generations() == [2, 2] && driver.complaints.isEmpty && driver.living.count == 2)
    }

    @Test func moreDuringAReloadAreOfTheNewGeneration() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.reload)
        driver.perform(.scale(.by(1)))
        driver.settle()
        #expect(driver.generations() == [2, 2, 2])
    }

    @Test func toTenThousandAndBackInBatchesThatAStopCanInterrupt() {
        var driver = PoolDriver.ready(workers: 1)
        #expect(forks(driver.perform(.scale(.to(10_000))).actions) == 16)
        #expect(driver.pool.target == 10_000)
        driver.handle(.tick)
        #expect(driver.living.count == 33)
        driver.perform(.scale(.to(1)))
        #expect(driver.pool.target == 1)
        driver.leaversEnd()
        #expect(driver.pool.slots.count == 1 && driver.living.count == 1 && driver.complaints.isEmpty)
    }

    @Test func moreAreForkedOnceAlsoWhenARecyclingBeginsInTheSameTurn() {
        var driver = PoolDriver.ready(workers: 1) { $0.recycling = RecyclingPolicy(lifetime: .seconds(10), jitter: 0) }
        driver.now = driver.now + .seconds(10)
        driver.perform(.scale(.by(2)))
        #expect(driver.complaints.isEmpty, "\(driver.complaints)")
        #expect(driver.living.count == 4, "the one, its replacement and two more")
    }

    @Test func aSlotWhoseBackoffEndsWhenARecyclingBeginsIsForkedOnce() {
        var driver = PoolDriver.ready(workers: 2) {
            $0.recycling = RecyclingPolicy(lifetime: .seconds(10), jitter: 0)
            $0.restarts.backoff = Backoff(immediate: 0, base: .seconds(1), maximum: .seconds(1))
        }
        driver.exit(0, .failure)
        driver.pass(.seconds(10))
        #expect(driver.complaints.isEmpty, "\(driver.complaints)")
        #expect(driver.living.count == 3)
    }
}

@Suite struct ScalerTests {
    private let policy = ScalingPolicy(workers: 2...16)

    private func decide(
        _ state: inout ScalerState, workers: Int, busy: Double, backlog: Int = 0, at seconds: Double,
        policy: ScalingPolicy? = nil
    ) -> Int {
        state.decide(
            policy ?? self.policy, within: (policy ?? self.policy).workers!, workers: workers, busy: busy,
            backlog: backlog,
            at: .poolStart + .seconds(seconds))
    }

    @Test func itGrowsByAQuarterWhenItWasBusyForLongEnough() {
        var state = ScalerState()
        for second in [0.0, 1, 2] { #expect(decide(&state, workers: 8, busy: 0.9, at: second) == 8) }
        #expect(decide(&state, workers: 8, busy: 0.9, at: 3) == 10)
        #expect(decide(&state, workers: 10, busy: 0.9, at: 4) == 10, "it waits for what the last step brings")
        #expect(decide(&state, workers: 10, busy: 0.9, at: 7) == 12)
    }

    @Test func aPauseInBetweenBeginsAnew() {
        var state = ScalerState()
        for second in 0..<20 {
            #expect(decide(&state, workers: 4, busy: second.isMultiple(of: 2) ? 1 : 0.6, at: Double(second)) == 4)
        }
    }

    @Test func waitingConnectionsAreLoadToo() {
        var state = ScalerState()
        #expect(decide(&state, workers: 2, busy: 0.1, backlog: 8, at: 0) == 2)
        #expect(decide(&state, workers: 2, busy: 0.1, backlog: 8, at: 3) == 3)
    }

    @Test func itShrinksByOneAfterALongQuietTimeAndNeverWhileSomebodyWaits() {
        var state = ScalerState()
        #expect(decide(&state, workers: 8, busy: 0.1, at: 0) == 8)
        #expect(decide(&state, workers: 8, busy: 0.1, at: 29) == 8)
        #expect(decide(&state, workers: 8, busy: 0.1, at: 30) == 7)
        #expect(decide(&state, workers: 7, busy: 0.1, at: 31) == 7)
        state = ScalerState()
        for second in 0..<100 { #expect(decide(&state, workers: 8, busy: 0, backlog: 1, at: Double(second)) == 8) }
    }

    @Test func boundsAreKeptWhateverTheLoad() {
        var state = ScalerState()
        #expect(decide(&state, workers: 1, busy: 0, at: 0) == 2)
        #expect(decide(&state, workers: 40, busy: 1, at: 0) == 16)
        _ = decide(&state, workers: 16, busy: 1, at: 10)
        #expect(decide(&state, workers: 16, busy: 1, at: 20) == 16)
    }

    /// The same work on any number of workers: it settles, and does not go up and down.
    @Test(arguments: [0.4, 1.0, 2.7, 5.0, 9.9]) func constantLoadSettles(load: Double) {
        var state = ScalerState()
        var workers = 2
        var turns = 0
        var lastChange = 0
        for second in 0..<2_000 {
            let wanted = decide(&state, workers: workers, busy: min(1, load / Double(workers)), at: Double(second))
            if wanted != workers {
                let change = wanted > workers ? 1 : -1
                if lastChange != 0, change != lastChange { turns += 1 }
                lastChange = change
                workers = wanted
            }
        }
        #expect(turns <= 1, "load \(load): \(turns) turns, \(workers) workers")
        #expect(load / Double(workers) < 0.8)
    }

    @Test func aPoolFollowsItsLoad() {
        var driver = PoolDriver.ready(workers: 2) { $0.scaling = ScalingPolicy(workers: 2...4) }
        var time = Duration.zero
        func samples(_ pool: Pool, _ time: Duration) -> [WorkerSample] {
            pool.slots.compactMap { slot in
                guard slot.isReady, let worker = slot.worker else { return nil }
                var sample = WorkerSample(slot: slot.taskID, spawn: worker.spawn)
                sample.processorTime = time
                return sample
            }
        }
        for _ in 0..<20 {
            driver.now = driver.now + .seconds(1)
            time += .seconds(1)
            driver.handle(.sample(samples(driver.pool, time), backlog: 0))
            for slot in driver.pool.slots where slot.state.kind == .booting { driver.ready(slot.taskID) }
        }
        #expect(driver.pool.target == 4)
        for _ in 0..<200 {
            driver.now = driver.now + .seconds(1)
            driver.handle(.sample(samples(driver.pool, time), backlog: 0))
            driver.leaversEnd()
        }
        #expect(driver.pool.target == 2 && driver.living.count == 2 && driver.complaints.isEmpty)
    }
}
