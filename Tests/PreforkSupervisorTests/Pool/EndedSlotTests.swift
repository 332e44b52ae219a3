// A worker that ends with exit code 0 leaves its slot empty, until an operator orders a new one.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct EndedSlotTests {
    private static let widths: [ReloadPolicy.Width] = [.automatic, .surge(3), .unavailable(1)]

    /// Three workers, of which worker 1 has ended with exit code 0.
    private func driver(_ change: (inout Pool.Settings) -> Void = { _ in }) -> PoolDriver {
        var driver = PoolDriver.ready(workers: 3, change)
        driver.exit(1, .success)
        return driver
    }

    @Test func `No event fills an ended slot, only an operator's order`() {
        var driver = driver { $0.recycling = RecyclingPolicy(lifetime: .seconds(100)) }
        for _ in 0..<100 { driver.pass(.seconds(1)) }
        driver.settle()
        driver.exit(0, .killed)
        driver.perform(.drain(slot: 2))
        driver.settle()
        #expect(driver.pool.slots[1].state == .ended)
        #expect(driver.living.values.allSatisfy { $0 != 1 })
    }

    @Test(arguments: widths) func `A reload fills an ended slot`(_ width: ReloadPolicy.Width) {
        var driver = driver { $0.reload.width = width }
        driver.perform(.reload)
        #expect(driver.pool.reload?.total == 3)
        #expect(finishedReloads(driver.settle()) == [2])
        #expect(driver.generations() == [2, 2, 2])
        #expect(driver.complaints.isEmpty)
    }

    @Test(arguments: widths) func `A reload ends also when the new worker of an ended slot is done`(
        _ width: ReloadPolicy.Width
    ) {
        var driver = driver { $0.reload.width = width }
        driver.perform(.reload)
        var actions: [PoolAction] = []
        for _ in 0..<100 where driver.pool.reload != nil {
            if case .booting = driver.pool.slots[1].state { actions += driver.exit(1, .success) }
            actions += driver.settle(rounds: 1)
        }
        #expect(finishedReloads(actions) == [2])
        #expect(driver.generations() == [2, 0, 2])
        #expect(driver.pool.slots[1].state == .ended)
    }

    @Test func `A reload is aborted when the new worker of an ended slot crashes`() {
        var driver = driver()
        driver.perform(.reload)
        driver.replacementReady(0)
        #expect(aborts(driver.exit(1, .failure)).count == 1)
        #expect(driver.pool.reload == nil && driver.complaints.isEmpty)
    }

    /// The order came first, so that an end with exit code 0 at that moment cannot keep the slot from being filled.
    @Test(arguments: [ControlCommand.reload, .restart(slot: 0)])
    func `A worker that is done while it is replaced has its successor`(_ command: ControlCommand) {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(command)
        let next = driver.pool.slots[0].replacement!.worker!
        driver.exit(0, .success)
        #expect(driver.pool.slots[0].worker == next)
        driver.settle()
        #expect(driver.areAllReady && driver.living.count == 2)
        #expect(driver.pool.reload == nil && driver.complaints.isEmpty)
    }

    @Test func `A worker that is done before its replacement is forked has its successor`() {
        var driver = PoolDriver.ready(workers: 1)
        driver.now = driver.now + .seconds(1)
        // The fork is asked for, and not made yet.
        _ = driver.pool.perform(.restart(slot: 0), at: driver.now)
        driver.exit(0, .success)
        driver.settle()
        #expect(driver.areAllReady && driver.living.count == 1 && driver.complaints.isEmpty)
    }

    @Test func `A worker that is done while it is recycled leaves its slot empty`() {
        var driver = PoolDriver.ready(workers: 2) { $0.recycling = RecyclingPolicy(lifetime: .seconds(10)) }
        while !driver.pool.slots.contains(where: { $0.replacement?.worker != nil }) { driver.pass(.seconds(1)) }
        let index = driver.pool.slots.firstIndex { $0.replacement != nil }!
        driver.exit(index, .success)
        #expect(driver.pool.slots[index].state == .ended)
        #expect(driver.pool.slots[index].replacement == nil && driver.complaints.isEmpty)
    }

    @Test func `A restart by an operator fills an ended slot, once`() {
        var driver = driver()
        let (outcome, actions) = driver.perform(.restart(slot: 1))
        #expect(outcome == .done("worker 1 had ended and is started again"))
        #expect(forks(actions) == 1)
        #expect(driver.perform(.restart(slot: 1)).outcome == .failed("worker 1 is not ready"))
        driver.ready(1)
        #expect(driver.areAllReady && driver.living.count == 3 && driver.complaints.isEmpty)
    }

    @Test func `A pool whose workers have all ended is over, and takes no order`() {
        var driver = driver()
        driver.exit(0, .success)
        #expect(driver.exit(2, .success).contains(.finish(.ended)))
        for command in [ControlCommand.reload, .restart(slot: 1)] {
            #expect(driver.perform(command).outcome == .failed("the pool is stopping"))
        }
        #expect(driver.living.isEmpty)
    }

    @Test func `A stop leaves an ended slot empty`() {
        var driver = driver()
        driver.handle(.stop(.graceful))
        #expect(driver.perform(.restart(slot: 1)).outcome == .failed("the pool is stopping"))
        #expect(driver.living.count == 2)
    }

    @Test func `An order for an ended slot is waited for until the new worker serves`() {
        var driver = driver()
        let actions = driver.perform(.restart(slot: 1)).actions
        let wait = CommandWait(.restart(slot: 1), in: driver.pool)
        #expect(wait == .start(slot: 1))
        func told(_ actions: [PoolAction]) -> [ControlOutcome] {
            reports(actions).compactMap { wait?.outcome(of: $0, in: driver.pool) }
        }
        #expect(told(actions) == [])
        #expect(told(driver.exit(0, .failure)) == [])
        let pid = driver.pool.slots[1].worker!.pid
        var other = driver
        #expect(told(driver.ready(1)) == [.done("worker 1: pid \(pid) serves")])
        #expect(told(other.exit(1, .failure)) == [.failed("worker 1 (pid \(pid)) exited with code 3 before it was ready")])
        #expect(told(other.handle(.stop(.quick))).contains(.failed("the pool is stopping")))
    }
}
