// The example with its store, its subscriptions and its channels, used by a client.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct SharedCounterTests {
    @Test func workersCountTogetherAreToldOfChangesAndTalkToNonebotThroughItsDeath() async throws {
        let program = try ChildProgram("shared-counter", ["0", "2"])
        let place = try await program.waitForLine("listening on http://0.0.0.0:")
        let port = try #require(UInt16(place.prefix { $0.isNumber }))
        let count = 40
        for _ in 0..<count { #expect(try get("/", port: port).body.hasPrefix("Hello! Request ")) }
        #expect(try get("/counts", port: port).body.hasPrefix("requests: \(count + 1)\n"))

        #expect(try get("/greeting/Good%20day", port: port).status == 200)
        // Both workers answer connections, and both have heard of it.
        try await eventually("all greet anew") {
            try (0..<20).allSatisfy { _ in try get("/", port: port).body.hasPrefix("Good day!") }
        }

        #expect(try get("/tell/one", port: port).status == 200)
        try await eventually("nonebot has heard") {
            program.output.contains("Passive receive: one (passive)")
                && program.output.contains("Active receive: one (active)")
        }
        var nonebot: Int32?
        try await eventually("the log says who it is") {
            let ready = program.errors.split(separator: "nonebot ready (pid ").dropFirst().last
            nonebot = Int32(ready?.prefix { $0.isNumber } ?? "")
            return nonebot != nil
        }
        kill(try #require(nonebot), SIGKILL)
        #expect(try get("/tell/two", port: port).status == 200)
        try await eventually("its successor has heard") {
            program.output.contains("Passive receive: two (passive)")
                && program.output.contains("Active receive: two (active)")
        }
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.groupSize == 0)
    }
}
