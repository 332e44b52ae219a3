// Orders that are waited for, against a driven pool.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct CommandWaitTests {
    /// A pool, who waits for one order on it, and what they were told.
    private final class Waiting {
        var driver: PoolDriver
        let wait: CommandWait?
        var waits = CommandWaits()
        var told: [ControlOutcome] = []

        init(_ driver: PoolDriver, _ command: ControlCommand) {
            var driver = driver
            let actions = driver.perform(command).actions
            self.driver = driver
            wait = CommandWait(command, in: driver.pool)
            if let wait { waits.add(wait) { [unowned self] in told.append($0) } }
            tell(actions)
        }

        func tell(_ actions: [PoolAction]) {
            for report in reports(actions) {
                for (body, outcome) in waits.end(report, in: driver.pool) { body(outcome) }
            }
        }

        func step(_ body: (inout PoolDriver) -> [PoolAction]) { tell(body(&driver)) }
    }

    @Test func aDrainIsOverWhenThatWorkerHasEnded() {
        let waiting = Waiting(.ready(workers: 2), .drain(slot: 1))
        let pid = waiting.driver.pool.slots[1].leaving[0].worker.pid
        #expect(waiting.wait == .end(slot: 1, pid: pid))
        waiting.step { $0.ready(1) }
        waiting.step { $0.exit(0, .failure) }
        #expect(waiting.told == [])
        waiting.step { $0.leaversEnd() }
        #expect(waiting.told == [.done("worker 1 (pid \(pid)) \(ProcessExit.success.status)")])
        waiting.step { $0.settle() }
        #expect(waiting.told.count == 1)
    }

    @Test func aDrainThatTakesTooLongHasFailed() {
        let waiting = Waiting(.ready(workers: 1), .drain(slot: 0))
        let leaver = waiting.driver.pool.slots[0].leaving[0].worker
        waiting.step { $0.pass($0.pool.settings.drainTimeout) }
        waiting.step { $0.handle(.exited(slot: 0, spawn: leaver.spawn, .killed)) }
        #expect(waiting.told == [.failed("worker 0 (pid \(leaver.pid)) \(ProcessExit.killed.status): drainTimeout")])
    }

    @Test func aDrainIsOverAlsoWhenItsPlaceHasGone() {
        let waiting = Waiting(.ready(workers: 2), .drain(slot: 1))
        waiting.step { $0.perform(.scale(.to(1))).actions }
        #expect(waiting.told == [])
        waiting.step { $0.leaversEnd() }
        #expect(waiting.told.count == 1)
    }

    @Test func aLargerPoolIsWaitedForUntilAllServe() {
        let waiting = Waiting(.ready(workers: 1), .scale(.by(2)))
        waiting.step { $0.ready(2) }
        waiting.step { $0.exit(1, .failure) }
        #expect(waiting.told == [])
        waiting.step { $0.settle() }
        waiting.step { $0.pass(.seconds(60)) }
        waiting.step { $0.settle() }
        #expect(waiting.told == [.done("3 workers serve")])
    }

    @Test func aSmallerPoolIsWaitedForUntilTheOthersHaveEnded() {
        let waiting = Waiting(.ready(workers: 4), .scale(.to(2)))
        let leavers = (2...3).map { ($0, waiting.driver.pool.slots[$0].leaving[0].worker.spawn) }
        // The lower place lies below one that is not empty yet.
        waiting.step { $0.handle(.exited(slot: leavers[0].0, spawn: leavers[0].1, .success)) }
        #expect(waiting.told == [])
        waiting.step { $0.handle(.exited(slot: leavers[1].0, spawn: leavers[1].1, .success)) }
        #expect(waiting.told == [.done("2 workers serve")])
    }

    @Test func asManyAsThereAreIsNothingToWaitFor() {
        let waiting = Waiting(.ready(workers: 2), .scale(.to(2)))
        #expect(waiting.wait?.isOver(in: waiting.driver.pool) == .done("2 workers serve"))
    }

    @Test(arguments: [ControlCommand.scale(.to(1)), .scale(.to(5)), .drain(slot: 0)])
    func aStopIsTheEndOfAllWaiting(_ command: ControlCommand) {
        let waiting = Waiting(.ready(workers: 3), command)
        waiting.step { $0.handle(.stop(.graceful)) }
        #expect(waiting.told == [.failed("the pool is stopping")])
    }

    @Test func anotherScalingIsTheEndOfTheFirst() {
        let waiting = Waiting(.ready(workers: 2), .scale(.to(5)))
        waiting.step { $0.perform(.scale(.to(3))).actions }
        #expect(waiting.told == [.failed("the pool is now scaling to 3 workers")])
    }

    /// Another client's scaling in the same turn: the pool's present state counts, not the reports in between.
    @Test func theLastOfTwoScalingsAtOnceIsTheOneThatCounts() {
        var driver = PoolDriver.ready(workers: 4)
        var waits = CommandWaits()
        var told: [Int: ControlOutcome] = [:]
        var actions: [PoolAction] = []
        for count in [3, 5] {
            actions += driver.pool.perform(.scale(.to(count)), at: driver.now).1
            waits.add(CommandWait(.scale(.to(count)), in: driver.pool)!) { told[count] = $0 }
        }
        for report in reports(driver.carryOut(actions)) {
            for (body, outcome) in waits.end(report, in: driver.pool) { body(outcome) }
        }
        #expect(told == [3: .failed("the pool is now scaling to 5 workers")])
        driver.leaversEnd()
        for slot in 3...4 {
            for report in reports(driver.ready(slot)) {
                for (body, outcome) in waits.end(report, in: driver.pool) { body(outcome) }
            }
        }
        #expect(told[5] == .done("5 workers serve"))
    }

    @Test func aPlaceThatIsEmptyForGoodIsNotWaitedFor() {
        var driver = PoolDriver.ready(workers: 4)
        driver.exit(2, .success)
        let waiting = Waiting(driver, .scale(.by(1)))
        waiting.step { $0.ready(4) }
        #expect(waiting.told == [.done("4 workers serve")])
    }

    @Test func reloadsAndReplacementsHaveTheirEnds() {
        let reload = Waiting(.ready(workers: 2), .reload)
        reload.step { $0.settle() }
        let replacement = Waiting(.ready(workers: 2), .restart(slot: 1))
        replacement.step { $0.replacementReady(1) }
        let dropped = Waiting(.ready(workers: 2), .restart(slot: 1))
        dropped.step { $0.exit(1, .failure) }
        for waiting in [reload, replacement, dropped] { #expect(waiting.told.count == 1) }
        #expect(reload.told == [.done("generation 2 serves, after 0 µs")])
        for command in [ControlCommand.kill(slot: 9), .drain(slot: 9)] {
            #expect(Waiting(.ready(workers: 1), command).wait == nil)
        }
    }

    @Test func aKillIsOverWhenItsWorkerHasEnded() {
        let kill = Waiting(.ready(workers: 2), .kill(slot: 1))
        #expect(kill.wait == .death(slot: 1, pid: 102))
        kill.step { $0.exit(0, .failure) }
        #expect(kill.told.isEmpty)
        kill.step { $0.exit(1, ProcessExit(status: .signaled(.kill, coreDumped: false), usage: ResourceUsage())) }
        #expect(kill.told == [.done("worker 1 (pid 102) killed by SIGKILL")])
    }
}
