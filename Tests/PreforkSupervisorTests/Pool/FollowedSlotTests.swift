// Whether a slot's worker is followed by another one if it dies, at each turn of its life.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct FollowedSlotTests {
    @Test func `A worker is followed from its first fork on, and while its successor is waited for`() {
        var driver = PoolDriver(workers: 2)
        #expect(driver.pool.isFollowed(0) && driver.pool.isFollowed(1) && !driver.pool.isFollowed(2))
        _ = driver.readyPool()
        driver.becomesLate(0)
        #expect(driver.pool.slots[0].worker == nil && driver.pool.isFollowed(0))
        driver.perform(.reload)
        #expect(driver.pool.isFollowed(0) && driver.pool.isFollowed(1))
    }

    @Test func `A worker that has ended without a failure is not followed`() {
        var driver = PoolDriver.ready(workers: 2)
        driver.exit(0, .success)
        #expect(!driver.pool.isFollowed(0) && driver.pool.isFollowed(1))
    }

    @Test func `A slot that is given up is not filled again, until the pool grows`() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.scale(.by(-1)))
        #expect(!driver.pool.isFollowed(1) && driver.pool.isFollowed(0))
        driver.perform(.scale(.by(1)))
        #expect(driver.pool.isFollowed(1))
    }

    @Test func `No worker of a pool that stops is followed`() {
        var driver = PoolDriver.ready(workers: 2)
        driver.becomesLate(0)
        driver.handle(.stop(.graceful))
        #expect(!driver.pool.isFollowed(0) && !driver.pool.isFollowed(1))
    }

    @Test func `The last restart that is allowed ends what was promised`() {
        var driver = PoolDriver.ready(workers: 1) { $0.restarts = RestartPolicy(limit: 0) }
        driver.exit(0, .failure)
        #expect(!driver.pool.isFollowed(0))
    }
}
