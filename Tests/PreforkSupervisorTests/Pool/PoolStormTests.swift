// Anything in any order.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2))) struct PoolStormTests {
    /// Events, commands, refused forks, late and silent workers: no worker is lost, none is there twice, and a stop
    /// ends them all.
    @Test(arguments: 0..<24) func randomHistoriesKeepTheirPromises(seed: UInt64) {
        var random = SplitMix64(seed: seed &+ 1_000)
        var driver = PoolDriver(workers: Int.random(in: 1...6, using: &random), seed: seed) {
            $0.restarts = RestartPolicy(limit: 1_000_000, bootLimit: 1_000_000)
            $0.restarts.backoff = Backoff(immediate: 1, base: .milliseconds(50), maximum: .seconds(1))
            $0.recycling = RecyclingPolicy(
                requests: 50, lifetime: .seconds(20), memory: 1_000, jitter: 0.3,
                atOnce: Int.random(in: 1...3, using: &random))
            $0.hangs = HangPolicy(soft: .seconds(4), grace: .seconds(1))
            $0.scaling = seed.isMultiple(of: 3) ? ScalingPolicy(workers: 1...12) : ScalingPolicy()
            $0.reload.width = [.automatic, .surge(2), .unavailable(1), .surge(20), .unavailable(3)][Int(seed % 5)]
            $0.reload.generations = [3, 1, 2][Int(seed % 3)]
            $0.largest = 40
            $0.reload.probation = seed.isMultiple(of: 2) ? .zero : .seconds(3)
        }
        driver.handle(.tick)
        for step in 0..<500 {
            let history = "seed \(seed) step \(step)"
            event(&driver, &random)
            let complaints = driver.complaints
            #expect(complaints.isEmpty, "\(history): \(complaints)")
            if !complaints.isEmpty { return }
            guard driver.pool.phase == .running else { break }
            #expect(driver.living.count <= 400, "\(history): \(driver.living.count) live")
        }
        calm(&driver, seed)
        end(&driver, &random, seed)
    }

    private func event(_ driver: inout PoolDriver, _ random: inout SplitMix64) {
        let slot = Int.random(in: 0..<max(1, driver.pool.slots.count), using: &random)
        let booting = driver.pool.slots.flatMap { slot in slot.bootingWorkers.map { (slot.taskID, $0.spawn) } }
        driver.refusesForks = Int.random(in: 0..<20, using: &random) == 0
        switch Int.random(in: 0..<26, using: &random) {
        case 0...5:
            if let (slot, spawn) = booting.randomElement(using: &random) {
                driver.handle(.ready(slot: slot, spawn: spawn))
            }
        case 6, 7, 8:
            // Those that were signalled end first, in any order.
            let (spawn, slot) = driver.living.sorted { $0.key < $1.key }.randomElement(using: &random) ?? (0, 0)
            let isAsked = driver.received[spawn] != nil
            if isAsked || Int.random(in: 0..<4, using: &random) == 0 {
                let exit: ProcessExit =
                    isAsked ? .success : [.failure, .killed, .failure, .success].randomElement(using: &random)!
                driver.handle(.exited(slot: slot, spawn: spawn, exit))
            }
        case 9, 10: driver.leaversEnd()
        case 11, 12: driver.pass(.milliseconds(Int.random(in: 0..<3_000, using: &random)))
        case 13: if let next = driver.pool.nextDeadline { driver.now = max(driver.now, next); driver.handle(.tick) }
        case 14: driver.pass(.seconds(Int.random(in: 0..<90, using: &random)))
        case 15, 16: driver.handle(.sample(samples(driver, &random), backlog: Int.random(in: 0..<60, using: &random)))
        case 17: driver.perform(.reload)
        case 18: driver.perform(.scale(.by(Int.random(in: -3...3, using: &random))))
        case 19: driver.perform(.scale(.to(Int.random(in: 0...10, using: &random))))
        case 20: driver.perform(.restart(slot: slot))
        case 21: driver.perform(.drain(slot: slot))
        case 22: if Bool.random(using: &random) { driver.perform(.kill(slot: slot)) }
        case 23, 24:
            // Every living worker can announce its crash, at any time and more than once.
            if let (spawn, slot) = driver.living.sorted(by: { $0.key < $1.key }).randomElement(using: &random) {
                let sign = CrashSign(
                    signal: .abort, hadRequest: Bool.random(using: &random), hasBacktracer: Bool.random(using: &random))
                driver.handle(.crashed(slot: slot, spawn: spawn, sign))
            }
        default:
            let strange = UInt64.random(in: 0...500, using: &random)
            if driver.living[strange] == nil { driver.handle(.exited(slot: slot, spawn: strange, .killed)) }
            driver.handle(.ready(slot: slot, spawn: strange &+ 100_000))
        }
    }

    private func samples(_ driver: PoolDriver, _ random: inout SplitMix64) -> [WorkerSample] {
        driver.pool.slots.compactMap { slot in
            guard slot.isReady, let worker = slot.worker else { return nil }
            return WorkerSample(
                slot: slot.taskID, spawn: worker.spawn, heartbeat: UInt64.random(in: 0..<2, using: &random),
                requests: UInt64.random(in: 0..<60, using: &random), memory: Int.random(in: 0..<1_020, using: &random),
                processorTime: driver.now - .poolStart)
        }
    }

    /// When nothing more happens, every place has its worker and every reload its end.
    private func calm(_ driver: inout PoolDriver, _ seed: UInt64) {
        driver.refusesForks = false
        for _ in 0..<3_000 {
            guard driver.pool.phase == .running else { return }
            for (spawn, slot) in driver.living where driver.received[spawn]?.contains(.kill) == true {
                driver.handle(.exited(slot: slot, spawn: spawn, .killed))
            }
            // Successors that boot, one after the other where workers are recycled, are ready before the time goes on to
            // their boot timeout.
            driver.settle(rounds: 100)
            let isCalm = driver.pool.slots.allSatisfy { $0.isReady && $0.workers.count == 1 || $0.state == .ended }
            if isCalm, driver.pool.reload == nil { return }
            if let next = driver.pool.nextDeadline { driver.now = max(driver.now, next) }
            driver.handle(.tick)
        }
        Issue.record(
            "seed \(seed): it does not settle: reload \(String(describing: driver.pool.reload)) \(driver.pool.slots)")
    }

    private func end(_ driver: inout PoolDriver, _ random: inout SplitMix64, _ seed: UInt64) {
        var actions = driver.handle(.stop([.graceful, .quick].randomElement(using: &random)!))
        for _ in 0..<10_000 where driver.pool.phase != .finished {
            if Int.random(in: 0..<30, using: &random) == 0 { actions += driver.handle(.stop(.quick)) }
            if let (spawn, slot) = driver.living.sorted(by: { $0.key < $1.key }).randomElement(using: &random) {
                actions += driver.handle(
                    .exited(slot: slot, spawn: spawn, Bool.random(using: &random) ? .success : .killed))
            }
            actions += driver.pass(.milliseconds(100))
            #expect(forks(actions) == 0, "seed \(seed): a fork after the stop")
        }
        #expect(driver.pool.phase == .finished && endings(actions) <= 1 && driver.living.isEmpty, "seed \(seed)")
    }

    /// What a deadline says must follow from the tick at it. Otherwise the supervisor turns and turns.
    @Test(arguments: 0..<10) func noDeadlineStaysInThePast(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var driver = PoolDriver(workers: 4, seed: seed) {
            $0.restarts = RestartPolicy(limit: 1_000_000, bootLimit: 1_000_000)
            $0.recycling = RecyclingPolicy(requests: 50, lifetime: .seconds(5), jitter: 0.3)
            $0.hangs = HangPolicy(soft: .seconds(4), grace: .seconds(1))
            $0.reload.width = seed.isMultiple(of: 2) ? .automatic : .unavailable(1)
            $0.largest = 40
        }
        driver.handle(.tick)
        for step in 0..<300 {
            event(&driver, &random)
            driver.refusesForks = false
            var turns = 0
            while let next = driver.pool.nextDeadline, next <= driver.now, turns < 20 {
                driver.handle(.tick)
                turns += 1
            }
            #expect(turns < 20, "seed \(seed) step \(step): \(driver.pool.slots)")
            if turns == 20 { return }
        }
    }
}
