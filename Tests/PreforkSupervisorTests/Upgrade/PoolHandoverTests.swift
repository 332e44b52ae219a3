// What a pool leaves to the next image, and what that makes of it.

import Testing

@testable import PreforkSupervisor
@testable import PreforkSystem

@Suite(.timeLimit(.minutes(2))) struct PoolHandoverTests {
    private func inheritance(_ driver: PoolDriver) -> InheritedPool {
        let spawns = driver.pool.slots.flatMap(\.workers).map(\.spawn).sorted()
        let lines = Dictionary(uniqueKeysWithValues: spawns.enumerated().map { ($1, $0) })
        return InheritedPool(
            generation: driver.pool.generation, spawns: driver.pool.lastSpawn, restarts: driver.pool.restarts,
            supervisorStarted: MonotonicInstant.poolStart.nanoseconds, signalMask: [2, 15],
            slots: driver.pool.target, ended: driver.pool.endedSlots,
            workers: driver.pool.inheritance(lines: lines))
    }

    /// The next image, with the processes of the one before.
    private func next(
        _ driver: PoolDriver, workers: Int, scaledTo: Int? = nil, _ change: (inout Pool.Settings) -> Void = { _ in }
    ) throws -> (PoolDriver, [PoolAction]) {
        let text = inheritance(driver).text
        let inherited = try #require(InheritedPool(text: text))
        #expect(inherited == inheritance(driver))
        var next = PoolDriver(workers: workers, change)
        next.living = driver.living
        next.now = driver.now
        let actions = next.inherit(inherited, scaledTo: scaledTo)
        return (next, actions)
    }

    @Test func workersServeOnAndAReloadReplacesThem() throws {
        let old = PoolDriver.ready(workers: 3)
        var (driver, actions) = try next(old, workers: 3)
        #expect(actions.isEmpty && driver.complaints.isEmpty)
        #expect(driver.areAllReady)
        actions = driver.perform(.reload).actions
        #expect(forks(actions) == 1 && signals(actions).isEmpty)
        driver.settle()
        #expect(driver.generations() == [2, 2, 2] && driver.living.count == 3 && driver.complaints.isEmpty)
    }

    @Test func numbersAreNotGivenTwice() throws {
        let old = PoolDriver.ready(workers: 3)
        var (driver, _) = try next(old, workers: 3)
        driver.perform(.reload)
        #expect(driver.pool.slots[0].replacement!.worker!.spawn == 4)
    }

    @Test func whoLeavesIsKilledWhenItIsLate() throws {
        var old = PoolDriver.ready(workers: 2)
        let leaving = old.pool.slots[0].worker!.spawn
        old.perform(.drain(slot: 0))
        old.ready(0)
        var (driver, _) = try next(old, workers: 2)
        driver.pass(.seconds(30))
        #expect(driver.received[leaving]?.last == .kill)
    }

    @Test func whoStillBootsIsAskedToEndAndNotKilledWithRequestsInHand() throws {
        var old = PoolDriver.ready(workers: 2)
        old.exit(0, .failure)
        let booting = old.pool.slots[0].worker!.spawn
        let (driver, _) = try next(old, workers: 2)
        #expect(driver.received[booting] == [.terminate])
    }

    @Test func aReplacementThatStillBootsIsAskedToEnd() throws {
        var old = PoolDriver.ready(workers: 2)
        old.perform(.restart(slot: 1))
        let beside = old.pool.slots[1].replacement!.worker!.spawn
        let (driver, _) = try next(old, workers: 2)
        #expect(driver.received[beside] == [.terminate])
        #expect(driver.pool.slots[1].isReady)
    }

    @Test func aProgramWithMoreWorkersGetsThemByItsReload() throws {
        let old = PoolDriver.ready(workers: 2)
        var (driver, actions) = try next(old, workers: 5)
        #expect(actions.isEmpty)
        actions = driver.perform(.reload).actions
        #expect(forks(actions) == 4, "three places without a worker, and one beside an old one")
        driver.settle()
        #expect(driver.generations() == [2, 2, 2, 2, 2] && driver.living.count == 5 && driver.complaints.isEmpty)
        #expect(driver.pool.lastSpawn == 7, "each is forked once")
    }

    @Test func aProgramWithFewerWorkersLosesTheOthersWhenItsOwnServe() throws {
        let old = PoolDriver.ready(workers: 4)
        var (driver, _) = try next(old, workers: 2) { $0.reload.probation = .seconds(5) }
        #expect(driver.pool.target == 4)
        driver.perform(.reload)
        driver.replacementReady(0)
        #expect(driver.pool.target == 4, "the old ones are still needed if this fails")
        driver.settle()
        #expect(driver.pool.target == 2 && driver.generations() == [2, 2] && driver.living.count == 2)
        #expect(driver.complaints.isEmpty)
    }

    @Test func aFailedUpgradeToFewerWorkersTakesNone() throws {
        let old = PoolDriver.ready(workers: 4)
        var (driver, _) = try next(old, workers: 2)
        driver.perform(.reload)
        driver.handle(.exited(slot: 0, spawn: driver.pool.slots[0].replacement!.worker!.spawn, .failure))
        driver.settle()
        #expect(driver.pool.target == 4 && driver.pool.lastReload?.abortReason != nil)
    }

    @Test func whatAnOperatorHasSetHoldsInTheNextImage() throws {
        var old = PoolDriver.ready(workers: 2)
        old.perform(.scale(.to(3)))
        old.settle()
        #expect(old.pool.scaledTo == 3)
        var (driver, _) = try next(old, workers: 5, scaledTo: old.pool.scaledTo)
        driver.perform(.reload)
        driver.settle()
        #expect(driver.pool.target == 3 && driver.pool.scaledTo == 3 && driver.pool.configured == 5)
        driver.perform(.scale(.to(5)))
        #expect(driver.pool.scaledTo == nil, "as many as the program says is the program's word again")
    }

    @Test func aPoolThatScalesItselfStaysAsLargeAsItsBoundsAllow() throws {
        let old = PoolDriver.ready(workers: 4)
        for (bounds, size) in [(1...8, 4), (1...3, 3), (6...8, 6)] {
            var (driver, _) = try next(old, workers: 2) { $0.scaling = ScalingPolicy(workers: bounds) }
            driver.perform(.reload)
            driver.settle()
            #expect(driver.pool.target == size && driver.pool.scaledTo == nil)
        }
    }

    /// It was forked, and then, when its turn came in the reload, once more.
    @Test func `A worker that waits to be started is started once by a reload`() throws {
        var driver = PoolDriver.ready(workers: 3)
        driver.refusesNextFork = true
        driver.exit(2, .failure)
        driver.perform(.reload)
        driver.pass(.seconds(2))
        driver.settle()
        #expect(driver.generations() == [2, 2, 2] && driver.pool.lastSpawn == 7, "\(driver.pool.lastSpawn)")
    }

    @Test func placesWithoutAWorkerAreFilled() throws {
        var old = PoolDriver.ready(workers: 3)
        old.exit(1, .failure)
        var (driver, _) = try next(old, workers: 3)
        driver.handle(.tick)
        driver.leaversEnd()
        driver.settle()
        #expect(driver.areAllReady && driver.complaints.isEmpty && driver.pool.slots.count == 3)
    }

    /// The next image fills it at once, with its own program: there is nothing to replace when the reload comes to it.
    @Test func `A slot that waits for its worker gets one, once, after an upgrade`() throws {
        var old = PoolDriver.ready(workers: 3)
        old.becomesLate(1)
        var (driver, actions) = try next(old, workers: 3)
        actions += driver.perform(.reload).actions
        #expect(driver.pool.slots[1].worker?.generation == 2)
        actions += driver.settle()
        #expect(forks(actions) == 3 && driver.generations() == [2, 2, 2])
        #expect(finishedReloads(actions) == [2] && driver.complaints.isEmpty)
    }

    /// The reload that follows an upgrade is an operator's order: it fills the slot. Without one, as after the way
    /// back, the slot stays empty.
    @Test(arguments: [true, false]) func `The next image knows which workers were done`(reloads: Bool) throws {
        var old = PoolDriver.ready(workers: 3)
        old.exit(2, .success)
        var (driver, _) = try next(old, workers: 3)
        #expect(driver.pool.slots[2].state == .ended)
        if reloads { driver.perform(.reload) } else { driver.handle(.tick) }
        driver.settle()
        #expect(driver.pool.slots.count == 3 && driver.generations() == (reloads ? [2, 2, 2] : [1, 1, 0]))
        for slot in driver.pool.slots where slot.isReady { driver.exit(slot.taskID, .success) }
        #expect(driver.pool.phase != .running, "with the last one the pool is over")
    }

    @Test func theListSurvivesItsText() throws {
        var random = SplitMix64(seed: 5)
        for _ in 0..<200 {
            let items = (0..<Int.random(in: 0..<6, using: &random)).map { _ in
                HandoverItem(
                    kind: text(&random), key: text(&random),
                    descriptors: (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                        Int32.random(in: 0...Int32.max, using: &random)
                    },
                    text: text(&random))
            }
            #expect(HandoverManifest.items(of: HandoverManifest.text(of: items)) == items)
        }
    }

    @Test(arguments: [
        "\t\t", "a\tb\tc\td\te", "a\tb\t-1\tc", "a\tb\t99999999999\tc", "a%\tb\t1\tc", "%zz\tb\t1\tc", "a\tb\tx\tc",
    ])
    func whatIsNoListIsRefused(text: String) {
        #expect(HandoverManifest.items(of: text) == nil)
    }

    @Test(arguments: ["", "1", "1 2 3 4 1 0", "1 2 3 4 1 65 0", "1 2 3 4 1 1 0", "1 2 3 4 1 0 0 0",
        "-1 2 3 4 1 0 0", "x 2 3 4 1 0 0", "1 2 3 4 0 0 0", "1 2 3 4 10001 0 0", "1 2 3 4 1 0 1 1",
        "1 2 3 4 1 0 0 10000 5 1 1 0 0 0 1 0 0 0", "1 2 3 4 1 0 0 0 0 1 1 0 0 0 1 0 0 0",
        "1 2 3 4 1 0 99999999999999999999", "1 2 3 4 1 0 0 0 5 1 1 9223372036854775807 0 0 1 0 0 0",
        "9223372036854775807 2 3 4 1 0 0", "1 2 3 4 1 0 0 0 5 1 1 7 0 0 1 0 0 0 0 6 2 1 7 0 0 1 0 0 0"])
    func whatIsNoPoolIsRefused(text: String) {
        #expect(InheritedPool(text: "v8 " + text) == nil)
    }

    @Test func whatTheSupervisorKnowsOfAWorkerTravelsAlong() throws {
        var pool = inheritance(PoolDriver.ready(workers: 3))
        pool.workers[1].hasDoorbell = true
        pool.workers[0].output = .pipe
        pool.workers[2].output = .socket
        pool.workers[1].heartbeatPeriod = .milliseconds(250)
        pool.workers[2].heartbeatPeriod = .nanoseconds(Int64.max)
        #expect(InheritedPool(text: pool.text) == pool)
    }

    @Test func aTextOfAnotherVersionIsRefused() {
        #expect(InheritedPool(text: "v8 1 2 3 4 1 0 0")?.workers == [])
        let versions = ["", "2 ", "v1 ", "v2 ", "v3 ", "v4 ", "v5 ", "v6 ", "v7 ", "v9 "]
        for other in versions.map({ $0 + "1 2 3 4 1 0 0" }) + ["v8"] {
            #expect(InheritedPool(text: other) == nil)
        }
    }

    /// Damaged and made-up lists: refused or taken, never a trap.
    @Test(arguments: 0..<8) func garbageIsNoTrap(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let old = PoolDriver.ready(workers: 3)
        let good = Array(inheritance(old).text.utf8)
        let list = Array(
            HandoverManifest.text(of: [
                HandoverItem(kind: "listener", key: "tcp 1", descriptors: [3, 4], text: "%\t\n")
            ]).utf8)
        let words = [
            "0", "1", "7", "64", "10000", "2147483648", "9223372036854775807", "9223372036854775808", "-1", "x",
        ]
        for _ in 0..<100 {
            var bytes = good
            if Bool.random(using: &random) {
                for _ in 0..<Int.random(in: 1..<4, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 32...58, using: &random)
                }
            } else {
                var parts = String(decoding: good, as: UTF8.self).split(separator: " ").map(String.init)
                parts[Int.random(in: 0..<parts.count, using: &random)] = words.randomElement(using: &random)!
                bytes = Array(parts.joined(separator: " ").utf8)
            }
            if let inherited = InheritedPool(text: String(decoding: bytes, as: UTF8.self)) {
                var driver = PoolDriver(workers: 3)
                _ = driver.inherit(inherited)
                driver.handle(.tick)
                driver.perform(.reload)
                driver.settle(rounds: 5)
                driver.handle(.stop(.quick))
            }
            bytes = list
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            _ = HandoverManifest.items(of: String(decoding: bytes, as: UTF8.self))
        }
    }

    private func text(_ random: inout SplitMix64) -> String {
        let characters: [Character] = ["a", "%", "\t", "\n", " ", "ö", "🦊", ":", ",", "0", "\u{0}", "\r\n"]
        return String(
            (0..<Int.random(in: 0..<9, using: &random)).map { _ in characters.randomElement(using: &random)! })
    }
}

extension PoolDriver {
    /// As `Supervisor.adopt`.
    mutating func inherit(_ inherited: InheritedPool, scaledTo: Int? = nil) -> [PoolAction] {
        carryOut(pool.inherit(inherited, scaledTo: scaledTo, at: now))
    }
}
