// Order in a thousand random trees.

import PreforkServices
import PreforkServicesTestKit
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RandomGraphTests {
    /// A tree of services by number, where each only needs later ones.
    struct Graph {
        var needs: [[[Int]]] = []

        init(_ numbers: inout SeededNumbers, onlyOneByOne: Bool) {
            let count = 2 + numbers.below(14)
            for node in 0..<count {
                var groups: [[Int]] = []
                for _ in 0..<numbers.below(4) where node + 1 < count {
                    let size = onlyOneByOne ? 1 : numbers.below(4)
                    groups.append((0..<size).map { _ in node + 1 + numbers.below(count - node - 1) })
                }
                needs.append(groups)
            }
        }

        func services(_ log: OrderRecorder, _ failures: FailureInjector, yields: [Int]) -> [ScriptedService] {
            var services: [Int: ScriptedService] = [:]
            for node in needs.indices.reversed() {
                let groups = needs[node].map { group in DependencyGroup.parallel(group.map { services[$0]! }) }
                let pause: ScriptedService.Script = { _ in for _ in 0..<yields[node] { await Task.yield() } }
                services[node] = ScriptedService(
                    "\(node)", needs: groups, recorder: log, injector: failures, isVerbose: true, start: pause,
                    stop: pause)
            }
            return needs.indices.map { services[$0]! }
        }
    }

    private func problems(_ graph: Graph, _ log: OrderRecorder, _ services: [ScriptedService]) -> [String] {
        var problems: [String] = []
        let entries = log.entries
        var position: [String: Int] = [:]
        for (index, entry) in entries.enumerated() {
            if position.updateValue(index, forKey: entry) != nil { problems.append("\(entry) twice") }
        }
        for node in graph.needs.indices {
            let wasUp = position["start \(node)"] != nil
            if wasUp != (position["stop \(node)"] != nil) { problems.append("\(node): stop without start, or none") }
            if services[node].running { problems.append("\(node) runs") }
            for member in graph.needs[node].joined() {
                guard let begun = position["begin start \(node)"] else { continue }
                if (position["start \(member)"] ?? .max) > begun { problems.append("\(member) not up before \(node)") }
                guard wasUp else { continue }
                if (position["stop \(member)"] ?? -1) < (position["end stop \(node)"] ?? .max) {
                    problems.append("\(member) stopped before \(node)")
                }
            }
        }
        return problems
    }

    @Test(arguments: 0..<10)
    func `starts respect edges, stops are the reverse, and each is stopped once whatever fails`(part: UInt64) async {
        for seed in (part * 100)..<(part * 100 + 100) {
            var numbers = SeededNumbers(seed: seed)
            let graph = Graph(&numbers, onlyOneByOne: false)
            let (log, failures) = (OrderRecorder(), FailureInjector())
            let services = graph.services(log, failures, yields: graph.needs.map { _ in numbers.below(4) })
            var points: Set<String> = []
            for _ in 0..<numbers.below(4) {
                points.insert("\(numbers.below(3) == 0 ? "start" : "stop") \(numbers.below(graph.needs.count))")
            }
            for point in points { failures.fail(point) }
            let end = numbers.below(4)
            let error = await thrown {
                try await services[0].withRunning { root in
                    if end == 0 { throw Broken() }
                    if end == 1 { root.requestStop() }
                }
            }
            let met = points.filter { point in
                log.contains(point.hasPrefix("start") ? "begin \(point)" : point)
            }
            var found = problems(graph, log, services)
            let stops = met.filter { $0.hasPrefix("stop") }.count
            let told = error?.story.filter { $0.hasPrefix("stopFailed") }.count ?? 0
            if stops != told { found.append("\(stops) stops failed, \(told) told") }
            let startFailed = met.contains { $0.hasPrefix("start") }
            if startFailed, error?.kind != .startFailed { found.append("start lost") }
            #expect(found == [], "seed \(seed)")
        }
    }

    @Test func `without parallel groups the stop is exactly the start backwards`() async throws {
        for seed in 1_000..<UInt64(1_300) {
            var numbers = SeededNumbers(seed: seed)
            let graph = Graph(&numbers, onlyOneByOne: true)
            let log = OrderRecorder()
            let services = graph.services(log, FailureInjector(), yields: graph.needs.map { _ in numbers.below(2) })
            try await services[0].withRunning { _ in }
            #expect(log.all("start").reversed() == log.all("stop"), "seed \(seed)")
        }
    }

    @Test func `trees that share services start and stop each of them alternately, and leave none`() async throws {
        for seed in 2_000..<UInt64(2_200) {
            var numbers = SeededNumbers(seed: seed)
            let graph = Graph(&numbers, onlyOneByOne: false)
            let (log, failures) = (OrderRecorder(), FailureInjector())
            let services = graph.services(log, failures, yields: graph.needs.map { _ in numbers.below(5) })
            let roots = (0..<3).map { _ in services[numbers.below(services.count)] }
            await withTaskGroup { group in
                for root in roots {
                    let pause = numbers.below(6)
                    group.addTask {
                        for _ in 0..<pause { await Task.yield() }
                        _ = await thrown { try await root.withRunning { _ in await Task.yield() } }
                    }
                }
            }
            for node in services.indices {
                let steps = log.entries.filter { $0.hasSuffix(" \(node)") }
                let once = ["begin start \(node)", "start \(node)", "stop \(node)", "end stop \(node)"]
                let expected = (0..<(steps.count / 4)).flatMap { _ in once }
                #expect(steps == expected, "seed \(seed)")
                #expect(!services[node].running && services[node].lifecycle.trees == 0, "seed \(seed)")
            }
        }
    }
}
