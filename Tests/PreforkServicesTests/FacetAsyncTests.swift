// facet's own tests of its asyncio service, by their names.

import PreforkServices
import PreforkServicesTestKit
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct FacetAsyncTests {
    let log = OrderRecorder()

    private func service(_ name: String, _ needs: [DependencyGroup] = []) -> ScriptedService {
        ScriptedService(name, needs: needs, recorder: log)
    }

    private func broken(_ name: String, _ before: @escaping ScriptedService.Script = { _ in }) -> ScriptedService {
        ScriptedService(name, recorder: log) { service in
            try await before(service)
            throw Broken()
        }
    }

    private func expectFailedRun(_ root: ScriptedService) async {
        #expect(!root.running)
        let error = await thrown { try await root.run() }
        #expect(error?.kind == .startFailed)
        #expect(error?.cause as? Broken == Broken())
        #expect(!root.running)
    }

    @Test func testSingleState() async throws {
        let simple = service("simple")
        try await simple.withRunning { service in
            #expect(log.entries == ["start simple"])
            #expect(service.running)
        }
        #expect(log.entries == ["start simple", "stop simple"])
        #expect(!simple.running)
    }

    @Test func testStartFailed() async {
        await expectFailedRun(broken("broken"))
        #expect(log.entries == [])
    }

    @Test func testStartFailedLater() async {
        let valid = service("valid")
        await expectFailedRun(service("root", [.one(valid), .one(broken("broken"))]))
        #expect(log.entries == ["start valid", "stop valid"])
        #expect(!valid.running)
    }

    @Test func testStartFailedEarlier() async {
        let valid = service("valid")
        await expectFailedRun(service("root", [.one(broken("broken")), .one(valid)]))
        #expect(log.entries == [])
        #expect(!valid.running)
    }

    @Test func testStartFailedParallelLater() async {
        let valid = service("valid")
        let log = log
        let late = broken("broken") { _ in try await eventually("valid started") { log.contains("start valid") } }
        await expectFailedRun(service("root", [.parallel([late, valid])]))
        #expect(log.entries == ["start valid", "stop valid"])
        #expect(!valid.running)
    }

    @Test func testDiamondDependencies() async throws {
        let c = service("c")
        let b1 = service("b1", [.one(c)]), b2 = service("b2", [.one(c)])
        try await service("a", [.one(b1), .one(b2)]).withRunning { a in
            #expect(a.running && b1.running && b2.running && c.running)
        }
        #expect(log.entries == ["start c", "start b1", "start b2", "start a", "stop a", "stop b2", "stop b1", "stop c"])
    }

    @Test func testCDoesNotStops() async throws {
        let c = service("c")
        let b1 = service("b1", [.one(c)]), b2 = service("b2", [.one(c)])
        try await service("a", [.one(b1), .one(b2)]).withRunning { _ in
            try await service("b", [.one(c)]).withRunning { _ in }
            #expect(c.running)
        }
        #expect(!c.running)
        #expect(log.count("start c") == 1 && log.count("stop c") == 1)
    }

    @Test func testAddedTaskCancelation() async throws {
        let log = log
        let withTask = ScriptedService("task", recorder: log) { service in
            let gate = Gate()
            try service.addTask {
                log.record("task began")
                do { try await gate.pass() } catch {
                    log.record("task cancelled")
                    throw error
                }
            }
            try await eventually("the task waits") { gate.waiting == 1 }
        }
        try await withTask.withRunning { _ in }
        #expect(log.entries == ["task began", "start task", "stop task", "task cancelled"])
    }

    @Test func testTaskException() async {
        let failing = ScriptedService("failing") { try $0.addTask("task") { throw Broken() } }
        let first = await thrown { try await failing.run() }
        #expect(first?.kind == .taskFailed)
        #expect(first?.cause as? Broken == Broken())
        let second = await thrown { try await failing.withRunning { try await $0.wait() } }
        #expect(second?.story == ["taskFailed failing#task"])
        #expect(second?.cause as? Broken == Broken())
    }

    @Test func testStartException() async {
        let log = log
        let b = ScriptedService("b", recorder: log, injector: FailureInjector(["start b"]), isVerbose: true)
        let a = ScriptedService("a", needs: [.one(b)], recorder: log, isVerbose: true)
        #expect(await thrown { try await a.withRunning { _ in } }?.story == ["startFailed a/b"])
        #expect(log.entries == ["begin start b"])
    }

    @Test func testStartGroups() async throws {
        let services = ["x", "y", "z"].map { service($0) }
        try await service("parallel", [.parallel(services)]).withRunning { _ in }
        for name in ["x", "y", "z"] {
            #expect(log.count("start \(name)") == 1 && log.count("stop \(name)") == 1)
        }
    }

    @Test func testEmptyMethods() async throws {
        final class Bare: AsyncService { let lifecycle = Lifecycle() }
        let bare = Bare()
        try await bare.withRunning { #expect($0.running) }
        #expect(!bare.running)
    }
}
