// Handlers on the main actor: state without locks.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct MainActorStateTests {
    @Test(.needsProcessExecutor)
    func handlersOnTheMainActorShareStateOnOneThreadWithoutAHop() async throws {
        let server = try await OperatedProgram(scenario: "main-actor")
        let clients = try (0..<8).map { _ in try Client(port: server.port) }
        for round in 0..<25 {
            // All of them are in hand at the same time.
            for client in clients { try client.send("a\n") }
            var numbers: Set<Int> = []
            for client in clients {
                var line = ""
                while !line.hasSuffix("\n") { line += String(decoding: try client.receive(), as: UTF8.self) }
                let words = line.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
                try #require(words.count == 5, "\(line)")
                numbers.insert(words[0])
                #expect(words[1] == 1, "threads that handlers have run on")
                #expect(words[2] == 0, "jobs of others between awaited calls: a call does not go through the queue")
                #expect(words[3] > 0, "where it does, others are seen")
                #expect(words[4] == 1, "threads of the process")
            }
            #expect(numbers == Set(round * 8 + 1...round * 8 + 8), "each number once")
        }
        #expect(try await server.end())
    }
}
