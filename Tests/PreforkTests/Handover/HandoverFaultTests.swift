// What goes wrong while connections move: each is in one worker, or closed, and its peer never reads a byte twice.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct HandoverFaultTests {
    /// A step of "How Connections Move" at which a worker is killed, and how often the step has come by then.
    struct Death: CustomTestStringConvertible {
        let generation: Int
        let step: Int
        let count: Int

        var testDescription: String { "generation \(generation) at step \(step), time \(count)" }

        static let all: [Death] = [(1, 3), (1, 4), (1, 5), (1, 8), (1, 10), (2, 2), (2, 6), (2, 7), (2, 9)].flatMap {
            (generation, step) in
            ([2, 3, 10].contains(step) ? [1] : [1, 30, 100]).map {
                Death(generation: generation, step: step, count: $0)
            }
        }
    }

    @Test(arguments: Death.all) func `A worker that is killed at a step loses what it held, and no more`(
        death: Death
    ) async throws {
        let server = try await HandoverServer(
            faults: ["\(death.generation) die \(death.step) \(death.count)"],
            environment: ["PREFORK_MOVE_TIMEOUT": "1s", "PREFORK_DRAIN_TIMEOUT": "3s"])
        let clients = try (0..<100).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        let old = Set(server.program.children)
        server.program.send(.hangUp)
        // The successor of a killed successor is not of that generation's faults any more, but of the same generation: it
        // dies, too, at that step. What counts is that the pool ends in order.
        try await eventually("the old worker has ended\n\(server.program.errors)") {
            old.isDisjoint(with: server.program.children)
        }
        let outcomes = try clients.map { try $0.askIfOpen() }
        let open = outcomes.count { $0 != .ended }
        for case .answered(let answer) in outcomes { #expect(answer.generation == 2) }
        if death.generation == 1, death.step == 10 { #expect(open == 100) }
        #expect(outcomes.count == 100)
    }

    @Test func `A successor without descriptors refuses, and the rest is drained`() async throws {
        let server = try await HandoverServer(faults: ["2 full"])
        let clients = try (0..<10).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        try await server.replaceWorkers(generation: 2)
        for client in clients { #expect(try client.ask().generation == 1) }
        for client in clients { #expect(try client.outcome() == .ended) }
    }

    @Test func `A successor that is slow gets all`() async throws {
        let server = try await HandoverServer(faults: ["2 slow 700"])
        let clients = try (0..<100).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        try await server.replaceWorkersWholly(generation: 2)
        for client in clients { #expect(try client.ask().generation == 2) }
        try await server.end()
    }

    @Test func `A successor that is too slow gets nothing, and what was offered comes back`() async throws {
        let server = try await HandoverServer(faults: ["2 slow 3000"], environment: ["PREFORK_MOVE_TIMEOUT": "300ms"])
        let clients = try (0..<100).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        try await server.replaceWorkers(generation: 2)
        for client in clients { #expect(try client.ask().generation == 1) }
        for client in clients { #expect(try client.outcome() == .ended) }
        try await server.end()
    }

    @Test func `Connections that a program has had which does not come up are with the previous one again`()
        async throws
    {
        let server = try await HandoverServer(
            workers: 2, faults: ["2 exit 1"], environment: ["PREFORK_MAX_BOOT_FAILURES": "0", "PREFORK_RELOAD": "+1"])
        let clients = try (0..<60).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        server.program.send(.user2)
        try await server.waitForLog("rolling back to the previous program")
        try await server.waitForLog("reload: generation 3 serves")
        for client in clients { _ = try client.ask() }
        try await server.end()
    }

    @Test func `A worker that does not hold takes its own connections with it, and no others`() async throws {
        let server = try await HandoverServer(
            workers: 2, faults: ["2 crash 1 1500"], environment: ["PREFORK_PROBATION": "20s"])
        let clients = try (0..<60).map { _ in try LineClient(server) }
        var workers: [Int32] = []
        for client in clients { workers.append(try client.ask().pid) }
        server.program.send(.user2)
        try await server.waitForLog("rolling back to the previous program")
        try await server.waitForLog("reload: generation 3 serves")
        let outcomes = try clients.map { try $0.askIfOpen() }
        // Each old worker's connections went to one new worker.
        var ends: [Int32: Set<Bool>] = [:]
        for (worker, outcome) in zip(workers, outcomes) { ends[worker, default: []].insert(outcome == .ended) }
        #expect(ends.values.allSatisfy { $0.count == 1 } && ends.values.contains([false]), "\(ends)")
        try await server.end()
    }

    @Test func `A state of an unknown version stays, and is counted`() async throws {
        let control = try temporaryPath()
        let server = try await HandoverServer(
            faults: ["2 versions 2 3", "3 versions 3 4"], environment: ["PREFORK_CONTROL": control])
        let old = try LineClient(server)
        _ = try old.ask()
        try await server.replaceWorkers(generation: 2)
        #expect(try old.ask().generation == 1)
        #expect(try old.outcome() == .ended)
        let tool = try ChildProgram("preforkctl", ["--socket", control, "metrics"])
        #expect(try await tool.waitForExit() == 0)
        #expect(tool.output.contains(#"prefork_connection_moves_total{outcome="version"} 1"#), "\(tool.output)")
        let new = try LineClient(server)
        #expect(try new.ask().generation == 2)
        try await server.replaceWorkersWholly(generation: 3)
        #expect(try new.ask().generation == 3, "version 3 is known to both")
        try await server.end()
    }
}
