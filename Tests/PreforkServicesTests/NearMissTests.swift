// Declarations that have a requirement's name and another type: they work, or the compiler refuses them. Defaults of
// the protocols hid them before, and they were never used.

import PreforkServices
import PreforkServicesTestKit
import PreforkTestSupport
import Testing

private final class Part: AsyncService {
    let lifecycle: Lifecycle
    let log: OrderRecorder
    init(_ name: String, _ log: OrderRecorder) { (lifecycle, self.log) = (Lifecycle(name), log) }
    func start() async throws { log.record("start") }
    func stop() async throws { log.record("stop") }
}

private final class BlockingPart: BlockingService {
    let serviceName: String
    let log: OrderRecorder
    init(_ name: String, _ log: OrderRecorder) { (serviceName, self.log) = (name, log) }
    func start() throws { log.record("start \(serviceName)") }
    func stop() throws { log.record("stop \(serviceName)") }
}

/// Takes its dependencies as they come.
private final class Root<Needed: Sendable>: Sendable {
    let lifecycle = Lifecycle("root")
    let dependencies: Needed
    init(_ dependencies: Needed) { self.dependencies = dependencies }
}

extension Root: AsyncService, _AsyncServiceShape, _ServiceMisplacements where Needed == [any AsyncService] {}

private protocol PatientService: AsyncService {}
extension PatientService {
    var gracefulShutdownTimeout: Duration { .seconds(60) }
    var policy: ServicePolicy { ServicePolicy(startTimeout: .seconds(5)) }
}

private final class Patient: PatientService {
    let lifecycle = Lifecycle()
}

private class Base: AsyncService, @unchecked Sendable {
    // Sendable: nothing in it changes.
    let lifecycle = Lifecycle("base")
    let log: OrderRecorder
    init(_ log: OrderRecorder) { self.log = log }
    var dependencies: [any AsyncService] { [] }
    var policy: ServicePolicy { ServicePolicy() }
    var gracefulShutdownTimeout: Duration { .seconds(60) }
    func start() async throws { log.record("base") }
    func stop() async throws {}
}

private final class Derived: Base, @unchecked Sendable {
    // Sendable: as its base.
    override var dependencies: [any AsyncService] { [Part("part", log)] }
    override func start() async throws { log.record("derived") }
    override func stop() async throws { log.record("stop derived") }
}

