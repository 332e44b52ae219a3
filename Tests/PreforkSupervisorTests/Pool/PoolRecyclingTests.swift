// Workers that have had their share.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct PoolRecyclingTests {
    private func sample(
        _ driver: inout PoolDriver, after duration: Duration = .seconds(1), requests: UInt64 = 0, memory: Int? = nil
    ) -> [PoolAction] {
        driver.now = driver.now + duration
        let samples = driver.pool.slots.compactMap { slot -> WorkerSample? in
            guard slot.isReady, let worker = slot.worker else { return nil }
            return WorkerSample(
                slot: slot.taskID, spawn: worker.spawn, heartbeat: UInt64(driver.now.nanoseconds), requests: requests,
                memory: memory)
        }
        return driver.handle(.sample(samples, backlog: 0))
    }

    @Test func byRequestsByMemoryAndNotOneTooEarly() {
        var driver = PoolDriver.ready(workers: 1) {
            $0.recycling = RecyclingPolicy(requests: 100, memory: 1_000, jitter: 0)
        }
        #expect(forks(sample(&driver, requests: 99, memory: 999)) == 0)
        let begun = sample(&driver, requests: 100, memory: 999)
        #expect(reports(begun).contains { if case .recycling(0, _, .requests) = $0 { true } else { false } })
        #expect(driver.pool.slots[0].isReady, "the old one serves until the new one is ready")
        #expect(signals(driver.replacementReady(0)) == [Sent(slot: 0, signal: .terminate)])
        driver.leaversEnd()
        let again = sample(&driver, requests: 0, memory: 1_000)
        #expect(reports(again).contains { if case .recycling(0, _, .memory) = $0 { true } else { false } })
        driver.settle()
        #expect(driver.generations() == [1] && driver.pool.restarts == 0 && driver.complaints.isEmpty)
    }

    @Test func byLifetimeWithoutASingleLook() {
        var driver = PoolDriver.ready(workers: 3) { $0.recycling = RecyclingPolicy(lifetime: .seconds(100), jitter: 0) }
        #expect(driver.pool.nextSample == nil)
        #expect(driver.pool.nextDeadline == .poolStart + .seconds(100))
        driver.pass(.seconds(100))
        #expect(driver.pool.recyclingInHand == 1, "one at a time")
        #expect(driver.pool.slots[0].replacement != nil)
        driver.replacementReady(0)
        #expect(driver.pool.slots[1].replacement != nil && driver.pool.recyclingInHand == 1)
    }

    /// Looks at the one worker each 20 ms, and lets every replacement come up at once.
    ///
    /// - Returns: how many workers were forked in ten seconds.
    private func forksInTenSeconds(_ driver: inout PoolDriver, requests: UInt64) -> Int {
        var count = 0
        for _ in 0..<500 {
            count += forks(sample(&driver, after: .milliseconds(20), requests: requests))
            count += forks(driver.pass(.zero))
            #expect(driver.pool.nextDeadline.map { $0 > driver.now } ?? true, "the loop would spin")
            if driver.pool.slots[0].replacement?.worker != nil { driver.replacementReady(0) }
            driver.leaversEnd()
        }
        return count
    }

    /// A worker counts its requests itself, and was recycled at each look.
    @Test func oneThatClaimsItsShareAtOnceIsRecycledEightTimesAndThenOnceASecond() {
        var driver = PoolDriver.ready(workers: 1) { $0.recycling = RecyclingPolicy(requests: 10, jitter: 0) }
        #expect((16...19).contains(forksInTenSeconds(&driver, requests: 10)))
        #expect(driver.pool.restarts == 0 && driver.complaints.isEmpty)
    }

    /// A lifetime is the operator's word.
    @Test func lifetimesHaveNoSuchLimit() {
        var driver = PoolDriver.ready(workers: 1) {
            $0.recycling = RecyclingPolicy(lifetime: .milliseconds(50), jitter: 0)
        }
        #expect(forksInTenSeconds(&driver, requests: 0) > 100)
    }

    @Test func jitterSpreadsTheLimitsAndOnlyDownwards() {
        var driver = PoolDriver(workers: 200) {
            $0.recycling = RecyclingPolicy(requests: 1_000, lifetime: .seconds(1_000), jitter: 0.5)
        }
        driver.settle()
        let limits = driver.pool.lives.values.compactMap(\.requestLimit)
        #expect(limits.allSatisfy { (500...1_000).contains($0) })
        #expect(Set(limits).count > 100 && limits.min()! < 550 && limits.max()! > 950)
        let ends = driver.pool.lives.values.compactMap { $0.end.map { $0 - .poolStart } }
        #expect(ends.allSatisfy { (.seconds(499)...(.seconds(1_010))).contains($0) })
    }

    @Test(arguments: [(-1, -5.0, -1), (0, 7.0, 0), (1, .infinity, 1), (Int.max, 1.0, Int.max)])
    func absurdPoliciesAreNoTrap(limit: Int, jitter: Double, atOnce: Int) {
        var driver = PoolDriver.ready(workers: 2) {
            $0.recycling = RecyclingPolicy(
                requests: limit, lifetime: .seconds(limit), memory: limit, jitter: jitter, atOnce: atOnce)
        }
        _ = sample(&driver, requests: .max, memory: .max)
        driver.settle(rounds: 10)
        #expect(driver.complaints.isEmpty)
    }

    @Test(arguments: [1, 3, 7]) func neverMoreThanSoManyAtOnceHoweverTheyFallTogether(atOnce: Int) {
        var driver = PoolDriver(workers: 20) {
            $0.recycling = RecyclingPolicy(requests: 10, jitter: 0, atOnce: atOnce)
        }
        driver.settle()
        _ = sample(&driver, requests: 10)
        #expect(driver.pool.recyclingInHand == atOnce)
        var replaced = 0
        while let slot = driver.pool.slots.last(where: { $0.replacement != nil }) {
            #expect(driver.pool.recyclingInHand <= atOnce)
            driver.replacementReady(slot.taskID)
            replaced += 1
        }
        #expect(replaced == 20 && driver.areAllReady)
    }

    @Test func afterAFailedReplacementTheOldOneServesAndTheNextTryWaits() {
        var driver = PoolDriver.ready(workers: 1) { $0.recycling = RecyclingPolicy(requests: 10, jitter: 0) }
        _ = sample(&driver, requests: 10)
        #expect(forks(driver.replacementExits(0)) == 0)
        #expect(driver.pool.slots[0].isReady && driver.pool.slots[0].replacement == nil)
        let wait = driver.pool.nextDeadline! - driver.now
        #expect(wait >= .milliseconds(50) && wait <= .seconds(1))
        #expect(forks(driver.pass(wait)) == 1)
        driver.replacementReady(0)
        #expect(driver.pool.restarts == 0)
    }

    @Test func replacementsThatAlwaysFailNeverEndAPoolThatServes() {
        var driver = PoolDriver.ready(workers: 2) { $0.recycling = RecyclingPolicy(requests: 10, jitter: 0) }
        _ = sample(&driver, requests: 10)
        for _ in 0..<100 {
            if let slot = driver.pool.slots.first(where: { $0.replacement?.worker != nil }) {
                driver.replacementExits(slot.taskID)
            }
            driver.now = max(driver.now, driver.pool.nextDeadline ?? driver.now)
            driver.handle(.tick)
        }
        #expect(driver.pool.phase == .running && driver.areAllReady && driver.complaints.isEmpty)
    }

    @Test func aReloadTakesOverWhatIsBeingRecycled() {
        var driver = PoolDriver.ready(workers: 2) { $0.recycling = RecyclingPolicy(requests: 10, jitter: 0) }
        _ = sample(&driver, requests: 10)
        let given = driver.pool.slots[0].replacement!.worker!.spawn
        driver.perform(.reload)
        #expect(driver.received[given] == [.terminate])
        #expect(driver.pool.slots[0].replacement?.cause == .reload)
        driver.settle()
        #expect(driver.generations() == [2, 2] && driver.complaints.isEmpty)
        #expect(driver.pool.recyclingInHand == 0)
    }

    @Test func whoIsDueDuringAReloadThatAbortsIsRecycledAfterIt() {
        var driver = PoolDriver.ready(workers: 2) { $0.recycling = RecyclingPolicy(requests: 10, jitter: 0) }
        driver.perform(.reload)
        _ = sample(&driver, requests: 10)
        #expect(driver.pool.recyclingInHand == 0)
        driver.replacementExits(0)
        #expect(driver.pool.recyclingInHand == 1)
        driver.settle()
        #expect(driver.complaints.isEmpty)
    }

    @Test func anExpiredLifetimeThatMustWaitDoesNotMakeTheSupervisorSpin() {
        var driver = PoolDriver.ready(workers: 2) { $0.recycling = RecyclingPolicy(lifetime: .seconds(10), jitter: 0) }
        driver.pass(.seconds(5))
        driver.perform(.restart(slot: 0))
        driver.perform(.kill(slot: 1))
        driver.pass(.seconds(5))
        #expect(driver.pool.nextDeadline.map { $0 > driver.now } ?? true, "no deadline that nothing can follow")
    }

    @Test func aStoppingPoolRecyclesNobody() {
        var driver = PoolDriver.ready(workers: 2) {
            $0.recycling = RecyclingPolicy(requests: 10, lifetime: .seconds(5), jitter: 0)
        }
        driver.handle(.stop(.graceful))
        #expect(forks(sample(&driver, after: .seconds(6), requests: 10)) == 0)
        #expect(driver.pool.nextSample == nil)
        #expect(driver.pool.nextDeadline == .poolStart + .seconds(30))
    }

    @Test func samplesOfOthersAreIgnored() {
        var driver = PoolDriver.ready(workers: 1) { $0.recycling = RecyclingPolicy(requests: 10, jitter: 0) }
        for (slot, spawn) in [(0, UInt64(99)), (7, 1), (-1, 1), (Int.max, .max)] {
            let sample = WorkerSample(slot: slot, spawn: spawn, requests: .max)
            #expect(driver.handle(.sample([sample], backlog: .max)).isEmpty)
        }
    }
}
