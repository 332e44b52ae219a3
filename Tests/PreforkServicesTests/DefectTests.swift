// What facet does wrong, one test each: none of it happens here.

import PreforkServices
import PreforkServicesTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct DefectTests {
    let log = OrderRecorder()
    let failures = FailureInjector()

    private func service(
        _ name: String, _ needs: [DependencyGroup] = [], policy: ServicePolicy = ServicePolicy(),
        start: @escaping ScriptedService.Script = { _ in }, stop: @escaping ScriptedService.Script = { _ in }
    ) -> ScriptedService {
        ScriptedService(
            name, needs: needs, policy: policy, recorder: log, injector: failures, start: start, stop: stop)
    }

    /// A failed start leaked its count: after a second start the service ran for ever.
    @Test func testF1AFailedStartLeavesNoHold() async throws {
        failures.fail("start root", times: 1)
        let root = service("root", [.one(service("below"))])
        #expect(await thrown { try await root.withRunning { _ in } }?.kind == .startFailed)
        try await root.withRunning { _ in }
        #expect(!root.running)
        #expect(log.entries == ["start below", "stop below", "start below", "start root", "stop root", "stop below"])

        failures.fail("start blocking", times: 1)
        let blocking = ScriptedBlockingService("blocking", recorder: log, injector: failures)
        #expect(await thrown { try blocking.withRunning { _ in } }?.kind == .startFailed)
        try blocking.withRunning { _ in }
        #expect(!blocking.running)
        #expect(log.entries.last == "stop blocking")
    }

    /// A failed tree stopped what it shared with a live one.
    @Test func testF2AFailedTreeStopsOnlyWhatItAcquired() async throws {
        let shared = service("shared")
        try await service("live", [.one(shared)]).withRunning { _ in
            failures.fail("start broken")
            let other = service("other", [.one(service("broken")), .one(shared)])
            #expect(await thrown { try await other.run() }?.kind == .startFailed)
            let later = service("later", [.one(shared), .one(service("broken"))])
            #expect(await thrown { try await later.run() }?.kind == .startFailed)
            #expect(shared.running)
        }
        #expect(log.count("stop shared") == 1)
    }

    /// A stop that threw kept earlier levels running.
    @Test func testF3AFailingStopSkipsNobody() async {
        failures.fail("stop second")
        failures.fail("stop root")
        let first = service("first"), second = service("second")
        let root = service("root", [.one(first), .one(second)])
        let error = await thrown { try await root.withRunning { _ in } }
        #expect(error?.story == ["stopFailed root", "stopFailed root/second"])
        #expect(log.all("stop") == ["root", "second", "first"])
        #expect(!first.running && !second.running && !root.running)
    }

    /// A stop that threw cancelled its sibling's.
    @Test func testF4SiblingsFinishTheirStop() async {
        let log = log
        let gate = Gate()
        let slow = service("slow", stop: { _ in
            try await gate.pass()
            log.record("finished slow")
        })
        let broken = service("broken", stop: { _ in
            try await eventually("slow is stopping") { gate.waiting == 1 }
            gate.open()
            throw Broken()
        })
        let error = await thrown { try await service("root", [.parallel([broken, slow])]).withRunning { _ in } }
        #expect(error?.story == ["stopFailed root/broken"])
        #expect(log.contains("finished slow"))
    }

    /// A cycle was a deadlock, or endless recursion.
    @Test func testF5ACycleIsAnErrorBeforeAnyStart() async {
        let ring = Ring.make(3)
        #expect(await thrown { try await ring.run() }?.kind == .cycle(["ring0", "ring1", "ring2", "ring0"]))
        let selfish = Ring("self")
        selfish.next = selfish
        #expect(await thrown { try await selfish.run() }?.kind == .cycle(["self", "self"]))
        let blocking = BlockingRing()
        blocking.next = blocking
        let error = await thrown { try blocking.withRunning { _ in } }
        #expect(error?.kind == .cycle(["BlockingRing-1", "BlockingRing-1"]))
    }

    /// A task added before the start was scheduled although it was refused.
    @Test func testF6ATaskBeforeTheStartIsRefused() async throws {
        let idle = service("idle")
        let calls = Atomic(0)
        let error = await thrown { try idle.addTask { calls.add(1, ordering: .relaxed) } }
        #expect(error?.kind == .notRunning)
        try await idle.withRunning { _ in }
        #expect(calls.load(ordering: .relaxed) == 0)
    }

    /// A task added after the stop ran, and its failure was lost.
    @Test func testF7ATaskAfterTheStopIsRefused() async throws {
        let refusals = Mutex<[ServiceError.Kind?]>([])
        let calls = Atomic(0)
        let stopping = service("stopping", stop: { service in
            let error = await thrown { try service.addTask { calls.add(1, ordering: .relaxed) } }
            refusals.withLock { $0.append(error?.kind) }
        })
        try await stopping.withRunning { _ in }
        #expect(refusals.withLock { $0 } == [.stopping])
        let error = await thrown { try stopping.addTask { calls.add(1, ordering: .relaxed) } }
        #expect(error?.kind == .notRunning)
        #expect(calls.load(ordering: .relaxed) == 0)
    }

    /// One cancelled waiter cancelled all of them, and later crashes were lost.
    @Test func testF8WaitersAreCancelledAlone() async throws {
        let gate = Gate()
        let root = service("root", start: { try $0.addTask("task") { try await gate.pass(); throw Broken() } })
        let error = await thrown {
            try await root.withRunning { root in
                let cancelled = Task { await thrown { try await root.wait() } }
                let patient = Task { await thrown { try await root.wait() } }
                cancelled.cancel()
                #expect(await cancelled.value?.kind == .cancelled)
                #expect(root.running)
                gate.open()
                #expect(await patient.value?.kind == .taskFailed)
            }
        }
        #expect(error?.story == ["taskFailed root#task"])
    }

    /// Who waited while the scope came to its end hung for ever.
    @Test func testF9AWaiterLearnsOfTheEndOfTheScope() async throws {
        let root = service("root")
        let waiter = try await root.withRunning { root in Task { try await root.wait() } }
        #expect(try await waiter.value == .requested)
        #expect(try await root.wait() == .requested)
    }

    /// A second tree that borrowed a service also took its failures.
    @Test func testF10AFailureReachesAllWhoHoldTheService() async throws {
        let gate = Gate()
        let shared = service("shared", start: { try $0.addTask("task") { try await gate.pass(); throw Broken() } })
        let a = service("a", [.one(shared)]), b = service("b", [.one(shared)])
        let first = Task { await thrown { try await a.run() } }
        try await eventually("a runs") { a.running }
        let second = Task { await thrown { try await b.run() } }
        try await eventually("b runs") { b.running }
        gate.open()
        #expect(await first.value?.story == ["taskFailed a/shared#task"])
        #expect(await second.value?.story == ["taskFailed b/shared#task"])
        #expect(log.count("stop shared") == 1 && !shared.running)
    }

    /// The stops of dependencies ran outside of the budget.
    @Test func testF11OneBudgetForTheWholeTree() async throws {
        let clock = ManualClock()
        let stuck = Gate()
        let below = service("below", stop: { _ in await stuck.passStubbornly() })
        let root = service(
            "root", [.one(below)], policy: ServicePolicy(gracefulShutdownTimeout: .milliseconds(100)),
            stop: { _ in await stuck.passStubbornly() })
        let error = await Stopping.drive(clock) { await thrown { try await root.withRunning { _ in } } }
        #expect(error?.story == ["stopTimedOut root", "stopTimedOut root/below"])
        #expect(clock.now <= .milliseconds(110))
        #expect(log.entries == ["start below", "start root", "stop root", "stop below"])
        stuck.open()
    }

    /// A start ran between the begin and the end of a stop.
    @Test func testF12AStartWaitsForTheStop() async throws {
        let gate = Gate()
        let log = log
        let root = ScriptedService("root", recorder: log, isVerbose: true, stop: { _ in try await gate.pass() })
        let first = Task { await thrown { try await root.withRunning { _ in } } }
        try await eventually("it is stopping") { gate.waiting == 1 }
        let second = Task { await thrown { try await root.withRunning { #expect($0.running) } } }
        try await eventually("the second start has come that far") { root.lifecycle.trees == 2 }
        gate.open()
        #expect(await first.value == nil)
        #expect(await second.value == nil)
        let once = ["begin start root", "start root", "stop root", "end stop root"]
        #expect(log.entries == once + once)
    }

    /// A generator, or three levels of lists, failed while running: here no such value exists, and any other
    /// sequence must be made an array first.
    @Test func testF13DependenciesAreWhatTheTypeSays() async throws {
        let some = (0..<3).lazy.map { ScriptedService("s\($0)", recorder: log) }
        try await service("root", [.parallel(Array(some)), .parallel([])]).withRunning { _ in }
        #expect(Set(log.all("start").prefix(3)) == ["s0", "s1", "s2"])
    }

    /// A task that crashed while the start was still working was only noticed afterwards.
    @Test func testF14ACrashCancelsTheStart() async throws {
        let never = Gate()
        let root = service("root", [.one(service("below"))], start: { service in
            try service.addTask("task") { throw Broken() }
            try await never.pass()
        })
        let error = await thrown { try await root.run() }
        #expect(error?.story == ["taskFailed root#task"])
        #expect(log.entries == ["start below", "stop below"])
        #expect(try await root.wait() == .taskFailed("root#task"))
    }

    /// Without a waiter, a crash was lost.
    @Test func testF15ACrashIsThrownAtTheEndOfTheScope() async throws {
        let root = service("root", start: { try $0.addTask("task") { throw Broken() } })
        let error = await thrown {
            try await root.withRunning { root in
                try await eventually("the crash is known") { root.lifecycle.counters.failures == 1 }
            }
        }
        #expect(error?.story == ["taskFailed root#task"])
        #expect(error?.cause as? Broken == Broken())
    }

    /// Computed dependencies gave others to the stop than to the start.
    @Test func testF16TheStopGoesByWhatWasStarted() async throws {
        final class Fresh: AsyncService {
            let lifecycle = Lifecycle("fresh")
            let log: OrderRecorder
            let made = Mutex<[ScriptedService]>([])

            init(_ log: OrderRecorder) { self.log = log }

            var dependencies: [DependencyGroup] {
                let new = made.withLock { made in
                    made.append(ScriptedService("made\(made.count)", recorder: log))
                    return made.last!
                }
                return [.one(new)]
            }
        }
        let fresh = Fresh(log)
        try await fresh.withRunning { fresh in
            // One that borrows it gets what it was started with, too.
            try await service("borrower", [.one(fresh)]).withRunning { _ in }
        }
        #expect(log.entries == ["start made0", "start borrower", "stop borrower", "stop made0"])
        #expect(fresh.made.withLock { $0.allSatisfy { !$0.running } })
    }
}

/// Services in a circle.
final class Ring: AsyncService {
    let lifecycle: Lifecycle
    private let following = Mutex<Ring?>(nil)

    init(_ name: String) { lifecycle = Lifecycle(name) }

    var next: Ring? {
        get { following.withLock { $0 } }
        set { following.withLock { $0 = newValue } }
    }

    var dependencies: [DependencyGroup] { next.map { [.one($0)] } ?? [] }

    static func make(_ count: Int) -> Ring {
        let rings = (0..<count).map { Ring("ring\($0)") }
        for index in 0..<count { rings[index].next = rings[(index + 1) % count] }
        return rings[0]
    }
}

final class BlockingRing: BlockingService {
    var next: BlockingRing?
    var dependencies: [any BlockingService] { next.map { [$0] } ?? [] }
}
