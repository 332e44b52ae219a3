// Time for starts and stops, by a manual clock.

import PreforkServices
import PreforkServicesTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct BudgetTests {
    let log = OrderRecorder()
    let clock = ManualClock()

    private func host<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Task<Result, Never> {
        Task { [clock] in await ServiceHost(clock: clock).with { await body() } }
    }

    @Test(arguments: [1, 2, 5, 20], [0, 1, 100, 10_000])
    func `a tree in which nobody stops is down within its timeout and a tenth`(levels: Int, timeout: Int) async {
        let stuck = Gate()
        var root: ScriptedService?
        for level in 0..<levels {
            root = ScriptedService(
                "\(level)", needs: root.map { [.one($0)] } ?? [],
                policy: ServicePolicy(gracefulShutdownTimeout: .milliseconds(timeout)), recorder: log,
                stop: { _ in await stuck.passStubbornly() })
        }
        let tree = root!
        let error = await Stopping.drive(clock) { await thrown { try await tree.withRunning { _ in } } }
        #expect(log.all("stop") == (0..<levels).reversed().map(String.init))
        #expect(error?.kind == .stopTimedOut)
        #expect(error?.story.count == levels)
        #expect(clock.now <= max(.milliseconds(timeout) + .milliseconds(timeout) / 10, .milliseconds(10)))
        stuck.open()
    }

    @Test func `a stop that takes too long is cancelled, and those below get their turn`() async throws {
        let gate = Gate()
        let below = ScriptedService("below", recorder: log, stop: { _ in try Task.checkCancellation() })
        let root = ScriptedService("root", needs: [.one(below)], recorder: log, stop: { _ in try await gate.pass() })
        let task = host { await thrown { try await root.withRunning { _ in } } }
        try await eventually("root is stopping") { gate.waiting == 1 && clock.nextDeadline != nil }
        clock.advance(by: .milliseconds(7_499))
        #expect(gate.waiting == 1)
        clock.advance(by: .milliseconds(1))
        #expect(await task.value?.story == ["stopTimedOut root"])
        #expect(log.entries.last == "stop below")
    }

    @Test func `a service with less time than its tree is cancelled by its own`() async throws {
        let gate = Gate()
        let below = ScriptedService(
            "below", policy: ServicePolicy(gracefulShutdownTimeout: .seconds(1)), recorder: log,
            stop: { _ in try await gate.pass() })
        let root = ScriptedService("root", needs: [.one(below)], recorder: log)
        let task = host { await thrown { try await root.withRunning { _ in } } }
        try await eventually("below is stopping") { gate.waiting == 1 && clock.nextDeadline == .seconds(1) }
        clock.advance(by: .seconds(1))
        #expect(await task.value?.story == ["stopTimedOut root/below"])
    }

    @Test func `background tasks that do not listen are named and left behind`() async throws {
        let gate = Gate()
        let isGoodOver = Mutex(false)
        let root = ScriptedService("root", recorder: log, start: { service in
            try service.addTask("deaf") { await gate.passStubbornly() }
            try service.addTask("good") {
                defer { isGoodOver.withLock { $0 = true } }
                try await Gate().pass()
            }
        })
        let root2 = root
        let isOver = { @Sendable in isGoodOver.withLock { $0 } }
        let error = await Stopping.drive(clock, when: isOver) { await thrown { try await root2.withRunning { _ in } } }
        #expect(error?.story == ["stopTimedOut root#deaf"])
        #expect(error.map { ($0 as? ServiceError)?.exitCode } == 76)
        // It is not idle before its last task has ended. A start waits for that.
        let again = Task { await thrown { try await root.withRunning { _ in } } }
        try await eventually("the second start waits") { root.lifecycle.trees == 1 }
        #expect(log.count("start root") == 1)
        gate.open()
        #expect(await again.value == nil)
        #expect(log.count("start root") == 2 && log.count("stop root") == 2)
    }

    @Test func `a late start is cancelled, and what had started is stopped with a budget of its own`() async throws {
        let gate = Gate()
        let below = ScriptedService("below", recorder: log)
        let slow = ScriptedService(
            "slow", needs: [.one(below)], policy: ServicePolicy(startTimeout: .seconds(5)), recorder: log,
            start: { _ in try await gate.pass() })
        let task = host { await thrown { try await slow.run() } }
        try await eventually("it is starting") { gate.waiting == 1 && clock.nextDeadline == .seconds(5) }
        clock.advance(by: .seconds(5))
        #expect(await task.value?.story == ["startTimedOut slow"])
        #expect(log.entries == ["start below", "stop below"])
    }

    @Test func `a start that ignores its cancellation is left behind, and stopped when it comes up`() async throws {
        let gate = Gate()
        let below = ScriptedService("below", recorder: log)
        let deaf = ScriptedService(
            "deaf", needs: [.one(below)], policy: ServicePolicy(startTimeout: .seconds(1)), recorder: log,
            start: { _ in await gate.passStubbornly() })
        let error = await Stopping.drive(clock) { await thrown { try await deaf.run() } }
        #expect(error?.kind == .startTimedOut)
        #expect(log.entries == ["start below", "stop below"])
        #expect(clock.now <= .seconds(12))
        gate.open()
        try await eventually("the late one is stopped") { log.contains("stop deaf") }
        try await eventually("it may start again") { !deaf.running && deaf.lifecycle.counters.stops == 1 }
        try await deaf.withRunning { #expect($0.running) }
    }

    @Test func `zero and negative timeouts cancel at once and trap nowhere`() async {
        for timeout in [Duration.zero, .seconds(-5), .seconds(Int64.min)] {
            let log = OrderRecorder()
            let kind = ServicePolicy(gracefulShutdownTimeout: timeout)
            let root = ScriptedService(
                "root", needs: [.one(ScriptedService("below", policy: kind, recorder: log))], policy: kind,
                recorder: log, stop: { _ in try Task.checkCancellation() })
            // By a clock that stands still: a stop that ends by itself has its few milliseconds here, however busy the
            // machine.
            #expect(
                await host { await thrown { try await root.withRunning { _ in } } }.value?.story == [
                    "stopTimedOut root"
                ])
            #expect(log.all("stop") == ["root", "below"])

            let never = ScriptedService("never", policy: ServicePolicy(startTimeout: timeout), recorder: log)
            #expect(await thrown { try await never.run() }?.story == ["startTimedOut never"])
            #expect(!log.contains("start never"))
        }
    }

    @Test func `a start without time does not begin, however soon its task runs`() async {
        final class AtOnce: TaskExecutor {
            func enqueue(_ job: consuming ExecutorJob) {
                UnownedJob(job).runSynchronously(on: asUnownedTaskExecutor())
            }
        }
        let gate = Gate()
        let deaf = ScriptedService(
            "deaf", policy: ServicePolicy(startTimeout: .zero), recorder: log, isVerbose: true,
            start: { _ in await gate.passStubbornly() })
        let host = ServiceHost(clock: clock, executor: AtOnce())
        let run = Task { await host.with { await thrown { try await deaf.run() } } }
        let opening = Task { [log] in
            try await eventually("it has begun") { log.contains("begin start deaf") }
            gate.open()
        }
        #expect(await run.value?.story == ["startTimedOut deaf"])
        #expect(log.entries == [])
        opening.cancel()
    }

    @Test func `an endless timeout is a very long one`() async throws {
        let forever = ServicePolicy(
            startTimeout: .seconds(Int64.max), gracefulShutdownTimeout: .seconds(Int64.max))
        try await ScriptedService("root", policy: forever).withRunning { _ in }
    }
}
