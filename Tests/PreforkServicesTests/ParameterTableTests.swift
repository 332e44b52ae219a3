// Every public parameter of PreforkServices, and of its test kit, with values that make no sense.

import PreforkServices
import PreforkServicesTestKit
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    @Test(arguments: table + kit) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "PreforkServices",
            reasons: [
                "ServiceError": "what a tree tells", "StopReason": "why a tree ended, in the host's words",
            ])
        expectComplete(Self.kit, module: "PreforkServicesTestKit")
    }

    private static let table: [ParameterRow] = policies + backoffs + services

    /// Runs a tree of one service with this policy, which must come up and go down.
    private static func run(_ change: (inout ServicePolicy) -> Void) async throws {
        var policy = ServicePolicy()
        change(&policy)
        let service = ScriptedService("service", policy: policy)
        try await service.withRunning { service in #expect(service.running) }
        #expect(!service.running)
    }

    private static let policies: [ParameterRow] =
        Parameter.duration(
            "ServicePolicy.init.startTimeout",
            zero: .means("the start is cancelled at once; one that ends by itself is up"),
            negative: .means("the same as zero"), huge: .means("90 years")
        ) { timeout in
            do { try await run { $0 = ServicePolicy(startTimeout: timeout) } } catch let error as ServiceError {
                #expect(timeout <= .zero && error.kind == .startTimedOut)
            }
        }
        + Parameter.value("ServicePolicy.init.startTimeout", "nil", .means("as long as it likes")) {
            try await run { $0 = ServicePolicy(startTimeout: nil) }
        }
        + Parameter.duration(
            "ServicePolicy.init.gracefulShutdownTimeout",
            zero: .means("the stop is cancelled at once; it is still called"),
            negative: .means("the same as zero"), huge: .means("90 years")
        ) { timeout in try await run { $0 = ServicePolicy(gracefulShutdownTimeout: timeout) } }

    /// What a service does that fails without end: restarts as the backoff says, or none.
    private static func verdicts(_ backoff: ServiceBackoff) -> [FailureScore.Verdict] {
        var score = FailureScore()
        return (0..<200).map { score.fail(at: .milliseconds($0), backoff, fraction: 0.5) }
    }

    /// No wait is below zero or above 90 years, whatever the numbers are.
    private static func check(_ backoff: ServiceBackoff, gives: (FailureScore.Verdict) -> Bool) {
        let all = verdicts(backoff)
        for case .restart(let wait) in all { #expect(wait >= .zero && wait < .seconds(100 * 366 * 86_400)) }
        #expect(all.last.map(gives) == true, "\(String(describing: all.last))")
    }

    private static let backoffs: [ParameterRow] =
        Parameter.duration(
            "ServiceBackoff.init.base", zero: .means("no wait"), negative: .means("no wait"), huge: .means("the cap")
        ) { base in
            check(ServiceBackoff(base: base, cap: .seconds(30), jitter: 0, limit: .max)) {
                $0 == .restart(after: base > .zero ? .seconds(30) : .zero)
            }
        }
        + Parameter.duration(
            "ServiceBackoff.init.cap", zero: .means("no wait"), negative: .means("no wait"), huge: .means("90 years")
        ) { cap in
            check(ServiceBackoff(cap: cap, limit: .max)) {
                if case .restart(let wait) = $0 { (wait > .zero) == (cap > .zero) } else { false }
            }
        }
        + Parameter.fraction(
            "ServiceBackoff.init.jitter", zero: .means("no chance"), negative: .means("no chance"),
            huge: .means("as 1"),
            notANumber: .means("no chance")
        ) { jitter in
            check(ServiceBackoff(jitter: jitter, limit: .max)) {
                $0 == .restart(after: jitter > 0 ? .seconds(15) : .seconds(30))
            }
        }
        + Parameter.number(
            "ServiceBackoff.init.limit", zero: .means("no restart"), negative: .means("no restart"),
            huge: .means("no limit")
        ) { (limit: Int) in check(ServiceBackoff(limit: limit)) { ($0 == .giveUp) == (limit <= 0) } }
        + Parameter.duration(
            "ServiceBackoff.init.window", zero: .means("nothing is remembered"),
            negative: .means("nothing is remembered"),
            huge: .means("nothing is forgotten")
        ) { window in check(ServiceBackoff(limit: 5, window: window)) { ($0 == .giveUp) == (window > .zero) } }

    private static let services: [ParameterRow] =
        Parameter.text(
            "Lifecycle.init.name", empty: .means("a service without a name in paths"), huge: .means("a name"),
            other: .means("a name")
        ) { name in try await ScriptedService(name).withRunning { #expect($0.running) } }
        + Parameter.value("Lifecycle.init.name", "nil", .means("the type's name and a number")) { _ = Lifecycle(nil) }
        + Parameter.text(
            "AsyncService.addTask.name", empty: .means("a task without a name in errors"), huge: .means("a name"),
            other: .means("a name")
        ) { name in
            try await ScriptedService("service").withRunning { service in
                try await service.addTask(name) {}.value
            }
        }
        + Parameter.duration(
            "SystemServiceClock.sleep.until", zero: .means("no wait"), negative: .means("no wait"),
            huge: .means("until it is cancelled")
        ) { deadline in
            if deadline <= .zero { return try await SystemServiceClock().sleep(until: deadline) }
            let task = Task { try await SystemServiceClock().sleep(until: deadline) }
            try await Task.sleep(for: .milliseconds(20))
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }

    // The test kit

    private static let kit: [ParameterRow] = clocks + recorders

    private static let clocks: [ParameterRow] =
        Parameter.fraction(
            "ManualClock.init.fraction", zero: .means("no chance"), negative: .means("what the test wants"),
            huge: .means("what the test wants"), notANumber: .means("what the test wants")
        ) { fraction in
            let found = ManualClock(fraction: fraction).fraction()
            #expect(found == fraction || found.isNaN && fraction.isNaN)
        }
        + Parameter.duration(
            "ManualClock.advance.by", zero: .means("nothing"), negative: .means("nothing: it never goes back"),
            huge: .means("very late")
        ) { time in
            let clock = ManualClock()
            for _ in 0..<3 { clock.advance(by: time) }
            #expect(clock.now >= .zero)
        }
        + Parameter.duration(
            "ManualClock.advance.to", zero: .means("nothing"), negative: .means("nothing: it never goes back"),
            huge: .means("very late")
        ) { time in
            let clock = ManualClock()
            clock.advance(to: time)
            #expect(clock.now == min(max(time, .zero), .seconds(Int64.max)))
        }
        + Parameter.duration(
            "ManualClock.sleep.until", zero: .means("no wait"), negative: .means("no wait"), huge: .means("until then")
        ) { time in
            let clock = ManualClock()
            clock.advance(to: time)
            try await clock.sleep(until: time)
        }

    private static let recording: [(String, @Sendable (String) throws -> Void)] = [
        (
            "FailureInjector.init.points",
            { point in #expect(throws: InjectedFailure(point)) { try FailureInjector([point]).pass(point) } }
        ),
        (
            "FailureInjector.fail.point",
            { point in
                let injector = FailureInjector()
                injector.fail(point)
                #expect(throws: InjectedFailure(point)) { try injector.pass(point) }
            }
        ),
        ("FailureInjector.pass.point", { try FailureInjector().pass($0) }),
        ("InjectedFailure.init.point", { #expect(InjectedFailure($0).point == $0) }),
        ("OrderRecorder.record.step", { OrderRecorder().record($0) }),
        ("OrderRecorder.all.verb", { #expect(OrderRecorder().all($0).isEmpty) }),
        ("OrderRecorder.count.step", { #expect(OrderRecorder().count($0) == 0) }),
        ("OrderRecorder.contains.step", { #expect(!OrderRecorder().contains($0)) }),
        ("ScriptedService.init.name", { _ = ScriptedService($0) }),
        ("ScriptedBlockingService.init.name", { _ = ScriptedBlockingService($0) }),
    ]

    private static let recorders: [ParameterRow] =
        recording.flatMap { parameter, call in
            Parameter.text(parameter, empty: .means("a name"), huge: .means("a name"), other: .means("a name")) {
                try call($0)
            }
        }
        + Parameter.number(
            "FailureInjector.fail.times", zero: .means("never"), negative: .means("never"), huge: .means("always")
        ) { (times: Int) in
            let injector = FailureInjector()
            injector.fail("point", times: times)
            for _ in 0..<3 {
                if times > 0 {
                    #expect(throws: InjectedFailure.self) { try injector.pass("point") }
                } else {
                    try injector.pass("point")
                }
            }
        }
}
