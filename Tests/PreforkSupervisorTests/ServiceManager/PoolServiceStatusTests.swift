// What `systemctl status` shows of the pool, after each change.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct PoolServiceStatusTests {
    @Test func `While it starts it says how far it is`() {
        var driver = PoolDriver(workers: 3)
        driver.handle(.tick)
        #expect(driver.pool.serviceStatus == "starting: 0 of 3 workers are ready")
        driver.ready(0)
        #expect(driver.pool.serviceStatus == "starting: 1 of 3 workers are ready")
        driver.ready(1)
        driver.ready(2)
        #expect(driver.pool.serviceStatus == "3 workers serve")
    }

    @Test func `It counts those that serve, not those that should`() {
        var driver = PoolDriver.ready(workers: 3)
        for slot in 0..<3 { driver.becomesLate(slot) }
        #expect(driver.pool.serviceStatus == "no worker serves, 3 are missing")
        driver.pass(.seconds(600))
        driver.ready(1)
        #expect(driver.pool.serviceStatus == "1 worker serves, 2 are missing")
        driver.ready(2)
        #expect(driver.pool.serviceStatus == "2 workers serve, 1 is missing")
        driver.ready(0)
        #expect(driver.pool.serviceStatus == "3 workers serve")
    }

    @Test func `One worker has a singular`() {
        var driver = PoolDriver(workers: 1)
        driver.handle(.tick)
        #expect(driver.pool.serviceStatus == "starting: 0 of 1 worker is ready")
        driver.ready(0)
        #expect(driver.pool.serviceStatus == "1 worker serves")
        driver.becomesLate(0)
        #expect(driver.pool.serviceStatus == "no worker serves, 1 is missing")
    }

    @Test func `Workers that are done are not missing`() {
        var driver = PoolDriver.ready(workers: 3)
        driver.exit(1, .success)
        #expect(driver.pool.serviceStatus == "2 workers serve, 1 has ended")
    }

    @Test func `A reload says how far it is, and how the last one came out`() {
        var driver = PoolDriver.ready(workers: 2) { $0.reload.probation = .seconds(5) }
        driver.perform(.reload)
        #expect(driver.pool.serviceStatus == "2 workers serve, reloading to generation 2, 0 of 2 replaced")
        driver.replacementReady(0)
        #expect(driver.pool.serviceStatus == "2 workers serve, reloading to generation 2, 1 of 2 replaced")
        driver.replacementReady(1)
        #expect(driver.pool.serviceStatus == "2 workers serve, generation 2 is on probation")
        driver.pass(.seconds(5))
        #expect(driver.pool.serviceStatus == "2 workers serve")
        driver.perform(.reload)
        driver.replacementExits(0)
        let reason = driver.pool.lastReload?.abortReason ?? ""
        #expect(!reason.isEmpty)
        #expect(driver.pool.serviceStatus == "2 workers serve, the last reload was aborted: \(reason)")
    }

    @Test func `Scaling is seen as it goes`() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.scale(.by(1)))
        #expect(driver.pool.serviceStatus == "2 workers serve, 1 is missing")
        driver.ready(2)
        #expect(driver.pool.serviceStatus == "3 workers serve")
        driver.perform(.scale(.to(1)))
        #expect(driver.pool.serviceStatus == "1 worker serves")
    }

    @Test func `A stop counts down`() {
        var driver = PoolDriver.ready(workers: 2)
        driver.handle(.stop(.graceful))
        #expect(driver.pool.serviceStatus == "stopping: workers finish what is in flight; 2 workers are left")
        driver.exit(0, .success)
        #expect(driver.pool.serviceStatus == "stopping: workers finish what is in flight; 1 worker is left")
        driver.exit(1, .success)
        #expect(driver.pool.serviceStatus == "stopped")
    }
}
