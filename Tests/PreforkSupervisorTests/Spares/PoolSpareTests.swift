// When spares are forked, which slots get them, and when they go: the decisions, without a process.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct PoolSpareTests {
    /// A pool of ready workers with a spare that waits.
    private func driver(
        workers: Int = 2, spares: Int = 1, _ change: (inout Pool.Settings) -> Void = { _ in }
    ) -> PoolDriver {
        var driver = PoolDriver.ready(workers: workers) {
            $0.spares = spares
            change(&$0)
        }
        for number in 1...spares {
            driver.pass(Spares.quietTime)
            driver.handle(.spare(.parked(UInt64(number))))
        }
        return driver
    }

    private func reports(_ actions: [PoolAction]) -> [SpareReport] {
        actions.compactMap { if case .report(.spare(let report)) = $0 { report } else { nil } }
    }

    // Forking

    @Test func aSpareIsForkedWhenTheWorkersHaveBeenReadyForAWhile() {
        var driver = PoolDriver(workers: 2) { $0.spares = 1 }
        driver.handle(.tick)
        driver.ready(0)
        driver.pass(.seconds(5))
        #expect(driver.spares.isEmpty)
        driver.ready(1)
        #expect(driver.spares.isEmpty)
        #expect(driver.pool.nextDeadline == driver.now + Spares.quietTime)
        driver.pass(Spares.quietTime - .nanoseconds(1))
        #expect(driver.spares.isEmpty)
        driver.pass(.nanoseconds(1))
        #expect(driver.spares.count == 1)
        // Not before it has said so.
        #expect(driver.pool.spares.parked.isEmpty)
        driver.handle(.spare(.parked(1)))
        #expect(driver.pool.spares.parked.count == 1)
        driver.pass(.seconds(60))
        #expect(driver.spares.count == 1)
    }

    @Test func aPoolWithoutSparesNeverForksOne() {
        var driver = PoolDriver.ready(workers: 2)
        driver.pass(.seconds(60))
        #expect(driver.spares.isEmpty)
        #expect(driver.pool.nextDeadline == nil)
    }

    @Test func severalSparesAreForkedOneAfterTheOther() {
        let driver = driver(spares: 3)
        #expect(driver.pool.spares.parked.map(\.number) == [1, 2, 3])
    }

    @Test func aSpareThatDoesNotSayThatItWaitsIsKilled() {
        var driver = PoolDriver.ready(workers: 1) {
            $0.spares = 1
            $0.bootTimeout = .seconds(7)
        }
        driver.pass(Spares.quietTime)
        driver.pass(.seconds(7))
        #expect(driver.sparesKilled == [1])
        // Its word comes too late.
        driver.handle(.spare(.parked(1)))
        #expect(driver.pool.spares.parked.isEmpty)
    }

    @Test func aRefusedForkIsTriedAgainLater() {
        var driver = PoolDriver.ready(workers: 1) { $0.spares = 1 }
        driver.refusesForks = true
        let actions = driver.pass(Spares.quietTime)
        #expect(reports(actions) == [.notStarted(reason: "fork: EAGAIN", retryIn: Spares.longPause)])
        driver.refusesForks = false
        driver.pass(Spares.longPause - .milliseconds(1))
        #expect(driver.spares.isEmpty)
        driver.pass(.milliseconds(1))
        #expect(driver.spares.count == 1)
    }

    // Getting a slot

    @Test func aCrashedWorkersSlotGetsTheSpare() throws {
        var driver = driver()
        let pid = try #require(driver.spares[1])
        driver.exit(0, .killed)
        #expect(driver.pool.slots[0].worker?.pid == pid)
        #expect(driver.pool.slots[0].state.kind == .booting)
        #expect(driver.spares.isEmpty)
        // The next one waits for the worker.
        driver.pass(.seconds(1))
        #expect(driver.spares.isEmpty)
        driver.ready(0)
        driver.pass(Spares.quietTime)
        #expect(Array(driver.spares.keys) == [2])
    }

    @Test func theSecondOfTwoCrashesAtOnceIsForked() {
        var driver = driver()
        let pid = driver.spares[1]
        driver.exit(0, .killed)
        driver.exit(1, .killed)
        #expect(driver.pool.slots[0].worker?.pid == pid)
        #expect(driver.pool.slots[1].worker != nil)
        #expect(driver.pool.slots[1].worker?.pid != pid)
    }

    @Test func anOperatorsRestartAndARecycledWorkerGetTheSpare() {
        var asked = driver()
        let pid = asked.spares[1]
        asked.perform(.restart(slot: 1))
        #expect(asked.pool.slots[1].replacement?.worker?.pid == pid)

        var recycled = driver { $0.recycling.lifetime = .seconds(10) }
        recycled.pass(.seconds(10))
        let replacements = recycled.pool.slots.compactMap { $0.replacement?.worker?.pid }
        #expect(replacements.count == 1)
        #expect(recycled.spares.isEmpty)
    }

    @Test func aLargerPoolGetsTheSpare() {
        var driver = driver()
        let pid = driver.spares[1]
        driver.perform(.scale(.by(1)))
        #expect(driver.pool.slots[2].worker?.pid == pid)
    }

    @Test func aSpareThatBootsGetsNoSlot() {
        var driver = PoolDriver.ready(workers: 1) { $0.spares = 1 }
        driver.pass(Spares.quietTime)
        driver.exit(0, .killed)
        #expect(driver.pool.slots[0].worker != nil)
        #expect(driver.spares.count == 1)
    }

    @Test func aSpareThatCannotBeToldIsLetGoAndTheNextOneIsTried() {
        var driver = driver(spares: 2)
        let second = driver.spares[2]
        driver.unfitSpares = [1]
        driver.exit(0, .killed)
        #expect(driver.pool.slots[0].worker?.pid == second)
        #expect(driver.sparesSentAway == [1])
    }

    @Test func withoutAFitSpareTheWorkerIsForked() {
        var driver = driver()
        driver.unfitSpares = [1]
        driver.exit(0, .killed)
        #expect(driver.pool.slots[0].worker != nil)
        #expect(driver.pool.slots[0].worker?.pid != driver.spares[1])
    }

    // Going

    @Test func aReloadLetsSparesGoAndForksItsWorkers() {
        var driver = driver()
        let pid = driver.spares[1]
        driver.perform(.reload)
        #expect(driver.sparesSentAway == [1])
        #expect(driver.pool.slots.flatMap(\.workers).allSatisfy { $0.pid != pid })
        // Not during its rush.
        driver.spareExits(1)
        driver.pass(.seconds(1))
        #expect(driver.spares.isEmpty)
        driver.settle()
        #expect(driver.pool.reload == nil)
        driver.pass(Spares.quietTime)
        #expect(driver.pool.spares.list.map(\.generation) == [2])
    }

    @Test func aRefusedForkOfAWorkerLetsSparesGo() {
        var driver = driver()
        driver.unfitSpares = [1]
        driver.refusesNextFork = true
        driver.exit(0, .killed)
        #expect(driver.sparesSentAway == [1])
        driver.spareExits(1)
        driver.settle()
        #expect(driver.spares.isEmpty)
    }

    @Test func aProgramThatChangesWhatIsInheritedHasSparesGo() {
        var driver = driver()
        #expect(driver.carryOut(driver.pool.letSparesGo(at: driver.now)) == [.letSpareGo(1)])
        driver.exit(0, .killed)
        #expect(driver.pool.slots[0].worker?.pid != driver.spares[1])
    }

    @Test func anotherImageFindsNoSpare() {
        var driver = driver()
        #expect(driver.carryOut(driver.pool.holdSpares(true, at: driver.now)) == [.letSpareGo(1)])
        driver.spareExits(1)
        driver.pass(.seconds(60))
        #expect(driver.spares.isEmpty)
        // It has not come.
        _ = driver.carryOut(driver.pool.holdSpares(false, at: driver.now))
        driver.pass(Spares.quietTime)
        #expect(driver.spares.count == 1)
    }

    @Test(arguments: [StopRequestKind.graceful, .quick]) func aStoppedPoolEndsAfterItsSpares(kind: StopRequestKind) {
        var driver = driver()
        driver.handle(.stop(kind))
        #expect(driver.sparesSentAway == [1])
        driver.exit(0, .success)
        driver.exit(1, .success)
        #expect(driver.pool.phase != .finished)
        #expect(driver.spareExits(1) == [.finish(.stopped)])
    }

    @Test func aPoolWhoseWorkersAreDoneEndsAfterItsSpares() {
        var driver = driver()
        driver.exit(0, .success)
        driver.exit(1, .success)
        #expect(driver.sparesSentAway == [1])
        #expect(driver.spareExits(1) == [.finish(.ended)])
    }

    @Test func aSpareThatDoesNotGoIsKilled() {
        var driver = driver()
        driver.handle(.stop(.graceful))
        driver.pass(Spares.leavingTime)
        #expect(driver.sparesKilled == [1])
        #expect(reports(driver.spareExits(1, .signaled(.kill, coreDumped: false))).isEmpty)
    }

    @Test func aDelayedStopKeepsTheSpareForACrash() {
        var driver = driver { $0.stopDelay = .seconds(60) }
        let pid = driver.spares[1]
        driver.handle(.stop(.graceful))
        driver.exit(0, .killed)
        #expect(driver.pool.slots[0].worker?.pid == pid)
        driver.ready(0)
        driver.pass(.seconds(1))
        #expect(driver.spares.isEmpty)
    }

    // Dying

    @Test func aSparesDeathCountsForNoLimit() {
        var driver = driver { $0.restarts.limit = 0 }
        let actions = driver.spareExits(1, .signaled(.kill, coreDumped: false))
        #expect(reports(actions).count == 1)
        #expect(driver.pool.phase == .running)
        #expect(driver.pool.restarts == 0)
        driver.pass(.seconds(1))
        #expect(Array(driver.spares.keys) == [2])
    }

    @Test func sparesThatDieAtOnceAreTurnedOffUntilTheNextReload() {
        var driver = PoolDriver.ready(workers: 1) { $0.spares = 1 }
        driver.pass(Spares.quietTime)
        var said: [SpareReport] = []
        for number in 1...Spares.mostShortLives {
            #expect(Array(driver.spares.keys) == [UInt64(number)])
            said += reports(driver.spareExits(UInt64(number), .exited(code: 9)))
            driver.pass(Spares.longPause)
        }
        #expect(said.last == .turnedOff(inARow: Spares.mostShortLives))
        #expect(driver.spares.isEmpty)
        driver.pass(.seconds(3_600))
        #expect(driver.spares.isEmpty)
        driver.perform(.reload)
        driver.settle()
        driver.pass(Spares.longPause)
        driver.pass(Spares.quietTime)
        #expect(driver.spares.count == 1)
    }

    @Test func sparesThatHaveLivedForAWhileAreNotTurnedOff() {
        var driver = driver()
        for _ in 0..<3 * Spares.mostShortLives {
            driver.pass(Spares.shortLife)
            for number in driver.spares.keys { driver.spareExits(number, .signaled(.kill, coreDumped: false)) }
            driver.pass(.seconds(1))
            #expect(driver.spares.count == 1)
        }
    }

    // Orders

    @Test func anOrderIsWhatWasWritten() {
        let order = SpareOrder(taskID: 7, generation: 3, spawn: 1 << 40)
        #expect(SpareOrder(order.words) == order)
        #expect(order.words.count * 8 == SpareOrder.byteCount)
    }

    @Test(arguments: [[], [1, 2], [10_000, 1, 1], [.max, 1, 1], [0, .max, 1], [0, 1, 1, 1]] as [[UInt64]])
    func wordsThatNoSupervisorWritesAreNoOrder(words: [UInt64]) {
        #expect(SpareOrder(words) == nil)
    }

    @Test func aPipeBringsTheOrderOrTheEnd() throws {
        let lifeline = try makePipe()
        defer { closeDescriptors([lifeline.reading, lifeline.writing]) }
        let order = SpareOrder(taskID: 1, generation: 1, spawn: 9)
        let told = try SparePipe()
        #expect(SparePipe.send(order, to: told.writing))
        #expect(SparePipe.wait(at: told.reading, lifeline: lifeline.reading) == order)
        closeDescriptor(told.writing)
        #expect(SparePipe.wait(at: told.reading, lifeline: lifeline.reading) == nil)
        closeDescriptor(told.reading)
        let gone = try SparePipe()
        closeDescriptor(gone.reading)
        ignoreBrokenPipes()
        #expect(!SparePipe.send(order, to: gone.writing))
        closeDescriptor(gone.writing)
    }

    // The setting

    @Test(arguments: [("auto", .automatic), ("0", .none), ("7", 7)] as [(String, SpareCount)])
    func theSettingHasTheseValues(text: String, count: SpareCount) throws {
        #expect(SettingFormat<SpareCount>.spares.parse(text) == count)
        #expect(SettingFormat<SpareCount>.spares.show(count) == text)
    }

    @Test(arguments: ["", "-1", "101", "many", "1.5"]) func theSettingHasNoOtherValue(text: String) {
        #expect(SettingFormat<SpareCount>.spares.parse(text) == nil)
    }

    @Test func aProgramThatPreparesEachForkHasNoSpareUnlessItAsksForOne() {
        #expect(SpareCount.automatic.resolve(preparesForks: false) == 1)
        #expect(SpareCount.automatic.resolve(preparesForks: true) == 0)
        #expect(SpareCount.count(2).resolve(preparesForks: true) == 2)
    }
}
