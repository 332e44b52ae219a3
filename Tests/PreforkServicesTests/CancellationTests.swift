// Cancellation wherever a tree suspends.

import PreforkServices
import PreforkServicesTestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CancellationTests {
    let log = OrderRecorder()

    @Test func `a cancelled caller starts nothing`() async {
        let root = ScriptedService("root", recorder: log)
        let task = Task {
            await Gate().cancelledFirst()
            return await thrown { try await root.run() }
        }
        task.cancel()
        #expect(await task.value?.kind == .cancelled)
        #expect(log.entries == [])
        #expect(await thrown { try await root.wait() }?.kind == .notRunning)
    }

    @Test(arguments: 0..<3)
    func `cancelling during a start cancels it and stops what had started`(level: Int) async throws {
        let gate = Gate()
        let block: ScriptedService.Script = { _ in try await gate.pass() }
        let free: ScriptedService.Script = { _ in }
        let bottom = ScriptedService("0", recorder: log, start: level == 0 ? block : free)
        let middle = ScriptedService("1", needs: [.one(bottom)], recorder: log, start: level == 1 ? block : free)
        let root = ScriptedService("2", needs: [.one(middle)], recorder: log, start: level == 2 ? block : free)
        let task = Task { await thrown { try await root.run() } }
        try await eventually("a start waits") { gate.waiting == 1 }
        task.cancel()
        #expect(await task.value?.kind == .cancelled)
        #expect(log.all("start") == (0..<level).map(String.init))
        #expect(log.all("stop") == (0..<level).reversed().map(String.init))
        #expect(![bottom, middle, root].contains { $0.running })
    }

    @Test func `cancelling run stops the tree gracefully`() async throws {
        let root = ScriptedService("root", needs: [.one(ScriptedService("below", recorder: log))], recorder: log)
        let task = Task { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running }
        task.cancel()
        #expect(await task.value?.story == ["cancelled root"])
        #expect(log.entries == ["start below", "start root", "stop root", "stop below"])
        #expect(try await root.wait() == .requested)
    }

    @Test func `cancelling during the stop does not hurry it`() async throws {
        let gate = Gate()
        let root = ScriptedService("root", recorder: log, isVerbose: true, stop: { _ in try await gate.pass() })
        let task = Task { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running }
        root.requestStop()
        try await eventually("the stop waits") { gate.waiting == 1 }
        task.cancel()
        gate.open()
        #expect(await task.value == nil)
        #expect(log.entries.last == "end stop root")
    }

    @Test func `a body that is cancelled is followed by a whole stop`() async throws {
        let gate = Gate()
        let root = ScriptedService("root", recorder: log, stop: { _ in try Task.checkCancellation() })
        let task = Task { await thrown { try await root.withRunning { _ in try await gate.pass() } } }
        try await eventually("the body waits") { gate.waiting == 1 }
        task.cancel()
        #expect(await task.value is CancellationError)
        #expect(log.entries == ["start root", "stop root"])
    }

    @Test func `cancelling a start that waits for another tree leaves that tree alone`() async throws {
        let gate = Gate()
        let shared = ScriptedService("shared", recorder: log, start: { _ in try await gate.pass() })
        let a = ScriptedService("a", needs: [.one(shared)], recorder: log)
        let b = ScriptedService("b", needs: [.one(shared)], recorder: log)
        let first = Task { await thrown { try await a.run() } }
        try await eventually("shared is starting") { gate.waiting == 1 }
        let second = Task { await thrown { try await b.run() } }
        try await eventually("b waits for it") { shared.lifecycle.trees == 2 }
        second.cancel()
        #expect(await second.value?.kind == .cancelled)
        gate.open()
        try await eventually("a runs") { a.running }
        a.requestStop()
        #expect(await first.value == nil)
        #expect(log.entries == ["start shared", "start a", "stop a", "stop shared"])
    }

    @Test func `waiting for readiness is cancelled alone`() async throws {
        let gate = Gate()
        let root = ScriptedService("root", start: { _ in try await gate.pass() })
        let run = Task { await thrown { try await root.run() } }
        try await eventually("it is starting") { gate.waiting == 1 }
        let waiter = Task { await thrown { try await root.waitUntilReady() } }
        let patient = Task { await thrown { try await root.waitUntilReady() } }
        waiter.cancel()
        #expect(await waiter.value?.kind == .cancelled)
        gate.open()
        #expect(await patient.value == nil)
        root.requestStop()
        #expect(await run.value == nil)
    }

    @Test func `a tree is cancelled at any moment of its life and nothing is left`() async throws {
        for seed in 0..<UInt64(300) {
            var numbers = SeededNumbers(seed: seed)
            let log = OrderRecorder()
            let pause: ScriptedService.Script = { service in
                try service.addTask { while !Task.isCancelled { await Task.yield() } }
                for _ in 0..<3 { await Task.yield() }
                try Task.checkCancellation()
            }
            let bottom = ScriptedService("bottom", recorder: log, start: pause)
            let left = ScriptedService("left", needs: [.one(bottom)], recorder: log, start: pause)
            let right = ScriptedService("right", needs: [.one(bottom)], recorder: log, start: pause)
            let root = ScriptedService("root", needs: [.parallel([left, right])], recorder: log, start: pause)
            let task = Task { await thrown { try await root.run() } }
            for _ in 0..<numbers.below(60) { await Task.yield() }
            task.cancel()
            #expect(await task.value?.kind == .cancelled, "seed \(seed)")
            #expect(Set(log.all("start")) == Set(log.all("stop")), "seed \(seed)")
            #expect(log.all("start").count == log.all("stop").count, "seed \(seed)")
            #expect([bottom, left, right, root].allSatisfy { $0.lifecycle.trees == 0 && !$0.running }, "seed \(seed)")
        }
    }
}

extension Gate {
    /// Returns when the task is cancelled.
    func cancelledFirst() async { try? await pass() }
}
