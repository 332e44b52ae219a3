// Failing tasks, restarts, readiness and events.

import PreforkServices
import PreforkServicesTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RestartTests {
    let log = OrderRecorder()
    let clock = ManualClock()

    private func host<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) -> Task<Result, Never> {
        Task { [clock] in await ServiceHost(clock: clock).with { await body() } }
    }

    private func policy(_ scope: RestartScope = .one, limit: Int = 3) -> ServicePolicy {
        let backoff = ServiceBackoff(base: .seconds(1), jitter: 0, limit: limit)
        return ServicePolicy(onTaskFailure: .restart(backoff, scope))
    }

    /// One whose task throws whenever the bell is rung.
    private func failing(_ name: String, _ needs: [DependencyGroup] = [], policy: ServicePolicy, bell: Bell)
        -> ScriptedService
    {
        ScriptedService(name, needs: needs, policy: policy, recorder: log, start: { service in
            try service.addTask("task") {
                try await bell.wait()
                throw Broken()
            }
        })
    }

    @Test func `an ignored failure is an event and nothing else`() async throws {
        let bell = Bell()
        let root = failing("root", policy: ServicePolicy(onTaskFailure: .ignore), bell: bell)
        let events = root.lifecycle.events()
        try await root.withRunning { root in
            bell.ring()
            for await event in events where event.kind == .failed {
                #expect(event.error?.service == "root#task")
                break
            }
            #expect(root.running)
        }
        #expect(log.entries == ["start root", "stop root"])
    }

    @Test(arguments: [
        (RestartScope.one, ["stop b", "start b"]),
        (.rest, ["stop root", "stop c", "stop b", "start b", "start c", "start root"]),
        (.dependents, ["stop root", "stop b", "start b", "start root"]),
    ])
    func `a failing service is started again with whom its policy says`(
        scope: RestartScope, steps: [String]
    ) async throws {
        let bell = Bell()
        let a = ScriptedService("a", recorder: log)
        let b = failing("b", [.one(a)], policy: policy(scope), bell: bell)
        let c = ScriptedService("c", recorder: log)
        let root = ScriptedService("root", needs: [.one(b), .one(c)], recorder: log)
        let task = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running }
        bell.ring()
        try await eventually("it is down") { clock.nextDeadline == .seconds(1) && log.contains("stop b") }
        clock.advance(by: .seconds(1))
        try await eventually("it runs again") { log.count("start b") == 2 && b.running && root.running && c.running }
        root.requestStop()
        #expect(await task.value == nil)
        let first = ["start a", "start b", "start c", "start root"]
        #expect(log.entries == first + steps + first.reversed().map { $0.replacing("start", with: "stop") })
        #expect(b.lifecycle.counters.restarts == 1)
    }

    @Test func `one that fails too often takes the tree with it`() async throws {
        let bell = Bell()
        let root = failing("root", policy: policy(limit: 2), bell: bell)
        let task = host { await thrown { try await root.run() } }
        for round in 1...3 {
            try await eventually("it runs") { root.running && bell.waiting == 1 }
            bell.ring()
            if round == 3 { break }
            let delay = Duration.seconds(1 << (round - 1))
            try await eventually("it waits longer") { clock.nextDeadline == clock.now + delay }
            clock.advance(by: delay)
        }
        let error = await task.value
        #expect(error?.story == ["restartLimitReached root#task"])
        #expect(error?.cause as? Broken == Broken())
        #expect(log.count("start root") == 3 && log.count("stop root") == 3)
    }

    @Test func `a restart that fails to start is a failure like the first`() async throws {
        let bell = Bell()
        let failures = FailureInjector()
        let root = ScriptedService("root", policy: policy(limit: 2), recorder: log, injector: failures) { service in
            try service.addTask { try await bell.wait(); throw Broken() }
        }
        let task = host { await thrown { try await root.run() } }
        try await eventually("it runs") { bell.waiting == 1 && root.running }
        failures.fail("start root")
        bell.ring()
        for delay in [Duration.seconds(1), .seconds(2)] {
            try await eventually("it waits") { clock.nextDeadline == clock.now + delay }
            clock.advance(by: delay)
        }
        #expect(await task.value?.kind == .restartLimitReached)
        #expect(log.entries == ["start root", "stop root"])
    }

    @Test func `a stop during the wait for a restart starts nothing`() async throws {
        let bell = Bell()
        let b = failing("b", policy: policy(), bell: bell)
        let root = ScriptedService("root", needs: [.one(b)], recorder: log)
        let task = host { await thrown { try await root.run() } }
        try await eventually("it runs") { root.running && bell.waiting == 1 }
        bell.ring()
        try await eventually("it waits") { clock.nextDeadline == .seconds(1) }
        root.requestStop()
        #expect(await task.value == nil)
        #expect(log.entries == ["start b", "start root", "stop b", "stop root"])
        try await root.withRunning { _ in #expect(b.running) }
    }

    @Test func `those who share a service that its tree does not start again lose it loudly`() async throws {
        let bell = Bell()
        let shared = failing("shared", policy: policy(), bell: bell)
        let a = ScriptedService("a", needs: [.one(shared)]), b = ScriptedService("b", needs: [.one(shared)])
        let first = host { await thrown { try await a.run() } }
        try await eventually("a runs") { a.running && bell.waiting == 1 }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running }
        bell.ring()
        try await eventually("it waits") { clock.nextDeadline == .seconds(1) }
        a.requestStop()
        #expect(await first.value == nil)
        #expect(await second.value?.kind == .stopping)
        #expect(!shared.running && shared.lifecycle.trees == 0)
    }

    @Test func `a restart whose stop never ends takes every tree that shares the service with it`() async throws {
        let bell = Bell(), gate = Gate()
        let shared = ScriptedService(
            "shared", policy: policy(), recorder: log,
            start: {
                try $0.addTask {
                    try await bell.wait(); throw Broken()
                }
            },
            stop: { _ in await gate.passStubbornly() })
        let a = ScriptedService("a", needs: [.one(shared)]), b = ScriptedService("b", needs: [.one(shared)])
        let first = host { await thrown { try await a.run() } }
        try await eventually("a runs") { a.running && bell.waiting == 1 }
        let second = host { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running }
        bell.ring()
        try await eventually("it is stopping") { gate.waiting == 1 && clock.nextDeadline == .seconds(10) }
        clock.advance(by: .seconds(10))
        try await eventually("it is cancelled") { clock.nextDeadline == .seconds(11) }
        clock.advance(by: .seconds(1))
        #expect(await first.value?.story == ["stopTimedOut a/shared"])
        #expect(await second.value?.story == ["stopTimedOut a/shared"])
        gate.open()
        try await eventually("it is down after all") { shared.lifecycle.counters.stops == 1 }
        #expect(log.count("stop shared") == 1)
    }

    @Test func `dependents wait until a service says that it is ready`() async throws {
        let gate = Gate()
        let announced = ServicePolicy(readiness: .announced)
        let slow = ScriptedService("slow", policy: announced, recorder: log, start: { service in
            try service.addTask { [log] in
                try await gate.pass()
                log.record("ready slow")
                service.ready()
            }
        })
        let root = ScriptedService("root", needs: [.one(slow)], recorder: log)
        let task = Task { await thrown { try await root.run() } }
        try await eventually("it has started") { log.contains("start slow") && gate.waiting == 1 }
        #expect(!slow.running && !log.contains("start root"))
        gate.open()
        try await root.waitUntilReadyOrStarting()
        #expect(log.entries == ["start slow", "ready slow", "start root"])
        root.requestStop()
        #expect(await task.value == nil)
    }

    @Test func `one that never says that it is ready has started too late`() async throws {
        let policy = ServicePolicy(startTimeout: .seconds(3), readiness: .announced)
        let mute = ScriptedService("mute", policy: policy, recorder: log)
        let task = host { await thrown { try await mute.run() } }
        try await eventually("it waits") { clock.nextDeadline == .seconds(3) && log.contains("start mute") }
        clock.advance(by: .seconds(3))
        #expect(await task.value?.kind == .startTimedOut)
        #expect(log.entries == ["start mute", "stop mute"])
    }

    @Test func `events tell each step with what it took`() async throws {
        let clock = clock
        let below = ScriptedService("below", start: { _ in clock.advance(by: .seconds(2)) })
        let root = ScriptedService("root", needs: [.one(below)], stop: { _ in
            clock.advance(by: .seconds(3))
            throw Broken()
        })
        let all = root.lifecycle.events(), own = below.lifecycle.events()
        let task = host { await thrown { try await root.withRunning { _ in } } }
        #expect(await task.value?.kind == .stopFailed)
        var seen: [String] = []
        for await event in all {
            seen.append("\(event.kind) \(event.service)" + (event.duration.map { " \($0)" } ?? ""))
            if event.kind == .stopped, event.name == "below" { break }
        }
        #expect(seen == [
            "starting root/below", "started root/below 2.0 seconds", "starting root", "started root 0.0 seconds",
            "stopping root", "failed root", "stopped root 3.0 seconds", "stopping root/below",
            "stopped root/below 0.0 seconds",
        ])
        var kinds: [ServiceEvent.Kind] = []
        for await event in own {
            kinds.append(event.kind)
            if event.kind == .stopped { break }
        }
        #expect(kinds == [.starting, .started, .stopping, .stopped])
        #expect(root.lifecycle.counters == counters(starts: 1, stops: 1, failures: 1))
    }

    private func counters(starts: Int, stops: Int, failures: Int) -> ServiceCounters {
        var counters = ServiceCounters()
        (counters.starts, counters.stops, counters.failures) = (starts, stops, failures)
        return counters
    }
}

extension AsyncService {
    /// As `waitUntilReady`, for a tree that a task is only about to start.
    func waitUntilReadyOrStarting() async throws {
        try await eventually("a tree has it") { lifecycle.trees > 0 }
        try await waitUntilReady()
    }
}

/// Wakes all who wait, each time it rings.
final class Bell: Sendable {
    private let gate = Mutex(Gate())

    var waiting: Int { gate.withLock { $0 }.waiting }
    func wait() async throws { try await gate.withLock { $0 }.pass() }

    func ring() {
        let old = gate.withLock { gate in
            defer { gate = Gate() }
            return gate
        }
        old.open()
    }
}
