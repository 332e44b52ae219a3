// Reloads, and everything that can come between.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct PoolReloadTests {
    @Test func slotBySlotAndEachOldWorkerGoesOnlyWhenTheNewOneIsReady() {
        var driver = PoolDriver.ready(workers: 3)
        let old = driver.pool.slots.map { $0.worker!.spawn }
        let begun = driver.perform(.reload)
        #expect(begun.outcome == .done("reload to generation 2 began"))
        #expect(forks(begun.actions) == 1 && signals(begun.actions).isEmpty)
        #expect(driver.pool.slots[0].worker?.spawn == old[0], "the old one serves on")
        for slot in 0..<3 {
            #expect(driver.pool.slots[slot].replacement != nil)
            let actions = driver.replacementReady(slot)
            #expect(signals(actions) == [Sent(slot: slot, signal: .terminate)])
            #expect(driver.received[old[slot]] == [.terminate])
            #expect(driver.areAllReady, "no place is ever empty")
            #expect(finishedReloads(actions) == (slot == 2 ? [2] : []))
        }
        #expect(driver.generations() == [2, 2, 2])
        driver.leaversEnd()
        #expect(driver.living.count == 3 && driver.pool.nextDeadline == nil)
    }

    @Test(arguments: [
        (ReloadPolicy.Width.automatic, 40, 4), (.surge(7), 40, 7), (.surge(-3), 40, 1), (.automatic, 9, 1),
    ])
    func neverMoreNewWorkersAtATimeThanTheWidth(width: ReloadPolicy.Width, workers: Int, most: Int) {
        var driver = PoolDriver(workers: workers) { $0.reload.width = width }
        driver.settle()
        #expect(driver.areAllReady)
        driver.perform(.reload)
        var largest = 0
        while driver.pool.reload != nil {
            let beside = driver.pool.slots.filter { $0.replacement != nil }
            largest = max(largest, beside.count)
            driver.replacementReady(beside.last!.taskID)
            #expect(driver.areAllReady)
        }
        #expect(largest == most)
    }

    /// Its next worker is forked after the reload has begun.
    @Test(arguments: [false, true]) func `A slot that loses its worker before its turn in a reload gets one new worker`(
        isReady: Bool
    ) {
        var driver = PoolDriver.ready(workers: 3)
        driver.perform(.reload)
        let before = driver.living.count
        driver.exit(2, .failure)
        driver.pass(.zero)
        #expect(driver.living.count == before && driver.generations() == [1, 1, 2])
        if isReady { driver.ready(2) }
        driver.replacementReady(0)
        driver.replacementReady(1)
        #expect(driver.pool.slots[2].replacement == nil)
        if !isReady {
            #expect(driver.pool.reload != nil, "it waits for it")
            driver.ready(2)
        }
        #expect(driver.pool.reload == nil && driver.pool.lastReload?.replaced == 3)
        driver.leaversEnd()
        #expect(driver.generations() == [2, 2, 2] && driver.living.count == 3 && driver.complaints == [])
    }

    @Test func `A slot whose backoff ends in the middle of a reload gets one new worker`() {
        var driver = PoolDriver.ready(workers: 3)
        driver.perform(.reload)
        driver.becomesLate(2)
        guard case .backingOff(let until) = driver.pool.slots[2].state else {
            Issue.record("\(driver.pool.slots[2].state)")
            return
        }
        driver.replacementReady(0)
        let begun = driver.pass(until - driver.now)
        #expect(forks(begun) == 1 && driver.generations()[2] == 2)
        driver.ready(2)
        let actions = driver.replacementReady(1)
        #expect(forks(actions) == 0 && driver.pool.reload == nil)
        driver.leaversEnd()
        #expect(driver.generations() == [2, 2, 2] && driver.complaints == [])
    }

    /// A fork that was asked for and has become needless is not made: its worker would never be asked to end.
    @Test func aRefusedForkTakesThoseAskedForWithItAlong() {
        var driver = PoolDriver.ready(workers: 4) { $0.reload.width = .surge(3) }
        driver.refusesNextFork = true
        let actions = driver.perform(.reload).actions
        #expect(reports(actions).contains { if case .reloadAborted = $0 { true } else { false } })
        #expect(driver.living.count == 4 && driver.areAllReady)
        #expect(driver.pool.slots.allSatisfy { $0.workers.count == 1 })
    }

    @Test func whatAnOperatorTakesBackInTheSameTurnIsNotForked() {
        var driver = PoolDriver.ready(workers: 2)
        var actions: [PoolAction] = []
        for command in [ControlCommand.scale(.to(6)), .restart(slot: 0), .scale(.to(2)), .drain(slot: 0)] {
            actions += driver.pool.perform(command, at: driver.now).1
        }
        _ = driver.carryOut(actions)
        let known = Set(driver.pool.slots.flatMap(\.workers).map(\.spawn))
        #expect(Set(driver.living.keys) == known && driver.pool.slots.count == 2)
        driver.leaversEnd()
        driver.settle()
        #expect(driver.areAllReady && driver.living.count == 2)
    }

    /// A client that waits for a replacement learns of its end, whatever the end is.
    @Test func anAskedReplacementNeverEndsInSilence() {
        let ways: [(inout PoolDriver) -> [PoolAction]] = [
            { $0.exit(0, .failure) }, { $0.exit(0, .success) }, { $0.perform(.drain(slot: 0)).actions },
            { $0.perform(.scale(.to(1))).actions + $0.perform(.scale(.to(1))).actions },
            { $0.handle(.stop(.graceful)) },
            { $0.handle(.stop(.quick)) },
        ]
        for isForked in [true, false] {
            for way in ways.indices {
                let slot = way == 3 ? 1 : 0
                var driver = PoolDriver.ready(workers: 2)
                driver.refusesForks = false
                let (outcome, actions) = driver.pool.perform(.restart(slot: slot), at: driver.now)
                guard case .done = outcome else { Issue.record("not begun"); continue }
                if isForked { _ = driver.carryOut(actions) }
                let ends = reports(ways[way](&driver)).filter {
                    if case .replacementDropped(slot, _) = $0 { true } else { false }
                }
                #expect(ends.count == 1, "way \(way), forked \(isForked)")
            }
        }
    }

    @Test func aReplacementThatDiesAbortsAndWhoWasNotReplacedStays() {
        var driver = PoolDriver.ready(workers: 4)
        driver.perform(.reload)
        driver.replacementReady(0)
        let actions = driver.replacementExits(1)
        #expect(aborts(actions) == [
            "the replacement of worker 1 failed: its process exited with code 3 before it was ready"
        ])
        #expect(driver.generations() == [2, 1, 1, 1])
        #expect(driver.areAllReady)
        #expect(driver.pool.restarts == 0, "nobody who served has died")
        driver.settle()
        #expect(driver.complaints.isEmpty)
    }

    @Test func aReplacementThatIsLateAborts() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.reload)
        let spawn = driver.pool.slots[0].replacement!.worker!.spawn
        #expect(driver.pool.nextDeadline == driver.now + .seconds(60))
        driver.pass(.seconds(60))
        #expect(driver.received[spawn] == [.kill])
        #expect(driver.pool.reload != nil, "it lives until it is reaped")
        #expect(
            aborts(driver.replacementExits(0, .killed)).first?.contains("not ready within the boot timeout") == true)
        #expect(driver.generations() == [1, 1])
        #expect(driver.pool.nextDeadline == nil)
    }

    @Test func aReplacementThatCannotBeForkedAborts() {
        var driver = PoolDriver.ready(workers: 2)
        driver.refusesForks = true
        #expect(aborts(driver.perform(.reload).actions).first?.contains("could not be forked: fork: EAGAIN") == true)
        #expect(driver.generations() == [1, 1] && driver.complaints.isEmpty)
    }

    @Test func readinessAfterTheKillChangesNothing() {
        var driver = PoolDriver.ready(workers: 1)
        driver.perform(.reload)
        driver.pass(.seconds(60))
        driver.replacementReady(0)
        #expect(driver.generations() == [1], "the old one stays: the new one is dying")
    }

    @Test func whenThePresentDiesItsBootingReplacementHasThePlace() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.reload)
        let new = driver.pool.slots[0].replacement!.worker!.spawn
        #expect(forks(driver.exit(0, .killed)) == 0)
        #expect(driver.pool.slots[0].worker?.spawn == new)
        #expect(driver.pool.slots[0].generation == 2)
        driver.ready(0)
        driver.replacementReady(1)
        #expect(driver.pool.reload == nil && driver.generations() == [2, 2])
    }

    @Test func whenBothDieTheReloadIsAborted() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.reload)
        driver.exit(0, .killed)
        #expect(aborts(driver.exit(0, .failure)).count == 1)
        driver.settle()
        #expect(driver.complaints.isEmpty && driver.areAllReady)
    }

    @Test func whenThePresentDiesAfterItsReplacementWasKilledTheReloadStillEnds() {
        var driver = PoolDriver.ready(workers: 1)
        driver.perform(.reload)
        driver.pass(.seconds(60))
        driver.exit(0, .killed)
        #expect(driver.complaints.isEmpty, "\(driver.complaints)")
        driver.settle()
        for spawn in driver.living.keys where driver.received[spawn]?.contains(.kill) == true {
            driver.handle(.exited(slot: 0, spawn: spawn, .killed))
        }
        driver.settle()
        #expect(driver.pool.reload == nil, "a reload that never ends refuses every other one")
        #expect(driver.complaints.isEmpty, "\(driver.complaints)")
    }

    @Test func whenThePresentDiesBeforeItsReplacementIsForkedTheReloadStillEnds() {
        var driver = PoolDriver(workers: 40) { $0.reload.width = .surge(40) }
        driver.settle()
        // 16 forks, then the supervisor checks its signals and exits. 24 replacements are due.
        driver.perform(.reload)
        let due = driver.pool.slots.first { $0.replacement.map { $0.worker == nil } ?? false }!.taskID
        driver.exit(due, .killed)
        driver.settle()
        #expect(driver.pool.reload == nil)
        #expect(driver.generations().allSatisfy { $0 == 2 })
    }

    @Test func aWorkerOfTheOldGenerationThatDiesBeforeItWasReadyDoesNotAbort() {
        var driver = PoolDriver(workers: 2)
        driver.handle(.tick)
        driver.ready(1)
        driver.perform(.kill(slot: 0))
        driver.perform(.reload)
        #expect(aborts(driver.exit(0, .killed)).isEmpty, "the new generation has done nothing wrong")
        driver.settle()
        #expect(driver.pool.reload == nil && driver.generations() == [2, 2])
    }

    @Test func aReloadDuringAReloadFollowsIt() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.reload)
        #expect(driver.perform(.reload).outcome == .done("another reload will follow the current one"))
        driver.perform(.reload)
        #expect(finishedReloads(driver.settle()) == [2, 3], "two more are one more")
        #expect(driver.generations() == [3, 3])
    }

    @Test func aReloadThatWasWantedDuringOneThatAbortsStillHappens() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.reload)
        driver.perform(.reload)
        #expect(aborts(driver.replacementExits(0)).count == 1)
        #expect(finishedReloads(driver.settle()) == [3])
    }

    @Test func aGracefulStopDuringAReloadEndsEverybody() {
        var driver = PoolDriver.ready(workers: 3)
        driver.perform(.reload)
        let stop = driver.handle(.stop(.graceful))
        #expect(aborts(stop) == ["the pool is stopping"])
        #expect(driver.living.keys.allSatisfy { driver.received[$0] == [.terminate] })
        #expect(driver.perform(.reload).outcome == .failed("the pool is stopping"))
        var ends: [PoolAction] = []
        for (spawn, slot) in driver.living { ends += driver.handle(.exited(slot: slot, spawn: spawn, .success)) }
        #expect(endings(ends) == 1 && ends.contains(.finish(.stopped)))
    }

    @Test func quickStopsTwiceDuringAReloadKillEverybody() {
        var driver = PoolDriver.ready(workers: 3)
        driver.perform(.reload)
        driver.replacementReady(0)
        driver.handle(.stop(.quick))
        driver.handle(.stop(.quick))
        #expect(driver.living.count == 5)
        #expect(driver.living.keys.allSatisfy { driver.received[$0]?.last == .kill })
        let sent = driver.received
        driver.handle(.stop(.quick))
        #expect(driver.received == sent, "killed once is enough")
        var ends: [PoolAction] = []
        for (spawn, slot) in driver.living { ends += driver.handle(.exited(slot: slot, spawn: spawn, .killed)) }
        #expect(endings(ends) == 1)
    }

    @Test func aReplacementThatGetsReadyAfterTheStopDoesNotServe() {
        var driver = PoolDriver.ready(workers: 1)
        driver.perform(.reload)
        let new = driver.pool.slots[0].replacement!.worker!.spawn
        driver.handle(.stop(.graceful))
        driver.handle(.ready(slot: 0, spawn: new))
        #expect(driver.pool.slots[0].state.kind == .draining)
        #expect(driver.complaints.isEmpty)
    }

    @Test func givingUpDuringAReloadEndsTheReloadToo() {
        var driver = PoolDriver.ready(workers: 2) { $0.restarts.limit = 0 }
        driver.perform(.reload)
        #expect(aborts(driver.exit(1, .failure)).count == 1, "somebody may wait for its end")
        #expect(driver.pool.reload == nil)
    }


    @Test func aSlotThatBacksOffIsNotHurried() {
        var driver = PoolDriver.ready(workers: 2) { $0.restarts.backoff = Backoff(immediate: 0, base: .seconds(20)) }
        while driver.pool.nextDeadline ?? driver.now <= driver.now + .seconds(1) {
            driver.exit(0, .failure)
            if driver.pool.nextDeadline! <= driver.now + .seconds(1) {
                driver.pass(.seconds(1))
                driver.ready(0)
            }
        }
        #expect(forks(driver.perform(.reload).actions) == 0)
        driver.now = driver.pool.nextDeadline!
        driver.handle(.tick)
        #expect(finishedReloads(driver.settle()) == [2])
        #expect(driver.generations() == [2, 2])
    }

    @Test func oldFirstLeavesAPlaceEmptyUntilTheOldOneHasEnded() {
        var driver = PoolDriver.ready(workers: 3) { $0.reload.width = .unavailable(1) }
        let begun = driver.perform(.reload)
        #expect(signals(begun.actions) == [Sent(slot: 0, signal: .terminate)])
        #expect(forks(begun.actions) == 0 && driver.living.count == 3)
        #expect(driver.pool.nextDeadline == driver.now + .seconds(30), "it does not spin while it waits")
        #expect(forks(driver.leaversEnd()) == 1)
        driver.ready(0)
        #expect(driver.pool.slots[1].waitsForLeaving && driver.living.count == 3)
        #expect(finishedReloads(driver.settle()) == [2])
    }

    @Test func oldFirstKillsTheOldOneThatIsLate() {
        var driver = PoolDriver.ready(workers: 1) { $0.reload.width = .unavailable(1) }
        driver.perform(.reload)
        let old = driver.pool.slots[0].leaving[0].worker.spawn
        driver.pass(.seconds(30))
        #expect(driver.received[old] == [.terminate, .kill])
        #expect(forks(driver.handle(.exited(slot: 0, spawn: old, .killed))) == 1)
        #expect(driver.pool.restarts == 0)
    }

    @Test func oldFirstAbortsWhenTheNewOneFailsAndFillsItsPlace() {
        var driver = PoolDriver.ready(workers: 2) { $0.reload.width = .unavailable(1) }
        driver.perform(.reload)
        driver.leaversEnd()
        #expect(aborts(driver.exit(0, .failure)).count == 1)
        driver.settle()
        #expect(driver.areAllReady)
    }

    @Test func atMostThreeGenerationsLiveAtOnce() {
        var driver = PoolDriver.ready(workers: 2)
        for round in 2...8 {
            driver.perform(.reload)
            // No worker that is asked to end does so, unless it is killed.
            if round > 3 {
                #expect(driver.pool.slots.allSatisfy { $0.replacement == nil }, "it waits for the oldest")
                driver.pass(.seconds(6))
            }
            for slot in driver.pool.slots {
                for worker in slot.leaving where worker.killReason == .oldGeneration {
                    #expect(worker.worker.generation == round - 3)
                    driver.handle(.exited(slot: slot.taskID, spawn: worker.worker.spawn, .killed))
                }
            }
            #expect(driver.pool.reload != nil)
            while let slot = driver.pool.slots.first(where: { $0.replacement != nil }) {
                driver.replacementReady(slot.taskID)
            }
            #expect(driver.pool.reload == nil)
            let generations = Set(driver.pool.slots.flatMap(\.workers).map(\.generation))
            #expect(generations == Set(max(1, round - 2)...round))
        }
    }

    @Test func aReloadThatWaitsForTheOldestGoesOnWhenTheyEndAndHearsAStop() {
        for stops in [false, true] {
            var driver = PoolDriver.ready(workers: 1)
            for _ in 2...3 {
                driver.perform(.reload)
                driver.replacementReady(0)
            }
            #expect(forks(driver.perform(.reload).actions) == 0)
            #expect(driver.received.values.allSatisfy { !$0.contains(.kill) }, "nobody is killed with requests in hand")
            if stops {
                #expect(aborts(driver.handle(.stop(.graceful))) == ["the pool is stopping"])
            } else {
                let oldest = driver.pool.slots[0].leaving.first { $0.worker.generation == 1 }!.worker.spawn
                #expect(forks(driver.handle(.exited(slot: 0, spawn: oldest, .success))) == 1)
                #expect(finishedReloads(driver.settle()) == [4])
            }
        }
    }

    @Test(arguments: [-1, 0, 1]) func anAbsurdNumberOfGenerationsIsNoTrap(generations: Int) {
        var driver = PoolDriver(workers: 2) { $0.reload.generations = generations }
        driver.perform(.reload)
        driver.perform(.reload)
        driver.settle()
        driver.perform(.reload)
        driver.settle()
        #expect(driver.areAllReady && driver.complaints.isEmpty)
    }

    @Test func drainingAWorkerThatIsBeingReplacedKeepsTheReloadGoing() {
        for late in [false, true] {
            var driver = PoolDriver.ready(workers: 2)
            driver.perform(.reload)
            if late { driver.pass(.seconds(60)) }
            driver.perform(.drain(slot: 0))
            #expect(driver.complaints.isEmpty, "\(driver.complaints)")
            for spawn in driver.living.keys where driver.received[spawn]?.contains(.kill) == true {
                driver.handle(.exited(slot: 0, spawn: spawn, .killed))
            }
            driver.settle()
            #expect(driver.pool.reload == nil)
            #expect(driver.pool.slots.allSatisfy { $0.isReady && $0.generation == $0.worker?.generation })
        }
    }

    @Test func aRestartThatWasAskedForDuringAReloadIsRefusedWhileTheReloadHasTheSlot() {
        var driver = PoolDriver.ready(workers: 2)
        driver.perform(.reload)
        #expect(driver.perform(.restart(slot: 0)).outcome == .failed("worker 0 is being replaced already"))
        driver.perform(.restart(slot: 1))
        #expect(finishedReloads(driver.settle()) == [2])
        #expect(driver.generations() == [2, 2])
    }

    @Test func commandsOnSlotsThatAreNotThereAreRefused() {
        var driver = PoolDriver.ready(workers: 2)
        for slot in [-1, 2, Int.min, Int.max] {
            for command in [ControlCommand.restart(slot: slot), .kill(slot: slot), .drain(slot: slot)] {
                #expect(driver.perform(command).outcome == .failed("there is no worker \(slot)"))
            }
        }
    }
}

