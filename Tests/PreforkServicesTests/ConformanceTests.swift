// One list of trees and failures, for the form with tasks and the one without.

import PreforkServices
import PreforkServicesTestKit
import Testing

/// A tree, what fails in it, and what must come of that.
struct ConformanceCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Name and needs, the last one is the root.
    let services: [(name: String, needs: [String])]
    var failing: Set<String> = []
    let steps: String
    var story: [String] = []

    static let all = [
        ConformanceCase("one alone", [("a", [])], "start a, stop a"),
        ConformanceCase(
            "a chain", [("c", []), ("b", ["c"]), ("a", ["b"])],
            "start c, start b, start a, stop a, stop b, stop c"),
        ConformanceCase(
            "a diamond", [("c", []), ("b1", ["c"]), ("b2", ["c"]), ("a", ["b1", "b2"])],
            "start c, start b1, start b2, start a, stop a, stop b2, stop b1, stop c"),
        ConformanceCase(
            "needed twice", [("b", []), ("a", ["b", "b"])], "start b, start a, stop a, stop b"),
        ConformanceCase(
            "needed later and earlier", [("c", []), ("b", ["c"]), ("a", ["c", "b", "c"])],
            "start c, start b, start a, stop a, stop b, stop c"),
        ConformanceCase("a failed start", [("a", [])], ["start a"], "", ["startFailed a"]),
        ConformanceCase(
            "a failed start in the middle", [("c", []), ("b", ["c"]), ("a", ["b"])], ["start b"],
            "start c, stop c", ["startFailed a/b"]),
        ConformanceCase(
            "a failed start of a root", [("c", []), ("b", []), ("a", ["b", "c"])], ["start a"],
            "start b, start c, stop c, stop b", ["startFailed a"]),
        ConformanceCase(
            "a failed start, then failed stops", [("c", []), ("b", []), ("a", ["b", "c"])],
            ["start a", "stop b", "stop c"], "start b, start c, stop c, stop b",
            ["startFailed a", "stopFailed a/c", "stopFailed a/b"]),
        ConformanceCase(
            "stops that fail", [("c", []), ("b", ["c"]), ("a", ["b"])], ["stop a", "stop b", "stop c"],
            "start c, start b, start a, stop a, stop b, stop c",
            ["stopFailed a", "stopFailed a/b", "stopFailed a/b/c"]),
    ]

    init(_ description: String, _ services: [(String, [String])], _ steps: String) {
        self.init(description, services, [], steps, [])
    }

    init(
        _ description: String, _ services: [(String, [String])], _ failing: Set<String>, _ steps: String,
        _ story: [String]
    ) {
        testDescription = description
        self.services = services.map { (name: $0.0, needs: $0.1) }
        self.failing = failing
        self.steps = steps
        self.story = story
    }
}

@Suite(.timeLimit(.minutes(2)))
struct ConformanceTests {
    @Test(arguments: ConformanceCase.all)
    func `the form with tasks`(test: ConformanceCase) async {
        let log = OrderRecorder(), failures = FailureInjector(test.failing)
        var services: [String: ScriptedService] = [:]
        for (name, needs) in test.services {
            let groups = needs.map { DependencyGroup.one(services[$0]!) }
            services[name] = ScriptedService(name, needs: groups, recorder: log, injector: failures)
        }
        let root = services[test.services.last!.name]!
        // Twice: a tree leaves nothing behind.
        for _ in 0..<2 {
            let error = await thrown { try await root.withRunning { #expect($0.running) } }
            #expect((error?.story ?? []) == test.story)
        }
        let twice = [test.steps, test.steps].filter { !$0.isEmpty }
        #expect(log.entries.joined(separator: ", ") == twice.joined(separator: ", "))
        #expect(services.values.allSatisfy { !$0.running })
    }

    @Test(arguments: ConformanceCase.all)
    func `the form without tasks`(test: ConformanceCase) async {
        let log = OrderRecorder(), failures = FailureInjector(test.failing)
        var services: [String: ScriptedBlockingService] = [:]
        for (name, needs) in test.services {
            services[name] = ScriptedBlockingService(
                name, needs: needs.map { services[$0]! }, recorder: log, injector: failures)
        }
        let root = services[test.services.last!.name]!
        for _ in 0..<2 {
            let error = await thrown { try root.withRunning { #expect($0.running) } }
            #expect((error?.story ?? []) == test.story)
        }
        let twice = [test.steps, test.steps].filter { !$0.isEmpty }
        #expect(log.entries.joined(separator: ", ") == twice.joined(separator: ", "))
        #expect(services.values.allSatisfy { !$0.running })
    }

    @Test func `a blocking tree that fails leaves shared services to the tree that runs`() async throws {
        let log = OrderRecorder(), failures = FailureInjector(["start broken", "stop sore"])
        let shared = ScriptedBlockingService("shared", recorder: log)
        let broken = ScriptedBlockingService("broken", recorder: log, injector: failures)
        try ScriptedBlockingService("live", needs: [shared], recorder: log).withRunning { _ in
            let other = ScriptedBlockingService("other", needs: [shared, broken], recorder: log)
            do { try other.withRunning { _ in } } catch {}
            #expect(shared.running)
        }
        #expect(!shared.running && log.count("stop shared") == 1)
        let sore = ScriptedBlockingService("sore", injector: failures)
        let both = await thrown { try sore.withRunning { _ in throw Broken() } }
        #expect(both?.story == ["bodyFailed sore", "stopFailed sore"])
        #expect(await thrown { try broken.withRunning { _ in } }?.story == ["startFailed broken"])
    }

    @Test func `a blocking service that starts itself in its own start is a cycle`() async {
        final class Eager: BlockingService {
            func start() throws { try withRunning { _ in } }
        }
        let error = await thrown { try Eager().withRunning { _ in } }
        #expect(error?.kind == .startFailed)
        #expect(error?.cause?.kind == .cycle(["Eager-1", "Eager-1"]))
    }
}
