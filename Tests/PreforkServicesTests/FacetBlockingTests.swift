// facet's own tests of its blocking service, by their names.

import PreforkServices
import PreforkServicesTestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct FacetBlockingTests {
    let log = OrderRecorder()
    let failures = FailureInjector()

    private func service(_ name: String, _ needs: [any BlockingService] = []) -> ScriptedBlockingService {
        ScriptedBlockingService(name, needs: needs, recorder: log, injector: failures)
    }

    private func broken(_ name: String) -> ScriptedBlockingService {
        failures.fail("start \(name)")
        return service(name)
    }

    private func expectFailedStart(_ root: ScriptedBlockingService) async {
        #expect(!root.running)
        let error = await thrown { try root.withRunning { _ in } }
        #expect(error?.kind == .startFailed)
        #expect(error?.cause is InjectedFailure)
        #expect(!root.running)
    }

    @Test func testSingleState() throws {
        let simple = service("simple")
        try simple.withRunning { service in
            #expect(log.entries == ["start simple"])
            #expect(service.running)
        }
        #expect(log.entries == ["start simple", "stop simple"])
        #expect(!simple.running)
    }

    @Test func testStartFailed() async {
        await expectFailedStart(broken("broken"))
        #expect(log.entries == [])
    }

    @Test func testStartFailedLater() async {
        let valid = service("valid")
        await expectFailedStart(service("root", [valid, broken("broken")]))
        #expect(log.entries == ["start valid", "stop valid"])
        #expect(!valid.running)
    }

    @Test func testStartFailedEarlier() async {
        let valid = service("valid")
        await expectFailedStart(service("root", [broken("broken"), valid]))
        #expect(log.entries == [])
        #expect(!valid.running)
    }

    @Test func testDiamondDependencies() throws {
        let c = service("c")
        let b1 = service("b1", [c]), b2 = service("b2", [c])
        try service("a", [b1, b2]).withRunning { a in
            #expect(a.running && b1.running && b2.running && c.running)
        }
        #expect(log.entries == ["start c", "start b1", "start b2", "start a", "stop a", "stop b2", "stop b1", "stop c"])
    }

    @Test func testCDoesNotStops() throws {
        let c = service("c")
        let b1 = service("b1", [c]), b2 = service("b2", [c])
        try service("a", [b1, b2]).withRunning { _ in
            try service("b", [c]).withRunning { _ in }
            #expect(c.running)
        }
        #expect(!c.running)
        #expect(log.count("stop c") == 1)
    }

    @Test func testStartException() async {
        let b = broken("b"), a = service("a", [b])
        #expect(await thrown { try a.withRunning { _ in } }?.story == ["startFailed a/b"])
        #expect(log.entries == [])
    }

    @Test func testStartGroups() throws {
        try service("groups", ["x", "y", "z"].map { service($0) }).withRunning { _ in }
        #expect(log.all("start") == ["x", "y", "z", "groups"])
        #expect(log.all("stop") == ["groups", "z", "y", "x"])
    }

    @Test func testEmptyMethods() throws {
        final class Bare: BlockingService {}
        let bare = Bare()
        try bare.withRunning { #expect($0.running) }
        #expect(!bare.running)
    }
}
