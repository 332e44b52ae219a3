// Clients that are slow, silent or gone, and servers that end.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct DeadlineTests {
    private static let short = Duration.milliseconds(50)

    private func server(_ change: (inout HTTPServerOptions) -> Void) throws -> TestServer {
        var options = HTTPServerOptions.patient
        change(&options)
        return try TestServer(options: options) { request in
            switch request.path {
            case "/collect": .bytes(try await request.body.collect())
            case "/large": .bytes([UInt8](repeating: 0, count: 64 << 20))
            case "/stream":
                .stream { writer in
                    while true { try await writer.write([UInt8](repeating: 0, count: 1 << 16)) }
                }
            default: .text(request.path)
            }
        }
    }

    @Test func aHeadThatDoesNotComeIs408AndSilenceNoAnswer() async throws {
        let server = try server { $0.headTimeout = Self.short }
        #expect(try server.answer(to: "GET / HTTP/1.1\r\nHost: a\r\n").hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        #expect(try server.answer(to: "") == "")
        // The next request's head has its own time, from its first byte.
        let client = try Client(port: server.port)
        #expect(try client.get("/first").body == "/first")
        try client.send("G")
        #expect(try client.receiveAll().hasPrefix("HTTP/1.1 408 "))
        #expect(server.reports == [])
        try await server.stop()
    }

    @Test func aKeptConnectionIsClosedInSilence() async throws {
        let server = try server { $0.keepAliveTimeout = Self.short }
        let clients = try (0..<5).map { _ in try Client(port: server.port) }
        for client in clients { #expect(try client.get("/x").body == "/x") }
        for client in clients { #expect(try client.receiveAll() == "") }
        #expect(server.reports == [])
        try await server.stop()
    }

    @Test func aRequestOfAKeptConnectionEndsItsWait() async throws {
        let gate = Gate()
        var options = HTTPServerOptions.patient
        options.keepAliveTimeout = Self.short
        let server = try TestServer(options: options) { request in
            if request.path == "/slow" { try await gate.wait() }
            return .text(request.path)
        }
        let busy = try Client(port: server.port)
        // Both in one: a kept connection is closed soon.
        try busy.send(request("GET /first", keep: true) + request("GET /slow", keep: true))
        try await eventually("the request is in hand") { gate.waiting == 1 }
        // A connection that came later has been closed.
        let idle = try Client(port: server.port)
        #expect(try idle.get("/x").body == "/x")
        #expect(try idle.receiveAll() == "")
        gate.open()
        #expect(try busy.response().body == "/first")
        #expect(try busy.response().body == "/slow")
        try await server.stop()
    }

    @Test func aBodyThatStopsIs408() async throws {
        let server = try server { $0.bodyTimeout = Self.short }
        let text = request("POST /collect", "Content-Length: 5", keep: true, body: "hell")
        #expect(try server.answer(to: text).hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        // The handler does not read it: it has its answer, and the connection ends.
        #expect(try server.answer(to: request("POST /x", "Content-Length: 5", keep: true)).hasSuffix("/x"))
        #expect(server.reports == [])
        try await server.stop()
    }

    @Test func aBodyBelowTheRateIs408() async throws {
        let server = try server {
            $0.grace = Self.short
            $0.minimumRate = 1_000_000
        }
        let client = try Client(port: server.port)
        try client.send(request("POST /collect", "Content-Length: 100000", keep: true))
        // A byte now and then is no progress that counts.
        while !client.hasInput {
            do { try client.send("x") } catch { break }
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(try client.receiveAll().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
        try await server.stop()
    }

    @Test(arguments: ["/large", "/stream"]) func aResponseThatIsNotTakenEndsTheConnection(path: String) async throws {
        let server = try server { $0.writeTimeout = Self.short }
        let client = try Client(port: server.port)
        try client.send(request("GET \(path)", keep: true))
        // A reset, and not an end behind what was sent: the kernel keeps nothing of the response.
        try await eventually("a reset") {
            var events = pollfd(fd: client.socket, events: 0, revents: 0)
            return poll(&events, 1, 0) == 1 && events.revents & Int16(POLLERR) != 0
        }
        #expect(server.reports == [])
        try await server.stop()
    }

    @Test func aClientThatGoesEndsItsStreamInSilence() async throws {
        let server = try server { _ in }
        var client: Client? = try Client(port: server.port)
        try client?.send(request("GET /stream", keep: true))
        _ = try client?.receive()
        client = nil
        #expect(try server.answer(to: request("GET /x")).hasSuffix("/x"))
        try await server.stop()
        #expect(server.reports == [])
    }

    @Test func aServerThatEndsClosesIdleConnectionsAndSaysCloseToTheOthers() async throws {
        let gate = Gate()
        let server = try TestServer { request in
            if request.path == "/slow" {
                try await gate.wait()
                return .text("\(request.isDraining)")
            }
            return .text(request.path)
        }
        let idle = try Client(port: server.port)
        #expect(try idle.get("/x").body == "/x")
        let busy = try Client(port: server.port)
        try busy.send(request("GET /slow", keep: true))
        try await eventually("the request is in hand") { gate.waiting == 1 }
        server.beginStop()
        #expect(try idle.receiveAll() == "")
        gate.open()
        let answer = try busy.receiveAll()
        #expect(answer.contains("\r\nConnection: close\r\n") && answer.hasSuffix("true"))
        try await server.stop()
    }
}
