// Open connections go to the next worker, and their clients notice nothing.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct HandoverTests {
    @Test func `Connections stay open over reloads, with their states`() async throws {
        let server = try await HandoverServer(workers: 2)
        let clients = try (0..<100).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        for generation in 2...5 {
            try await server.replaceWorkersWholly(generation: generation)
            for client in clients {
                let answer = try client.ask()
                #expect(answer.generation == generation)
                #expect(try client.ask("moves").text == "\(generation - 1)")
            }
        }
        try await server.end()
    }

    @Test func `Connections stay open over upgrades`() async throws {
        let server = try await HandoverServer(workers: 2)
        let clients = try (0..<50).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        for generation in 2...4 {
            try await server.replaceWorkersWholly(by: .user2, generation: generation)
            for client in clients { #expect(try client.ask().generation == generation) }
        }
        try await server.end()
    }

    @Test func `A message in hand is finished first, and what came behind it moves unread`() async throws {
        let server = try await HandoverServer()
        let client = try LineClient(server)
        _ = try client.ask()
        try client.client.send("hal")
        try await server.replaceWorkers(generation: 2)
        // The old worker has read a part of the line.
        #expect(server.program.children.count == 2)
        try client.client.send("f\nnext\n")
        let answers = [try client.outcome(), try client.outcome()]
        let counts = answers.map { if case .answered(let answer) = $0 { answer.count } else { 0 } }
        let generations = answers.map { if case .answered(let answer) = $0 { answer.generation } else { 0 } }
        #expect(counts == [2, 3])
        #expect(generations == [1, 2])
        try await server.end()
    }

    @Test func `A large state goes by a memory file, and a larger one stays`() async throws {
        let server = try await HandoverServer()
        let (large, larger) = (try LineClient(server), try LineClient(server))
        _ = try large.ask("pad 700000")
        _ = try larger.ask("pad 1100000")
        try await server.replaceWorkers(generation: 2)
        try await eventually("it has moved") { try large.ask().generation == 2 }
        #expect(try larger.ask().generation == 1, "one more answer of the old worker")
        #expect(try larger.outcome() == .ended)
        try await server.end()
    }

    @Test func `A pool that has grown shares its connections out`() async throws {
        let control = try temporaryPath()
        let server = try await HandoverServer(environment: ["PREFORK_CONTROL": control])
        let clients = try (0..<40).map { _ in try LineClient(server) }
        for client in clients { _ = try client.ask() }
        server.program.send(.moreWorkers)
        try await eventually("two workers") { server.program.children.count == 2 }
        try await eventually("connections have moved") {
            let tool = try ChildProgram("preforkctl", ["--socket", control, "rebalance", "--wait"])
            guard try await tool.waitForExit() == 0 else { return false }
            let workers = try clients.map { try $0.ask().pid }
            return Set(workers.map { pid in workers.count { $0 == pid } }) == [20]
        }
        try await server.end()
    }

    @Test func `Without the setting connections are drained`() async throws {
        let server = try await HandoverServer(environment: ["PREFORK_MOVE_CONNECTIONS": "off"])
        let client = try LineClient(server)
        _ = try client.ask()
        try await server.replaceWorkers(generation: 2)
        #expect(try client.ask().generation == 1)
        #expect(try client.outcome() == .ended)
        try await server.end()
    }

    @Test func `A pool that ends drains its connections`() async throws {
        let server = try await HandoverServer()
        let client = try LineClient(server)
        _ = try client.ask()
        server.program.send(.terminate)
        #expect(try client.outcome() == .ended)
        #expect(try await server.program.waitForExit() == 0)
    }
}