@Suite struct PoolProbationTests {
    private func reloaded(_ probation: Duration = .seconds(5)) -> (driver: PoolDriver, actions: [PoolAction]) {
        var driver = PoolDriver(workers: 2) { $0.reload.probation = probation }
        _ = driver.readyPool()
        driver.perform(.reload)
        var actions: [PoolAction] = []
        for slot in 0..<2 {
            guard let worker = driver.pool.slots[slot].replacement?.worker else { continue }
            actions += driver.handle(.ready(slot: slot, spawn: worker.spawn))
        }
        return (driver, actions)
    }

    private func hasFinished(_ actions: [PoolAction]) -> Bool {
        actions.contains { if case .report(.reloadFinished) = $0 { true } else { false } }
    }

    private func failure(_ actions: [PoolAction]) -> String? {
        actions.lazy.compactMap {
            if case .report(.reloadAborted(_, 2, 2, let reason)) = $0 { reason } else { nil }
        }.first
    }

    @Test func `A reload is over when its workers have held`() {
        var (driver, actions) = reloaded()
        #expect(!hasFinished(actions))
        #expect(actions.contains { if case .report(.reloadOnProbation(2, _, .seconds(5))) = $0 { true } else { false } })
        #expect(!hasFinished(driver.pass(.milliseconds(4_999))))
        #expect(driver.pool.nextDeadline.map { $0 <= driver.now + .milliseconds(1) } == true)
        #expect(hasFinished(driver.pass(.milliseconds(1))))
        #expect(driver.pool.reload == nil && driver.pool.lastReload?.abortReason == nil)
        // `upgrade --wait` asks for it.
        #expect(driver.pool.lastReload?.status(at: driver.now).state == .done)
    }

