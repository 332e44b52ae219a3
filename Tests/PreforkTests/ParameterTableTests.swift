// Every public parameter of Prefork with values that make no sense, as far as no process need be forked for it.

import Prefork
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ParameterTableTests {
    /// One at a time: names of channels are those of the process.
    @Test(.serialized, arguments: table) func everyValueHasItsMeaningOrItsError(_ row: ParameterRow) async {
        await row.check()
    }

    @Test func noParameterIsMissing() {
        expectComplete(
            Self.table, module: "Prefork",
            reasons: [
                "Worker": "a worker's own: `aWorkerTakesEveryValue` in a process of its own",
                "ForkRuntime.runAndExit": "ends the process: `RunAndExitTests`; otherwise as `Listener.init`",
                "Listener.orExit": "ends the process: `RunAndExitTests`; otherwise as `Listener.init`",
            ])
    }

    /// `Worker.countRequest`, `.heartbeat` and `.exit` in real workers.
    @Test func aWorkerTakesEveryValue() async throws {
        let program = try ChildProgram("fork-fixture", ["worker-parameters"])
        let status = try await program.waitForExit(within: .seconds(60))
        #expect(status == 0, "\(program.output)\(program.errors)")
        let lines = program.output.split(separator: "\n").map(String.init).sorted()
        // The kernel would keep the low eight bits: 256 would look like success.
        #expect(
            lines == [
                "exit code -1: exited with code 255", "exit code -2147483648: exited with code 255",
                "exit code 0: exited with code 0", "exit code 2147483647: exited with code 255",
                "exit code 255: exited with code 255", "exit code 256: exited with code 255",
            ])
    }

    private static let table: [ParameterRow] = names + options + waits + marks + pools + once + functions

    /// Any text is a name. The test runner has threads, so that no call gets a helper.
    private static let functions: [ParameterRow] = Parameter.text(
        "BlockingFunction.init.name", empty: .refused("threads"), huge: .refused("threads"), other: .refused("threads")
    ) { name in _ = try await BlockingFunction<Int, Int>(name) { $0 }.run(1) }

    /// What cannot be is refused by `run`, before it looks at this process's threads.
    private static let pools: [ParameterRow] =
        Parameter.number(
            "ForkRuntime.init.workers", zero: .refused("number of workers: 0"),
            negative: .refused("number of workers: -"), huge: .refused("number of workers: 9")
        ) { (workers: Int) in try ForkRuntime(workers: workers).run { _ in } }
        + Parameter.value("ForkRuntime.init.workers", "nil", .means("one per core")) {
            let none: Int? = nil
            #expect(ForkRuntime(workers: none).workers == .perCore)
        }
        + limits.flatMap { parameter, make in
            Parameter.number(
                parameter, zero: .means("no restart"), negative: .refused("restarts.limit=-"), huge: .means("no limit")
            ) { (restarts: Int) in
                let runtime = make(restarts)
                #expect(runtime.restarts.limit == restarts && runtime.maxRestarts == restarts)
                #expect(runtime.restarts.countsRequestCrashes)
                do { try runtime.run { _ in } } catch let error as SupervisorError {
                    guard case .multithreaded = error.code else { throw error }
                }
            }
        }
        + Parameter.value("ForkRuntime.init.maxRestarts", "nil", .means("nobody has set it")) {
            #expect(ForkRuntime(workers: 2, maxRestarts: nil).restarts == RestartPolicy())
        }

    private static let limits: [(String, @Sendable (Int) -> ForkRuntime)] = [
        ("ForkRuntime.init.maxRestarts", { ForkRuntime(workers: 2, maxRestarts: $0) }),
        ("ForkRuntime.init.maxRestarts", { count in ForkRuntime(workers: Int?.none, maxRestarts: count) }),
        (
            "ForkRuntime.init.maxRestarts",
            { count in
                var runtime = ForkRuntime()
                runtime.maxRestarts = count
                return runtime
            }
        ),
    ]

    private static let marks: [ParameterRow] = Parameter.number(
        "RequestOptions.init.rawValue", zero: .means("none"), negative: .means("bits without a meaning"),
        huge: .means("bits without a meaning")
    ) { (bits: Int) in
        #expect(RequestOptions(rawValue: bits).contains(.includesQuery) == !bits.isMultiple(of: 2))
    }

    /// A manager with one target, `target`.
    private static func manager(_ options: TargetOptions = TargetOptions()) throws -> ProcessManager {
        let manager = ProcessManager()
        try manager.addTarget("target", options) { _ in 0 }
        return manager
    }

    private static let named: [(parameter: String, call: @Sendable (ProcessManager, String) throws -> Void)] = [
        ("ProcessManager.removeTarget.name", { try $0.removeTarget($1) }),
        ("ProcessManager.start.name", { try $0.start($1) }),
        ("ProcessManager.launch.name", { try $0.launch($1) }),
        ("ProcessManager.send.to", { try $0.send(.stop, to: $1) }),
        ("ProcessManager.restart.name", { try $0.restart($1) }),
        ("ProcessManager.isProcessAlive.name", { _ = try $0.isProcessAlive($1) }),
        ("ProcessManager.status.of", { _ = try $0.status(of: $1) }),
        ("ProcessManager.terminate.name", { try $0.terminate($1) }),
    ]

    private static let names: [ParameterRow] =
        Parameter.text(
            "ProcessManager.addTarget.name", empty: .refused("cannot be a target's name"), huge: .means("a name"),
            other: .means("a name, which is escaped where it is shown")
        ) { name in
            let manager = ProcessManager()
            try manager.addTarget(name) { _ in 0 }
            mustHold(try manager.status(of: name).name == name)
            #expect(throws: ProcessError.self) { try manager.addTarget(name) { _ in 0 } }
            try manager.removeTarget(name)
        }
        + named.flatMap { parameter, call in
            Parameter.text(
                parameter, empty: .refused("no target \"\""), huge: .refused("no target \"xxx"),
                nul: .refused("a\\u{0}b"),
                controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("no target \"../x\""),
                foreign: .refused("größe \\u{202E}")
            ) { try call(manager(), $0) }
        }

    private static let policies: [(String, @Sendable (inout RestartPolicy) -> Void)] = [
        ("onFailure.limit", { $0.limit = -1 }), ("onFailure.bootLimit", { $0.bootLimit = -1 }),
        ("onFailure.window", { $0.window = .init(count: 0, per: .seconds(1)) }),
        ("onFailure.backoff.base", { $0.backoff.base = .seconds(-1) }),
        ("onFailure.backoff.immediate", { $0.backoff.immediate = -1 }),
    ]

    private static let options: [ParameterRow] =
        Parameter.list(
            "TargetOptions.init.dependencies", of: "target", count: 10_000, empty: .means("none"),
            huge: .refused("depend on each other: target -> target")
        ) { _ = try manager(TargetOptions(dependencies: $0)).plan() }
        + Parameter.value(
            "TargetOptions.init.dependencies", "a circle of 61", .refused("target -> 0 -> 1 ->", "... ->")
        ) {
            let circle = try manager(TargetOptions(dependencies: ["0"]))
            for number in 0..<60 {
                let next = number == 59 ? "target" : "\(number + 1)"
                try circle.addTarget("\(number)", TargetOptions(dependencies: [next])) { _ in 0 }
            }
            _ = try circle.plan()
        }
        + Parameter.text(
            "TargetOptions.init.dependencies", empty: .refused("no target \"\": target ->"),
            huge: .refused("no target \"xxx"),
            nul: .refused("a\\u{0}b"), controls: .refused("a\\u{1B}[2J\\u{A}b"), dots: .refused("../x"),
            foreign: .refused("größe")
        ) { _ = try manager(TargetOptions(dependencies: [$0])).plan() }
        + Parameter.duration(
            "TargetOptions.init.startTimeout", zero: .refused("target", "startTimeout", "0.0 seconds"),
            negative: .refused("target", "startTimeout", "-"), huge: .means("for ever")
        ) { _ = try manager(TargetOptions(startTimeout: $0)) }
        + Parameter.value("TargetOptions.init.startTimeout", "nil", .means("for ever")) { _ = try manager() }
        + Parameter.duration(
            "TargetOptions.init.grace", zero: .means("killed at once"), negative: .means("killed at once"),
            huge: .means("for ever")
        ) { _ = try manager(TargetOptions(grace: $0)).plan() }
        + Parameter.duration(
            "ProcessManager.init.grace", zero: .means("killed at once"), negative: .means("killed at once"),
            huge: .means("for ever")
        ) { grace in
            let manager = ProcessManager(grace: grace)
            try manager.addTarget("target") { _ in 0 }
        }
        // A policy that makes no sense is found when it is given, not at the first crash.
        + policies.flatMap { name, change in
            Parameter.value("TargetOptions.init.startTimeout", name, .refused("target", name)) {
                var policy = RestartPolicy()
                change(&policy)
                _ = try manager(TargetOptions(onFailure: .restart(policy)))
            }
        }

    private struct Busy: Error {}

    private static let waiting: [(String, @Sendable (ProcessManager, Duration) throws -> Void)] = [
        ("ProcessManager.turn.waitingAtMost", { if try $0.turn(waitingAtMost: $1) { throw Busy() } }),
        ("ProcessManager.joinAll.for", { if try !$0.joinAll(for: $1).isEmpty { throw Busy() } }),
        ("ProcessManager.terminateAll.within", { if try !$0.terminateAll(within: $1).isEmpty { throw Busy() } }),
        ("ProcessManager.terminate.within", { if try $0.terminate("target", within: $1) != nil { throw Busy() } }),
    ]

    /// Nothing runs, so that each returns at once, whatever it was given.
    private static let waits: [ParameterRow] =
        waiting.flatMap { parameter, call in
            Parameter.duration(
                parameter, zero: .means("looks once, or kills at once"),
                negative: .means("looks once, or kills at once"),
                huge: .means("as long as it takes")
            ) { try call(manager(), $0) }
        }
        + Parameter.duration(
            "ProcessManager.startAll.waitingForReadiness", zero: .refused("threads"), negative: .refused("threads"),
            huge: .refused("threads")
        ) {
            // A test runner has threads, and cannot fork: with zero time in a process of its own, see manager-fixture.
            try manager().startAll(waitingForReadiness: $0)
        }
}
