// The example that a newcomer copies.

import PreforkSystem
import PreforkTestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct HelloServerTests {
    @Test func theExampleSaysWhereItListensAndAnswers() async throws {
        let program = try ChildProgram("hello-server", ["127.0.0.1:0"], environment: ["PREFORK_WORKERS": "2"])
        func place() -> Substring? {
            program.errors.split(separator: "\n").first { $0.contains("listening on http://127.0.0.1:") }?.split(separator: ":").last
        }
        try await eventually("a place\n\(program.errors)") { place() != nil }
        let client = try Client(port: try #require(UInt16(place() ?? "")))
        #expect(try client.get("/") == (200, "Hello World"))
        #expect(try client.get("/worker").body.hasPrefix("worker "))
        #expect(try client.get("/nothing").status == 404)
        try client.send(request("POST /echo", "Content-Length: 5", body: "hello"))
        #expect(try client.receiveAll().hasSuffix("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        #expect(program.groupSize == 0)
    }

    @Test func anAddressThatIsNoneEndsItWithOneLine() async throws {
        let program = try ChildProgram("hello-server", ["nowhere"])
        #expect(try await program.waitForExit() == 64)
        #expect(program.errors.split(separator: "\n").count == 1)
    }
}