@Suite(.timeLimit(.minutes(3))) struct NearMissTests {
    let log = OrderRecorder()

    @Test func `dependencies may be services one after another`() async throws {
        let root = Root<[any AsyncService]>([ScriptedService("b", recorder: log), ScriptedService("c", recorder: log)])
        #expect(try ServicePlan(root).levels == [["b"], ["c"], ["root"]])
        try await root.withRunning { _ in log.record("body") }
        #expect(log.entries == ["start b", "start c", "body", "stop c", "stop b"])
    }

    @Test func `dependencies in facet's nested form are in order outside and at once inside`() throws {
        final class Nested: AsyncService {
            let lifecycle = Lifecycle("root")
            let b = ScriptedService("b"), c = ScriptedService("c"), d = ScriptedService("d")
            var dependencies: [[any AsyncService]] { [[b, c], [d]] }
        }
        #expect(try ServicePlan(Nested()).levels == [["b", "c"], ["d"], ["root"]])
        final class Mixed: AsyncService {
            let lifecycle = Lifecycle("root")
            let b = ScriptedService("b"), c = ScriptedService("c"), d = ScriptedService("d")
            var dependencies: [DependencyGroup] { [[b, c], .one(d)] }
        }
        #expect(try ServicePlan(Mixed()).levels == [["b", "c"], ["d"], ["root"]])
    }

    @Test func `dependencies may be arrays of one type, stored or lazy`() async throws {
        final class Flat: AsyncService {
            let lifecycle = Lifecycle("root")
            let dependencies: [Part]
            init(_ parts: [Part]) { dependencies = parts }
        }
        #expect(
            try ServicePlan(Flat([Part("b", log), Part("c", log)])).levels == [["b"], ["c"], ["root"]])
        final class Nested: AsyncService {
            let lifecycle = Lifecycle("root")
            let dependencies: [[Part]]
            init(_ parts: [[Part]]) { dependencies = parts }
        }
        #expect(try ServicePlan(Nested([[Part("b", log), Part("c", log)]])).levels == [["b", "c"], ["root"]])
        final class Lazy: BlockingService {
            let log: OrderRecorder
            init(_ log: OrderRecorder) { self.log = log }
            lazy var dependencies = [BlockingPart("b", log)]
        }
        try Lazy(log).withRunning { _ in }
        #expect(log.entries == ["start b", "stop b"])
    }

    @Test func `dependencies of a blocking service may be nested, and its name a plain string`() throws {
        final class Nested: BlockingService {
            let serviceName = "root"
            let parts: [[any BlockingService]]
            init(_ parts: [[any BlockingService]]) { self.parts = parts }
            var dependencies: [[any BlockingService]] { parts }
        }
        let root = Nested([[BlockingPart("b", log), BlockingPart("c", log)], [BlockingPart("d", log)]])
        #expect(try ServicePlan(blocking: root).levels.last == ["root"])
        try root.withRunning { _ in }
        #expect(log.entries == ["start b", "start c", "start d", "stop d", "stop c", "stop b"])
    }

    @Test func `a service's own shutdown timeout counts`() async throws {
        final class Stubborn: AsyncService {
            let lifecycle = Lifecycle("root")
            var gracefulShutdownTimeout: Duration { .seconds(60) }
            var policy: ServicePolicy { ServicePolicy(gracefulShutdownTimeout: .zero) }
            func stop() async throws { try Task.checkCancellation() }
        }
        // With the policy's own, zero, the stop would find itself cancelled.
        try await Stubborn().withRunning { _ in }
    }

    @Test func `a protocol gives its services a common policy`() {
        #expect(Patient().gracefulShutdownTimeout == .seconds(60))
        #expect(Patient().policy.startTimeout == .seconds(5))
        #expect((Patient() as any AsyncService).gracefulShutdownTimeout == .seconds(60))
    }

    @Test func `a subclass's overrides are called`() async throws {
        try await Derived(log).withRunning { _ in }
        #expect(log.entries == ["start", "derived", "stop derived", "stop"])
    }

    @Test func `a wish to stop may have a deadline that is always there`() async throws {
        final class Console: StopSource {
            let deadline = Duration.zero
            func observe(_ stop: @escaping @Sendable (StopReason) -> Void) -> @Sendable () -> Void { {} }
        }
        #expect((Console() as any StopSource)._latestDeadline == .zero)
        let root = ScriptedService("root", stop: { _ in try Task.checkCancellation() })
        let error = await thrown {
            try await ServiceHost(stopSource: Console()).with { try await root.withRunning { _ in } }
        }
        #expect(error?.kind == .stopTimedOut)
    }

    @Suite(.enabled(if: Compiler.path != nil, "there is no swiftc in PATH")) struct Refused {
        private static let async = "final class S: AsyncService { let lifecycle = Lifecycle(); BODY }"
        private static let blocking = "final class S: BlockingService { BODY }"
        private static let open = "class S: AsyncService, @unchecked Sendable { let lifecycle = Lifecycle(); BODY }"

        static let cases: [(source: String, body: String, message: String)] = [
            (async, "var dependencies: [Int] { [] }", "declare dependencies"),
            (async, "var dependencies: S? { nil }", "declare dependencies"),
            (async, "var dependencies: any AsyncService { self }", "declare dependencies"),
            (async, "var dependencies: [S?] { [] }", "declare dependencies"),
            (async, "func start() async -> Int { 1 }", "start() returns nothing"),
            (async, "func stop() async -> Int { 1 }", "stop() returns nothing"),
            (async, "private func start() async {}", "must be as accessible"),
            (async, "var policy: Int { 1 }", "policy is a ServicePolicy"),
            (async, "var policy: ServicePolicy? { nil }", "policy is a ServicePolicy"),
            (async, "var gracefulShutdownTimeout: Int { 60 }", "gracefulShutdownTimeout is a Duration"),
            (blocking, "var dependencies: [String] { [] }", "declare dependencies"),
            (blocking, "func start() async throws {}", "start() must be synchronous and return nothing"),
            (blocking, "func stop() async {}", "stop() must be synchronous and return nothing"),
            (blocking, "func start() -> Int { 1 }", "start() must be synchronous and return nothing"),
            (blocking, "var serviceName: Int { 1 }", "serviceName must be a String"),
            // Right in name and type, and in the wrong place.
            (async, "func dependencies() -> [any AsyncService] { [] }", "are properties: `var`, not `func`"),
            (async, "func dependencies() async -> [any AsyncService] { [] }", "are properties: `var`, not `func`"),
            (async, "func policy() -> ServicePolicy { ServicePolicy() }", "are properties: `var`, not `func`"),
            (async, "func gracefulShutdownTimeout() -> Duration { .zero }", "are properties: `var`, not `func`"),
            (async, "static var dependencies: [any AsyncService] { [] }", "belong to its object: remove `static`"),
            (async, "static let policy = ServicePolicy()", "belong to its object: remove `static`"),
            (async, "static let gracefulShutdownTimeout = Duration.zero", "belong to its object: remove `static`"),
            (async, "static func start() async throws {}", "belong to its object: remove `static`"),
            (async, "class func stop() {}", "belong to its object: remove `static`"),
            (blocking, "func dependencies() -> [any BlockingService] { [] }", "are properties: `var`, not `func`"),
            (blocking, "func serviceName() -> String { \"\" }", "are properties: `var`, not `func`"),
            (blocking, "static let serviceName = \"a\"", "belong to its object: remove `static`"),
            (blocking, "static let dependencies = [S]()", "belong to its object: remove `static`"),
            (blocking, "static func start() {}", "belong to its object: remove `static`"),
            (blocking, "static func stop() throws {}", "belong to its object: remove `static`"),
            // What a subclass would declare in place of a default was never called.
            (open, "func start() async {}; func stop() async {}; let policy = ServicePolicy()", "declare dependencies"),
            (open, "let dependencies = [S](); func stop() async {}; let policy = ServicePolicy()", "declare start()"),
            (open, "let dependencies = [S](); func start() async {}; let policy = ServicePolicy()", "declare stop()"),
            (open, "let dependencies = [S](); func start() async {}; func stop() async {}", "declare policy"),
            ("class S: BlockingService { BODY }", "func start() {}", "A non-final class must declare"),
            ("class S: BlockingService { BODY }", "let serviceName: String? = nil", "A non-final class"),
            (
                "struct C: ServiceClock { var now: Duration { .zero }; func sleep(until: Duration) async {}; BODY }",
                "func fraction() -> Float { 0 }", "fraction() returns a Double"
            ),
            (
                "final class C: StopSource { func observe(_: @escaping @Sendable (StopReason) -> Void) -> @Sendable ()"
                    + " -> Void { {} }; BODY }", "let deadline = 5", "deadline is a Duration"
            ),
        ]

        @Test(arguments: cases.indices) func `The compiler refuses what would not be used`(_ index: Int) async throws {
            let (source, body, message) = Self.cases[index]
            let said = try await Compiler.complaints(
                about: "import PreforkServices\n" + source.split(separator: "BODY").joined(separator: body))
            #expect(said.contains("error: ") && said.contains(message), "\(body)\n\(said)")
        }

        @Test func `It takes the same classes without it`() async throws {
            for source in [Self.async, Self.blocking] {
                let said = try await Compiler.complaints(
                    about: "import PreforkServices\n" + source.split(separator: "BODY").joined(separator: ""))
                #expect(said.isEmpty, "\(said)")
            }
        }

        /// Requirements of one name are a property and a disfavoured function.
        @Test func `A service's members are used without ambiguity`() async throws {
            let body = """
                func f<A: AsyncService, B: BlockingService>(_ a: A, _ b: B, _ c: any AsyncService) async throws {
                    let (p, q, r) = (a.policy, c.policy, a.gracefulShutdownTimeout)
                    let (s, t, u) = (a.dependencies, b.dependencies, b.serviceName)
                    try await a.start(); try await c.stop(); try b.withRunning { _ in }
                    print(p.startTimeout as Any, q.startTimeout as Any, r + .zero, s, t, u)
                }
                """
            let said = try await Compiler.complaints(about: "import PreforkServices\n" + body)
            #expect(said.isEmpty, "\(said)")
        }
    }
}
