// How often a worker can have itself replaced, by each way that it has.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct RestartRateLimitTests {
    /// What a worker does as soon as it can.
    enum Attack: CaseIterable {
        case endsBeforeItIsReady, ends, isKilled, isLost, isNeverReady, hangs, claimsItsShare
    }

    private static let hangs = HangPolicy(soft: .milliseconds(60), grace: .milliseconds(1))

    /// Lets the worker in slot 0 do it for a minute, in steps of 10 ms, where nothing but the backoff limits restarts.
    ///
    /// - Returns: how many workers were forked for the slot.
    private func forksInAMinute(_ attack: Attack, seed: UInt64) -> Int {
        var driver = PoolDriver(workers: 1, seed: seed) {
            $0.restarts.limit = .max
            $0.restarts.bootLimit = .max
            $0.bootTimeout = .milliseconds(20)
            if attack == .hangs { $0.hangs = Self.hangs }
            if attack == .claimsItsShare { $0.recycling = RecyclingPolicy(requests: 1, jitter: 0) }
        }
        var count = 0
        for _ in 0..<6_000 {
            count += forks(driver.pass(.milliseconds(10)))
            count += forks(step(&driver, attack))
        }
        return count
    }

    private func step(_ driver: inout PoolDriver, _ attack: Attack) -> [PoolAction] {
        let slot = driver.pool.slots[0]
        if slot.replacement?.worker != nil {
            return driver.replacementReady(0) + driver.leaversEnd()
        }
        switch (slot.state, attack) {
        case (.killed, _): return driver.exit(0, .killed)
        case (.booting, .endsBeforeItIsReady): return driver.exit(0, .failure)
        case (.booting, .isNeverReady): return []
        case (.booting, _): return driver.ready(0)
        case (.ready, .ends): return driver.exit(0, .failure)
        case (.ready, .isKilled): return driver.exit(0, .killed)
        case (.ready, .isLost): return driver.exit(0, ProcessExit(status: .lost, usage: ResourceUsage()))
        case (.ready(let worker), .hangs), (.ready(let worker), .claimsItsShare):
            let sample = WorkerSample(slot: 0, spawn: worker.spawn, heartbeat: 1, requests: .max)
            return driver.handle(.sample([sample], backlog: 0))
        default: return []
        }
    }

    /// Without a limit each would be some thousand. The backoff lets three restarts through at once and then waits up
    /// to 30 s. Recycling, which is no failure, is eight at once and one a second.
    @Test(arguments: Attack.allCases, 0..<4)
    func `Every way to be restarted has a limit`(_ attack: Attack, seed: UInt64) {
        let count = forksInAMinute(attack, seed: seed)
        let range = attack == .claimsItsShare ? 60...69 : 5...40
        #expect(range.contains(count), "\(attack)")
    }

    /// Exit code 0 is how a worker says that it is done: it gets no successor.
    @Test func `One that ends with success is not replaced`() {
        var driver = PoolDriver.ready(workers: 2)
        #expect(forks(driver.exit(0, .success)) == 0)
        #expect(forks(driver.pass(.seconds(60))) == 0)
        #expect(driver.pool.slots[0].state == .ended)
    }

    @Test(arguments: [(true, 10), (false, 100)])
    func `Crashes in a request are replaced soon, and never without end at once`(isAlone: Bool, most: Int) {
        var record = RestartHistory()
        var random = SplitMix64(seed: 1)
        var now = MonotonicInstant(nanoseconds: 1_000_000_000)
        var delays: [Duration] = []
        for _ in 0..<1_000 {
            let delay = record.nextRequestDelay(at: now, isAlone: isAlone, using: &random)
            delays.append(delay)
            now = now + delay
        }
        #expect(delays.prefix(3).allSatisfy { $0 == .zero })
        #expect(delays.allSatisfy { $0 <= .milliseconds(most) })
        // On average half of the longest pause.
        let whole = delays.reduce(Duration.zero, +)
        #expect(whole > .milliseconds(400 * most) && whole < .milliseconds(600 * most))
        #expect(record.restarts == 1_000)
    }
}
