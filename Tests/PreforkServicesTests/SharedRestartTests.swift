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

    /// Moves the clock to its next deadline, which is to be this one.
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
}
