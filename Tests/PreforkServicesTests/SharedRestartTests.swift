// Restarts of services that several trees share, and tasks that fail before their service is up again.

import PreforkServices
import PreforkServicesTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SharedRestartTests {
    let log = OrderRecorder()
    let clock = ManualClock()
    let bell = Bell()

    private typealias Numbered = @Sendable (ScriptedService, Int) async throws -> Void

    private func host<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Task<Result, Never> {
        Task { [clock] in await ServiceHost(clock: clock).with { await body() } }
    }

    private func policy(
        limit: Int = 3, scope: RestartScope = .one, readiness: Readiness = .started
    ) -> ServicePolicy {
        let backoff = ServiceBackoff(base: .seconds(1), jitter: 0, limit: limit)
        return ServicePolicy(startTimeout: nil, onTaskFailure: .restart(backoff, scope), readiness: readiness)
    }

    /// One whose `start` is told how often it was started before.
    private func counting(_ name: String, policy: ServicePolicy, start: @escaping Numbered) -> ScriptedService {
        let starts = Mutex(0)
        return ScriptedService(name, policy: policy, recorder: log, start: { service in
            let number = starts.withLock { starts in
                defer { starts += 1 }
                return starts
            }
            try await start(service, number)
        })
    }

    private func addBell(to service: ScriptedService) throws {
        try service.addTask("task") { [bell] in
            try await bell.wait()
            throw Broken()
        }
    }

    /// Moves the clock to its next deadline, which must be this one.
    private func pass(to deadline: Duration) async throws {
        try await eventually("time is awaited until \(deadline)") { clock.nextDeadline == deadline }
        clock.advance(to: deadline)
    }

    @Test func `who starts a shared service again hears that it is ready, whoever held it first`() async throws {
        let gate = Gate()
        let shared = counting("shared", policy: ServicePolicy(startTimeout: nil, readiness: .announced)) {
            service, number in
            if number == 0 { return service.ready() }
            try service.addTask("ready") {
                try await gate.pass()
                service.ready()
            }
        }
        let failing = counting("failing", policy: policy(scope: .rest)) { service, _ in try addBell(to: service) }
        let a = ScriptedService("a", needs: [.one(shared)])
        let b = ScriptedService("b", needs: [.one(failing), .one(shared)], recorder: log)
        let first = host { await thrown { try await a.run() } }
        try await eventually("a runs") { a.running }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running && bell.waiting == 1 }
        bell.ring()
        try await pass(to: .seconds(1))
        try await eventually("it is starting again") { log.count("start shared") == 2 && gate.waiting == 1 }
        gate.open()
        try await eventually("b runs again") { b.running && log.count("start b") == 2 }
        b.requestStop()
        a.requestStop()
        #expect(await second.value == nil)
        #expect(await first.value == nil)
    }

    /// Waits until a tree has taken so many steps about failures.
    private func failures(_ count: Int, in events: AsyncStream<ServiceEvent>) async {
        var seen = 0
        for await event in events where event.kind == .failed {
            seen += 1
            if seen == count { return }
        }
    }

    @Test(arguments: [Readiness.started, .announced])
    func `a task that fails before its service is up again is a failure of that start`(
        readiness: Readiness
    ) async throws {
        let gate = Gate()
        let below = counting("below", policy: policy(readiness: readiness)) { service, number in
            if number != 1 { service.ready() }
            try addBell(to: service)
            if number == 1, readiness == .started { try await gate.pass() }
        }
        let root = ScriptedService("root", needs: [.one(below)], recorder: log)
        let events = root.lifecycle.events()
        let run = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 1 }
        bell.ring()
        try await pass(to: .seconds(1))
        try await eventually("it is starting again") {
            bell.waiting == 1 && (readiness == .started ? gate.waiting == 1 : log.count("start below") == 2)
        }
        bell.ring()
        await failures(2, in: events)
        #expect(!below.running)
        gate.open()
        try await pass(to: .seconds(3))
        try await eventually("it runs again") { below.running && bell.waiting == 1 }
        root.requestStop()
        #expect(await run.value == nil)
        #expect(below.lifecycle.counters.restarts == 2 && below.lifecycle.counters.failures == 2)
        #expect(log.all("start") == ["below", "root", "below", "below"])
        #expect(log.all("stop") == ["below", "below", "root", "below"])
    }

    /// One whose second start adds a task that fails when `bell` rings, and goes on when `gate` opens.
    private func failingTheSecondTime(_ bell: Bell, _ gate: Gate) -> ScriptedService {
        counting("shared", policy: policy()) { service, number in
            guard number == 1 else { return }
            try service.addTask("task") {
                try await bell.wait()
                throw Broken()
            }
            await gate.passStubbornly()
        }
    }

    @Test func `a task that fails while one of two trees starts its service again is for that tree`() async throws {
        let (gate, other) = (Gate(), Bell())
        let shared = failingTheSecondTime(other, gate)
        let failing = counting("failing", policy: policy(scope: .rest)) { service, _ in try addBell(to: service) }
        let a = ScriptedService("a", needs: [.one(shared)])
        let b = ScriptedService("b", needs: [.one(failing), .one(shared)], recorder: log)
        let first = host { await thrown { try await a.run() } }
        try await eventually("a runs") { a.running }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running && bell.waiting == 1 }
        let events = b.lifecycle.events(), others = a.lifecycle.events()
        bell.ring()
        try await pass(to: .seconds(1))
        try await eventually("it is starting again") { gate.waiting == 1 && other.waiting == 1 }
        other.ring()
        await failures(2, in: events)
        gate.open()
        try await pass(to: .seconds(3))
        try await eventually("b runs again") { b.running && log.count("start b") == 2 }
        b.requestStop()
        a.requestStop()
        #expect(await second.value == nil)
        #expect(await first.value == nil)
        #expect(log.count("start shared") == 3)
        // The first tree heard of it, and left it to the other one.
        var kinds: [ServiceEvent.Kind] = []
        for await event in others {
            kinds.append(event.kind)
            if event.kind == .stopped { break }
        }
        #expect(kinds.contains(.failed) && !kinds.contains(.restarting))
    }

    @Test func `a task that fails in a start that nobody repeats ends those who share the service`() async throws {
        let (gate, other) = (Gate(), Bell())
        let shared = failingTheSecondTime(other, gate)
        let failing = counting("failing", policy: policy(scope: .rest)) { service, _ in try addBell(to: service) }
        let a = ScriptedService("a", needs: [.one(shared)])
        let b = ScriptedService("b", needs: [.one(failing), .one(shared)], recorder: log)
        let first = host { await thrown { try await a.run() } }
        try await eventually("a runs") { a.running }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running && bell.waiting == 1 }
        let events = b.lifecycle.events()
        bell.ring()
        try await pass(to: .seconds(1))
        try await eventually("it is starting again") { gate.waiting == 1 && other.waiting == 1 }
        other.ring()
        await failures(2, in: events)
        b.requestStop()
        gate.open()
        #expect(await second.value == nil)
        #expect(await first.value?.story == ["stopping b/shared"])
        #expect(!shared.running && shared.lifecycle.trees == 0)
    }

    /// When the restart is given up by its own failures, and by a stop while it waits.
    @Test(arguments: [false, true])
    func `who shares a service hears at once that it is not started again`(isAsked: Bool) async throws {
        let shared = counting("shared", policy: policy(limit: isAsked ? 3 : 1)) { service, number in
            if number == 0 { try addBell(to: service) }
            if number == 1 { throw Broken() }
        }
        let (body, end) = (Gate(), Gate())
        let a = ScriptedService("a", needs: [.one(shared)])
        let b = ScriptedService("b", needs: [.one(shared)]), c = ScriptedService("c", needs: [.one(shared)])
        let first = host { await thrown { try await a.withRunning { _ in await body.passStubbornly() } } }
        try await eventually("the first tree is in its body") { body.waiting == 1 }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running && bell.waiting == 1 }
        bell.ring()
        try await eventually("it is down") { clock.nextDeadline == .seconds(1) }
        if isAsked { a.requestStop() } else { clock.advance(to: .seconds(1)) }
        #expect(await second.value?.kind == (isAsked ? .stopping : .restartLimitReached))
        // While the first tree still is in its body. It starts one that comes up: the second time, or the third.
        if isAsked { await #expect(thrown { try await c.withRunning { _ in } }?.kind == .startFailed) }
        let third = host { await thrown { try await c.withRunning { _ in await end.passStubbornly() } } }
        try await eventually("another tree has it") { end.waiting == 1 && shared.running }
        body.open()
        #expect(await first.value?.kind == (isAsked ? nil : .restartLimitReached))
        #expect(shared.running)
        end.open()
        #expect(await third.value == nil)
        #expect(!shared.running && shared.lifecycle.trees == 0)
    }
}
