// The access log of a pool that serves HTTP.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct AccessLogTests {
    private func lines(
        _ environment: [String: String] = [:], _ ask: (UInt16) throws -> Void
    ) async throws -> [String] {
        let path = try temporaryPath()
        defer { unlink(path) }
        let program = try ChildProgram(
            "http-fixture", ["1"], environment: environment.merging(["PREFORK_ACCESS_LOG": path]) { own, _ in own })
        let port = try #require(UInt16(try await program.waitForLine("port ")))
        try ask(port)
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0)
        return read(path).split(separator: "\n").map(String.init)
    }

    /// With a time and the client's address, which are not the same each time.
    private func withoutTime(_ line: String) -> String {
        line.replacing(#/\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]/#, with: "[time]")
    }

    @Test func `Each request has a line, in order, and so has what is refused`() async throws {
        let lines = try await lines { port in
            let client = try Client(port: port)
            try client.send(request("GET /a?b", "User-Agent: test", "Referer: http://x/\"", keep: true))
            try client.send(request("HEAD /head", keep: true))
            try client.send(request("POST /b", "Content-Length: 2", body: "ab"))
            _ = try client.receiveAll()
            let other = try Client(port: port)
            try other.send("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
            _ = try other.receiveAll()
        }
        #expect(
            lines.map(withoutTime) == [
                #"127.0.0.1 - - [time] "GET /a?b HTTP/1.1" 200 2 "http://x/\x22" "test""#,
                #"127.0.0.1 - - [time] "HEAD /head HTTP/1.1" 200 0 "-" "-""#,
                #"127.0.0.1 - - [time] "POST /b HTTP/1.1" 200 2 "-" "-""#,
                #"127.0.0.1 - - [time] "-" 400 16 "-" "-""#,
            ])
    }

    @Test func `A line of JSON has the worker`() async throws {
        let lines = try await lines(["PREFORK_ACCESS_LOG_FORMAT": "json"]) { port in
            let body = try get("/x", port: port).body
            #expect(body == "/x")
        }
        #expect(lines.count == 1 && lines[0].contains(#""method":"GET","target":"/x","protocol":"HTTP/1.1","status":200,"bytes":2,"#))
        #expect(lines.first?.contains(#","worker":0,"pid":"#) == true)
    }

    @Test func `Without the setting nothing is written`() async throws {
        let lines = try await lines(["PREFORK_ACCESS_LOG": "off"]) { port in _ = try get("/x", port: port) }
        #expect(lines == [])
    }
}
