// Restarts that go wrong, that come too often, and that others share.

import PreforkServices
import PreforkServicesTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RestartTroubleTests {
    let log = OrderRecorder()
    let clock = ManualClock()
    let bell = Bell()
    let gate = Gate()

    private func host<Result: Sendable>(
        _ stopSource: (any StopSource)? = nil, _ body: @escaping @Sendable () async -> Result
    ) -> Task<Result, Never> {
        Task { [clock] in await ServiceHost(clock: clock, stopSource: stopSource).with { await body() } }
    }

    private func policy(
        startTimeout: Duration? = nil, stopTimeout: Duration = .seconds(10), limit: Int = 3,
        readiness: Readiness = .started
    ) -> ServicePolicy {
        let backoff = ServiceBackoff(base: .seconds(1), jitter: 0, limit: limit)
        return ServicePolicy(
            startTimeout: startTimeout, gracefulShutdownTimeout: stopTimeout, onTaskFailure: .restart(backoff),
            readiness: readiness)
    }

    /// A service with a task that throws when the bell is rung. `start` gets the number of earlier starts.
    private func failing(
        _ name: String, policy: ServicePolicy, bell: Bell? = nil, start: @escaping Numbered = { _, _ in },
        stop: @escaping ScriptedService.Script = { _ in }
    ) -> ScriptedService {
        let bell = bell ?? self.bell
        let starts = Mutex(0)
        return ScriptedService(name, policy: policy, recorder: log, start: { service in
            let number = starts.withLock { starts in
                defer { starts += 1 }
                return starts
            }
            try await start(service, number)
            try service.addTask("task") {
                try await bell.wait()
                throw Broken()
            }
        }, stop: stop)
    }

    private typealias Numbered = @Sendable (ScriptedService, Int) async throws -> Void

    /// Moves the clock to its next deadline, which must be this one.
    private func pass(to deadline: Duration) async throws {
        try await eventually("time is awaited until \(deadline)") { clock.nextDeadline == deadline }
        clock.advance(to: deadline)
    }

    @Test func `a restart that fails and leaves a task behind takes the tree with it`() async throws {
        let gate = gate
        let below = failing("below", policy: policy(), start: { service, number in
            guard number == 1 else { return }
            try service.addTask("deaf") { await gate.passStubbornly() }
            throw Broken()
        })
        let root = ScriptedService("root", needs: [.one(below)], recorder: log)
        let run = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 1 }
        bell.ring()
        try await pass(to: .seconds(1))
        // The next attempt has to wait for the task.
        try await eventually("the task is waited for") { gate.waiting == 1 }
        try await pass(to: .seconds(3))
        try await pass(to: .seconds(12))
        #expect(await run.value?.story == ["stopTimedOut root/below#deaf"])
        #expect(log.entries == ["start below", "start root", "stop below", "stop root"])
        gate.open()
        try await below.withRunning { #expect($0.running) }
        // The start that failed was followed by no stop.
        #expect(below.lifecycle.counters.stops == 2)
    }

    @Test func `a restart's stop has no more time than the tree that is to end`() async throws {
        let gate = gate
        let below = failing(
            "below", policy: policy(stopTimeout: .seconds(60)), stop: { _ in await gate.passStubbornly() })
        let root = ScriptedService(
            "root", needs: [.one(below)], policy: ServicePolicy(gracefulShutdownTimeout: .seconds(5)), recorder: log)
        let run = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 1 }
        bell.ring()
        try await eventually("it is stopping") { gate.waiting == 1 && clock.nextDeadline == .seconds(60) }
        root.requestStop()
        try await pass(to: .milliseconds(3_750))
        try await pass(to: .milliseconds(4_250))
        #expect(await run.value?.story == ["stopTimedOut root/below"])
        #expect(log.entries.last == "stop root")
        gate.open()
        try await eventually("it is down after all") { below.lifecycle.counters.stops == 1 }
    }

    @Test func `a deadline that comes nearer shortens a restart's stop, too`() async throws {
        let gate = gate
        let console = Console()
        let below = failing("below", policy: policy(), stop: { _ in await gate.passStubbornly() })
        let root = ScriptedService("root", needs: [.one(below)], recorder: log)
        let run = host(console) { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 1 }
        bell.ring()
        try await eventually("it is stopping") { gate.waiting == 1 && clock.nextDeadline == .seconds(10) }
        console.wish()
        try await eventually("it has less time") { clock.nextDeadline == .milliseconds(7_500) }
        console.wish(by: .milliseconds(1_100))
        try await pass(to: .milliseconds(750))
        try await pass(to: .milliseconds(850))
        #expect(await run.value?.story == ["stopTimedOut root/below"])
        #expect(log.entries.last == "stop root")
        gate.open()
    }

    @Test(arguments: [Readiness.started, .announced])
    func `a restart that takes too long to start is a failure like the first`(readiness: Readiness) async throws {
        let gate = gate
        let policy = policy(startTimeout: .seconds(5), readiness: readiness)
        let below = failing("below", policy: policy, start: { service, number in
            if number == 1, readiness == .started { try await gate.pass() }
            if number != 1 { service.ready() }
        })
        let root = ScriptedService("root", needs: [.one(below)], recorder: log)
        let run = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 1 }
        bell.ring()
        for deadline in [1, 6, 8] { try await pass(to: .seconds(deadline)) }
        try await eventually("it runs again") { below.running }
        root.requestStop()
        #expect(await run.value == nil)
        #expect(below.lifecycle.counters.restarts == 2)
        let second = readiness == .announced ? ["start below", "stop below"] : []
        let (first, last) = (["start below", "start root", "stop below"], ["start below", "stop root", "stop below"])
        #expect(log.entries == first + second + last)
    }

    @Test(arguments: [false, true])
    func `a restart that ignores its cancellation is waited for only so long`(comesUp: Bool) async throws {
        let gate = gate
        let below = failing("below", policy: policy(startTimeout: .seconds(5)), start: { _, number in
            if number == 1 { await gate.passStubbornly() }
        })
        let root = ScriptedService("root", needs: [.one(below)], recorder: log)
        let run = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 1 }
        bell.ring()
        try await pass(to: .seconds(1))
        try await eventually("it is starting again") { gate.waiting == 1 }
        try await pass(to: .seconds(6))
        if comesUp {
            // Too late: that is a failure, but not the last one.
            try await eventually("it was cancelled") { clock.nextDeadline == .seconds(17) }
            gate.open()
            try await pass(to: .seconds(8))
            try await eventually("it runs again") { below.running }
            root.requestStop()
            #expect(await run.value == nil)
            #expect(log.count("start below") == 3 && log.count("stop below") == 3)
        } else {
            try await pass(to: .seconds(17))
            #expect(await run.value?.story == ["startTimedOut root/below"])
            #expect(log.entries == ["start below", "start root", "stop below", "stop root"])
            gate.open()
            try await below.withRunning { #expect($0.running) }
        }
    }

    @Test func `two failing tasks of a service that waits for its restart are one restart`() async throws {
        let gate = gate
        let other = Bell()
        let slow = failing("slow", policy: policy(), bell: other, stop: { _ in try await gate.pass() })
        let twice = failing("twice", policy: policy(), start: { [bell] service, _ in
            try service.addTask("more") {
                try await bell.wait()
                throw Broken()
            }
        })
        let root = ScriptedService("root", needs: [.one(slow), .one(twice)], recorder: log)
        let events = twice.lifecycle.events()
        let run = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 2 && other.waiting == 1 }
        other.ring()
        try await eventually("another restart is under way") { gate.waiting == 1 }
        bell.ring()
        var failures = 0
        for await event in events where event.kind == .failed {
            failures += 1
            if failures == 2 { break }
        }
        let later = twice.lifecycle.events()
        gate.open()
        for deadline in [1, 2] { try await pass(to: .seconds(deadline)) }
        try await eventually("both run again") { slow.running && twice.running && log.count("start twice") == 2 }
        for await event in later where event.kind == .started { break }
        // A second restart would begin in the same step, before the tree can hear of anything else.
        root.requestStop()
        #expect(await run.value == nil)
        #expect(twice.lifecycle.counters.restarts == 1 && twice.lifecycle.counters.stops == 2)
        #expect(log.all("stop").suffix(3) == ["root", "twice", "slow"])
    }

    @Test func `of trees that share a failing service, one that goes on starts it again`() async throws {
        let gate = gate
        let shared = failing("shared", policy: policy())
        let slow = ScriptedService("slow", start: { _ in try await gate.pass() })
        let a = ScriptedService("a", needs: [.one(shared), .one(slow)]), b = ScriptedService("b", needs: [.one(shared)])
        let first = host { await thrown { try await a.run() } }
        try await eventually("a holds it, and is still starting") { gate.waiting == 1 }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running && bell.waiting == 1 }
        bell.ring()
        #expect(await first.value?.story == ["taskFailed a/shared#task"])
        try await pass(to: .seconds(1))
        try await eventually("it runs again") { log.count("start shared") == 2 && shared.running }
        b.requestStop()
        #expect(await second.value == nil)
        #expect(log.entries == ["start shared", "stop shared", "start shared", "stop shared"])
    }

    @Test(arguments: [false, true])
    func `a failure that no restart follows reaches those who share the service`(isLast: Bool) async throws {
        let gate = gate
        let other = Bell()
        let slow = failing("slow", policy: policy(), bell: other, stop: { _ in try await gate.pass() })
        let shared = failing("shared", policy: policy(limit: isLast ? 0 : 3))
        let a = ScriptedService("a", needs: [.one(slow), .one(shared)]), b = ScriptedService("b", needs: [.one(shared)])
        let first = host { await thrown { try await a.run() } }
        try await eventually("a runs") { a.running && bell.waiting == 1 && other.waiting == 1 }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running }
        other.ring()
        try await eventually("another restart is under way") { gate.waiting == 1 }
        let events = b.lifecycle.events()
        bell.ring()
        for await event in events where event.kind == .failed { break }
        a.requestStop()
        gate.open()
        #expect(await first.value?.kind == (isLast ? .restartLimitReached : nil))
        #expect(await second.value?.kind == (isLast ? .restartLimitReached : .stopping))
        #expect(!shared.running && shared.lifecycle.trees == 0)
    }

    @Test func `a start that was left behind holds nothing when it is down`() async throws {
        let gate = gate
        let end = Gate()
        let late = ScriptedService(
            "late", policy: ServicePolicy(startTimeout: .seconds(1)), recorder: log,
            start: { _ in await gate.passStubbornly() })
        let below = ScriptedService("below", stop: { _ in try await end.pass() })
        let root = ScriptedService("root", needs: [.one(below), .one(late)])
        let run = host { await thrown { try await root.run() } }
        try await eventually("it is starting") { gate.waiting == 1 }
        try await pass(to: .seconds(1))
        try await eventually("it was cancelled") { clock.nextDeadline.map { $0 > .seconds(1) } == true }
        clock.advance(to: clock.nextDeadline!)
        try await eventually("the rest is stopping") { end.waiting == 1 }
        gate.open()
        try await eventually("the late one is down") { late.lifecycle.counters.stops == 1 }
        // While that tree still is at its stop.
        try await late.withRunning { #expect($0.running) }
        #expect(!late.running && log.count("stop late") == 2)
        end.open()
        #expect(await run.value?.kind == .startTimedOut)
    }
}

/// Wishes and deadlines by hand.
final class Console: StopSource {
    private struct State {
        var isWished = false
        var deadline: Duration?
        var observers: [Int: @Sendable (StopReason) -> Void] = [:]
        var lastID = 0
    }

    private let state = Mutex(State())

    var deadline: Duration? { state.withLock { $0.deadline } }
    var observers: Int { state.withLock { $0.observers.count } }

    func wish(by deadline: Duration? = nil) {
        let observers = state.withLock { state in
            state.isWished = true
            state.deadline = deadline ?? state.deadline
            return Array(state.observers.values)
        }
        for observer in observers { observer(.signal(15)) }
    }

    func observe(_ stop: @escaping @Sendable (StopReason) -> Void) -> @Sendable () -> Void {
        let (id, isWished) = state.withLock { state in
            state.lastID += 1
            state.observers[state.lastID] = stop
            return (state.lastID, state.isWished)
        }
        if isWished { stop(.signal(15)) }
        return { self.state.withLock { _ = $0.observers.removeValue(forKey: id) } }
    }
}
