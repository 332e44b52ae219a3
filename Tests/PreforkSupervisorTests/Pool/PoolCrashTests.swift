// Workers that say that they crash before they have ended.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite struct PoolCrashTests {
    private let crash = CrashSign(signal: .segmentationFault, hadRequest: true, hasBacktracer: true)

    private func driver(_ workers: Int = 2, _ change: (inout Pool.Settings) -> Void = { _ in }) -> PoolDriver {
        var driver = PoolDriver(workers: workers, change)
        _ = driver.readyPool()
        return driver
    }

    private func reports(_ actions: [PoolAction]) -> [ExitReport] {
        actions.compactMap { action in
            if case .report(.exited(let report)) = action { report } else { nil }
        }
    }

    @Test func `The successor is forked at the sign, and the end is reported once, at the end`() throws {
        var driver = driver()
        let old = try #require(driver.pool.slots[0].worker)
        let atSign = driver.handle(.crashed(slot: 0, spawn: old.spawn, crash))
        #expect(reports(atSign).isEmpty)
        let new = try #require(driver.pool.slots[0].worker)
        #expect(new.spawn != old.spawn && new.pid != old.pid)
        driver.ready(0)
        #expect(driver.pool.slots[0].isReady && driver.pool.slots[0].leaving.map(\.worker) == [old])
        // Saying it again, as only a process of that spawn could, changes nothing.
        driver.handle(.crashed(slot: 0, spawn: old.spawn, crash))
        #expect(driver.living.count == 3 && driver.pool.requestCrashes == 1)
        let atEnd = driver.handle(.exited(slot: 0, spawn: old.spawn, .killed))
        let report = try #require(reports(atEnd).first)
        #expect(report.pid == old.pid && report.hadRequest && !report.isCounted && report.wasReady)
        #expect(report.consequence == .restart(in: .zero, number: 0) && report.kind == .request)
        #expect(driver.pool.slots[0].worker == new && driver.pool.slots[0].leaving.isEmpty)
        #expect(driver.pool.requestCrashes == 1)
    }

    @Test func `A crash outside of requests counts once`() {
        var driver = driver(1)
        let old = driver.pool.slots[0].worker!
        let sign = CrashSign(signal: .abort, hadRequest: false, hasBacktracer: true)
        driver.handle(.crashed(slot: 0, spawn: old.spawn, sign))
        #expect(driver.pool.restarts == 1)
        driver.handle(.exited(slot: 0, spawn: old.spawn, .killed))
        #expect(driver.pool.restarts == 1)
    }

    @Test func `The limit ends the pool at the sign`() {
        var driver = driver(2) { $0.restarts.limit = 0 }
        driver.handle(.crashed(slot: 1, spawn: driver.pool.slots[1].worker!.spawn, crash))
        guard case .stopping(.tooManyRestarts, _) = driver.pool.phase else { Issue.record("it goes on"); return }
        #expect(driver.living.count == 2)
    }

    @Test func `One that does not end in time is killed`() throws {
        var driver = driver(1) { $0.crashes.timeout = .seconds(3) }
        let old = try #require(driver.pool.slots[0].worker)
        driver.handle(.crashed(slot: 0, spawn: old.spawn, crash))
        driver.ready(0)
        _ = driver.pass(.seconds(2))
        #expect(driver.received[old.spawn] == nil)
        let actions = driver.pass(.seconds(2))
        #expect(driver.received[old.spawn] == [.kill])
        #expect(actions.contains(.report(.killing(taskID: 0, pid: old.pid, .crashed))))
    }

    @Test func `No more than so many are traced at once, and only those that are`() {
        var driver = driver(4) { $0.crashes.backtracersAtOnce = 2 }
        let spawns = driver.pool.slots.map { $0.worker!.spawn }
        let quick = CrashSign(signal: .abort, hadRequest: true, hasBacktracer: false)
        for (slot, sign) in [(0, crash), (1, quick), (2, crash), (3, crash)] {
            driver.handle(.crashed(slot: slot, spawn: spawns[slot], sign))
        }
        #expect(spawns.map { driver.received[$0] ?? [] } == [[], [], [], [.kill]])
    }

    @Test func `A replacement that crashes ends the reload, and the worker that serves stays`() throws {
        var driver = driver(1)
        driver.perform(.reload)
        let old = try #require(driver.pool.slots[0].worker)
        let new = try #require(driver.pool.slots[0].replacement?.worker)
        let actions = driver.handle(
            .crashed(slot: 0, spawn: new.spawn, CrashSign(signal: .abort, hadRequest: false, hasBacktracer: true)))
        #expect(
            actions.contains {
                if case .report(.reloadAborted) = $0 { true } else { false }
            })
        #expect(driver.pool.slots[0].worker == old && driver.pool.slots[0].replacement == nil)
        driver.handle(.exited(slot: 0, spawn: new.spawn, .killed))
        #expect(driver.pool.slots[0].leaving.isEmpty && driver.pool.restarts == 0)
    }

    @Test func `A stop ends one that is traced when its time is over`() throws {
        var driver = driver(1)
        let old = try #require(driver.pool.slots[0].worker)
        driver.handle(.crashed(slot: 0, spawn: old.spawn, crash))
        driver.ready(0)
        driver.handle(.stop(.graceful))
        // It is not asked: its threads stand still, or should.
        #expect(driver.received[old.spawn] == nil)
        driver.handle(.exited(slot: 0, spawn: driver.pool.slots[0].worker!.spawn, .success))
        #expect(driver.pool.phase != .finished)
        _ = driver.pass(.seconds(11))
        #expect(driver.received[old.spawn] == [.kill])
        let actions = driver.handle(.exited(slot: 0, spawn: old.spawn, .killed))
        #expect(actions.contains(.finish(.stopped)))
    }

    @Test func `One that was told to go and crashes makes nobody wait`() throws {
        var driver = driver(1) { $0.reload.width = .unavailable(1) }
        driver.perform(.reload)
        let old = try #require(driver.pool.slots[0].leaving.first?.worker)
        #expect(driver.pool.slots[0].worker == nil)
        driver.handle(.crashed(slot: 0, spawn: old.spawn, crash))
        #expect(driver.pool.slots[0].worker != nil)
    }

    @Test func `A record in shared memory is numbers within their range, or none`() throws {
        var words = [UInt64](repeating: 0, count: CrashMark.byteCount / 8)
        func read() -> CrashRecord? { words.withUnsafeMutableBytes { CrashRecord(in: $0.baseAddress!) } }
        #expect(read() == nil)
        words[0] = UInt64(Signal.abort.rawValue)
        words[3] = 4711
        words[5] = 2
        words[6...7] = [0x1000, 0x2000]
        #expect(read()?.frames == [0x1000, 0x2000])
        for (index, value) in [(0, 9), (0, .max), (3, 0), (3, 1 << 40), (5, 49), (5, .max)] as [(Int, UInt64)] {
            let before = words[index]
            words[index] = value
            #expect(read() == nil, "word \(index) is \(value)")
            words[index] = before
        }
        words = .init(repeating: .max, count: words.count)
        #expect(read() == nil)
    }
}
