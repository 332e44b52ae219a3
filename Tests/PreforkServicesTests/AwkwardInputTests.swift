// What is done with a service at the wrong moment.

import PreforkServices
import PreforkServicesTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct AwkwardInputTests {
    let log = OrderRecorder()

    @Test func `a stop that comes before the start is remembered once`() async throws {
        let root = ScriptedService("root", needs: [.one(ScriptedService("below", recorder: log))], recorder: log)
        root.requestStop(.signal(15))
        root.requestStop()
        #expect(await thrown { try await root.run() }?.story == ["cancelled root"])
        #expect(log.entries == [])
        try await root.withRunning { #expect($0.running) }
    }

    @Test func `a stop during the start is kept as the reason and is no error`() async throws {
        let gate = Gate()
        let below = ScriptedService("below", recorder: log)
        let root = ScriptedService("root", needs: [.one(below)], recorder: log, start: { _ in try await gate.pass() })
        let run = Task { try await root.run() }
        try await eventually("it is starting") { gate.waiting == 1 }
        let waiter = Task { try await root.wait() }
        root.requestStop(.signal(2))
        root.requestStop(.requested)
        #expect(try await run.value == .signal(2))
        #expect(try await waiter.value == .signal(2))
        #expect(log.entries == ["start below", "stop below"])

        // A scope cannot call its body then, and says so.
        let scope = Task { await thrown { try await root.withRunning { _ in Issue.record("the body ran") } } }
        try await eventually("it is starting again") { gate.waiting == 1 }
        root.requestStop()
        #expect(await scope.value?.kind == .cancelled)
    }

    @Test func `a stop from inside start ends the tree`() async throws {
        let root = ScriptedService("root", recorder: log, start: { service in
            service.requestStop()
            try await Gate().pass()
        })
        #expect(try await root.run() == .requested)
        #expect(log.entries == [])
    }

    @Test func `the first reason counts`() async throws {
        let root = ScriptedService("root", start: { service in
            try service.addTask {
                service.requestStop(.deadline)
                service.requestStop(.requested)
            }
        })
        let reason = try? await root.run()
        #expect(reason == .deadline)
    }

    @Test func `a stop of a dependency ends the trees that hold it`() async throws {
        let below = ScriptedService("below", recorder: log)
        let root = ScriptedService("root", needs: [.one(below)], recorder: log)
        let run = Task { try await root.run() }
        try await eventually("it runs") { root.running }
        below.requestStop()
        #expect(try await run.value == .requested)
        #expect(log.all("stop") == ["root", "below"])
    }

    @Test func `a start while it runs is one more holder`() async throws {
        let root = ScriptedService("root", recorder: log)
        try await root.withRunning { _ in
            try await root.withRunning { _ in }
            #expect(root.running)
        }
        #expect(log.entries == ["start root", "stop root"])
    }

    @Test func `waiting for what was never started is an error`() async {
        let root = ScriptedService("root")
        #expect(await thrown { try await root.wait() }?.kind == .notRunning)
        #expect(await thrown { try await root.waitUntilReady() }?.kind == .notRunning)
    }

    @Test func `one service twice in a group is started once`() async throws {
        let twice = ScriptedService("twice", recorder: log)
        let root = ScriptedService("root", needs: [.parallel([twice, twice]), .one(twice)], recorder: log)
        try await root.withRunning { _ in }
        #expect(log.entries == ["start twice", "start root", "stop root", "stop twice"])
    }

    @Test func `two services with one lifecycle are refused`() async {
        final class Sharing: AsyncService {
            let lifecycle: Lifecycle
            let dependencies: [DependencyGroup]
            init(_ lifecycle: Lifecycle, _ dependencies: [DependencyGroup] = []) {
                self.lifecycle = lifecycle
                self.dependencies = dependencies
            }
        }
        let shared = Lifecycle()
        let error = await thrown { try await Sharing(shared, [.one(Sharing(shared))]).run() }
        #expect(error?.kind == .duplicateName("Sharing-2") || error?.kind == .duplicateName("Sharing-1"))
        #expect(shared.trees == 0)
    }

    @Test func `a tree started by a service's own task cannot need that service`() async throws {
        let found = Mutex<ServiceError.Kind?>(nil)
        let root = ScriptedService("root", start: { service in
            try service.addTask {
                let inner = ScriptedService("inner", needs: [.one(service)])
                let error = await thrown { try await inner.run() }
                found.withLock { $0 = error?.kind }
                service.requestStop()
            }
        })
        try await root.run()
        #expect(found.withLock { $0 } == .cycle(["root", "inner", "root"]))
    }

    @Test func `a tree may be started by a service's own task`() async throws {
        let inner = ScriptedService("inner", recorder: log)
        let root = ScriptedService("root", recorder: log, start: { try $0.addTask { try await inner.run() } })
        try await root.withRunning { _ in try await inner.waitUntilReadyOrStarting() }
        #expect(log.entries.suffix(2) == ["stop root", "stop inner"])
        #expect(!inner.running)
    }

    @Test func `the error of a body wins over those of the stop, and both are told`() async {
        let failures = FailureInjector(["stop root"])
        let root = ScriptedService("root", injector: failures)
        let error = await thrown { try await root.withRunning { _ in throw Broken() } }
        #expect(error?.story == ["bodyFailed root", "stopFailed root"])
        #expect(error?.cause as? Broken == Broken())
        let clean = await thrown { try await ScriptedService("clean").withRunning { _ in throw Broken() } }
        #expect(clean as? Broken == Broken())
    }

    @Test func `everything met while unwinding is kept in order`() async throws {
        let failures = FailureInjector(["stop root", "stop below"])
        let below = ScriptedService("below", injector: failures)
        let root = ScriptedService("root", needs: [.one(below)], injector: failures, start: { service in
            try service.addTask("first") { throw Broken() }
        })
        let error = await thrown { try await root.run() }
        #expect(error?.kind == .taskFailed || error?.kind == .startFailed)
        let later = await thrown {
            try await ScriptedService("scope", needs: [.one(below)], injector: failures).withRunning { _ in }
        }
        #expect(later?.story == ["stopFailed scope/below"])
        let text = "\((later as? ServiceError)!)"
        #expect(text == "scope/below: stop failed: injected at stop below")
    }

    @Test func `a task that fails while it is being ended is told, too`() async {
        let root = ScriptedService("root", start: { service in
            try service.addTask("sore") {
                try? await Gate().pass()
                throw Broken()
            }
        })
        #expect(await thrown { try await root.withRunning { _ in } }?.story == ["taskFailed root#sore"])
    }

    @Test func `cancelling one task ends that one alone`() async throws {
        let root = ScriptedService("root")
        try await root.withRunning { root in
            let first = Gate(), second = Gate()
            let task = try root.addTask { try await first.pass() }
            try root.addTask { try await second.pass() }
            try await eventually("both wait") { first.waiting == 1 && second.waiting == 1 }
            root.cancelTask(task)
            root.cancelTask(task)
            try await eventually("the first has ended") { first.waiting == 0 }
            #expect(second.waiting == 1 && root.running)
        }
    }

    @Test func `run asks the host for wishes to stop and ends the observation`() async throws {
        let console = Console()
        let root = ScriptedService("root", recorder: log)
        let run = Task { try await ServiceHost(stopSource: console).with { try await root.run() } }
        try await eventually("it runs") { root.running }
        console.wish()
        #expect(try await run.value == .signal(15))
        #expect(console.observers == 0)
    }

    @Test func `a wish of the host that comes before the start starts nothing, and says so`() async {
        let console = Console()
        console.wish()
        let root = ScriptedService("root", recorder: log)
        let error = await ServiceHost(stopSource: console).with { await thrown { try await root.run() } }
        #expect(error?.story == ["cancelled root"])
        #expect((error as? ServiceError)?.exitCode == 0)
        #expect(log.entries == [] && console.observers == 0)
    }

    @Test func `a wish of the host ends the wait of a scope, whose body then finishes`() async throws {
        let console = Console()
        let root = ScriptedService("root", recorder: log)
        let scope = Task { [log] in
            try await ServiceHost(stopSource: console).with {
                try await root.withRunning { root in
                    let reason = try await root.wait()
                    log.record("finishing \(root.running)")
                    return reason
                }
            }
        }
        try await eventually("it runs") { root.running }
        console.wish()
        #expect(try await scope.value == .signal(15))
        #expect(log.entries == ["start root", "finishing true", "stop root"])
        #expect(console.observers == 0)
    }

    @Test func `a scope that begins after the wish is part of what is finished`() async throws {
        let console = Console()
        console.wish()
        let root = ScriptedService("root", recorder: log)
        let reason = try await ServiceHost(stopSource: console).with {
            try await root.withRunning { try await $0.wait() }
        }
        #expect(reason == .signal(15))
        #expect(log.entries == ["start root", "stop root"] && console.observers == 0)
    }

    @Test func `a wish while a scope starts gives the start up`() async throws {
        let console = Console()
        let gate = Gate()
        let root = ScriptedService("root", recorder: log, start: { _ in try await gate.pass() })
        let scope = Task {
            await ServiceHost(stopSource: console).with { await thrown { try await root.withRunning { _ in } } }
        }
        try await eventually("it starts") { gate.waiting == 1 }
        console.wish()
        #expect((await scope.value)?.story == ["cancelled root"])
        #expect(console.observers == 0)
    }

    @Test func `a host can cancel the body of a scope, and knows whether it waits`() async throws {
        let scopes = Mutex<[any RunningScope]>([])
        let ends = Mutex<[Bool]>([])
        var watched = ServiceHost()
        watched.scopeWatcher = { scope in
            scopes.withLock { $0.append(scope) }
            return { thrown in ends.withLock { $0.append(thrown) } }
        }
        let host = watched
        let deaf = ScriptedService("deaf", recorder: log), waiting = ScriptedService("waiting", recorder: log)
        let sleeper = Task {
            try await host.with { try await deaf.withRunning { _ in try await Task.sleep(for: .seconds(1_000)) } }
        }
        let waiter = Task { try await host.with { try await waiting.withRunning { _ = try await $0.wait() } } }
        try await eventually("both run, and one waits") {
            scopes.withLock { $0.count == 2 && $0.count(where: \.isWaitedFor) == 1 }
        }
        for scope in scopes.withLock({ $0 }) where !scope.isWaitedFor { scope.cancel() }
        await #expect(throws: CancellationError.self) { try await sleeper.value }
        waiting.requestStop()
        try await waiter.value
        #expect(ends.withLock { $0 } == [true, false])
        // Nothing is left to be cancelled.
        for scope in scopes.withLock({ $0 }) { scope.cancel() }
    }

    @Test func `the host's executor runs the services' own code`() async throws {
        final class Counting: TaskExecutor {
            let jobs = Atomic(0)

            func enqueue(_ job: consuming ExecutorJob) {
                jobs.add(1, ordering: .relaxed)
                let job = UnownedJob(job)
                Task.detached { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
            }
        }
        let executor = Counting()
        let places = Mutex<[Bool]>([])
        let look: ScriptedService.Script = { service in
            let isThere = withUnsafeCurrentTask { $0?.unownedTaskExecutor == executor.asUnownedTaskExecutor() }
            places.withLock { $0.append(isThere) }
        }
        let root = ScriptedService("root", start: { service in
            try await look(service)
            try service.addTask { try await look(service) }
        }, stop: look)
        try await ServiceHost(executor: executor).with {
            try await root.withRunning { _ in try await eventually("all ran") { places.withLock { $0.count } == 2 } }
        }
        #expect(places.withLock { $0 } == [true, true, true])
        #expect(executor.jobs.load(ordering: .relaxed) >= 3)
    }

    @Test func `nothing of a tree outlives it`() async throws {
        weak var gone: ScriptedService?
        weak var lifecycle: Lifecycle?
        func runOnce() async throws {
            let root = ScriptedService("root", needs: [.one(ScriptedService("below"))], start: { service in
                try service.addTask { try await Gate().pass() }
            })
            (gone, lifecycle) = (root, root.lifecycle)
            try await root.withRunning { _ in }
            #expect(gone != nil)
        }
        try await runOnce()
        try await eventually("the service is released") { gone == nil && lifecycle == nil }
    }

    @Test func `exit codes tell a crash from a failed start and a late stop`() {
        let codes: [(ServiceError.Kind, Int32)] = [
            (.taskFailed, 70), (.stopFailed, 70), (.startFailed, 75), (.startTimedOut, 75), (.cycle([]), 75),
            (.stopTimedOut, 76), (.cancelled, 0),
        ]
        for (kind, code) in codes { #expect(ServiceError(kind, service: "x").exitCode == code) }
    }

    @Test func `long error trees are printed without recursion`() {
        let error = (0..<2_000).reduce(ServiceError(.stopFailed, service: "x")) { inner, _ in
            ServiceError(.stopFailed, service: "x", suppressed: [inner])
        }
        #expect("\(error)".split(separator: "\n").count == 2_001)
    }
}