    @Test func `Without a probation it is over when the last one is ready`() {
        #expect(hasFinished(reloaded(.zero).actions))
    }

    @Test func `A crash that is not of a request fails it, and old workers do not come back`() {
        var (driver, _) = reloaded()
        let actions = driver.exit(1, .failure)
        #expect(failure(actions)?.contains("worker 1 failed its probation") == true)
        #expect(driver.pool.reload == nil && driver.pool.slots[1].worker?.generation == 2)
    }

    @Test func `So does one that is told before its process has ended`() {
        var (driver, _) = reloaded()
        let sign = CrashSign(signal: .abort, hadRequest: false, hasBacktracer: true)
        let spawn = driver.pool.slots[0].worker!.spawn
        #expect(failure(driver.handle(.crashed(slot: 0, spawn: spawn, sign))) != nil)
    }

    @Test func `Crashes of requests, of old workers, and what operators kill do not`() {
        var (driver, _) = reloaded()
        let spawn = driver.pool.slots[0].worker!.spawn
        driver.handle(.endedInRequest(slot: 0, spawn: spawn))
        #expect(failure(driver.handle(.exited(slot: 0, spawn: spawn, .killed))) == nil)
        let old = driver.pool.slots[1].leaving[0].worker
        #expect(failure(driver.handle(.exited(slot: 1, spawn: old.spawn, .failure))) == nil)
        driver.perform(.kill(slot: 1))
        #expect(failure(driver.exit(1, .killed)) == nil)
        #expect(driver.pool.reload?.probationEnd != nil)
        #expect(hasFinished(driver.pass(.seconds(5))))
    }

    @Test func `The next reload waits for none, and a stop ends it`() {
        var (driver, _) = reloaded()
        let (_, actions) = driver.perform(.reload)
        #expect(hasFinished(actions))
        #expect(driver.pool.reload?.generation == 3 && driver.pool.reload?.probationEnd == nil)
        var (other, _) = reloaded()
        other.handle(.stop(.graceful))
        #expect(other.pool.reload == nil)
    }
}
