// Bodies of requests.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct BodyTests {
    private static func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        switch request.path {
        case "/collect":
            let body = try await request.body.collect()
            return .text("\(body.count) \(String(decoding: body.prefix(20), as: UTF8.self)) \(request.trailers)")
        case "/ten": return .text("\(try await request.body.collect(limit: 10).count)")
        case "/none": return .text("\(try await request.body.collect(limit: -1).count)")
        case "/echo": return .stream(request.body)
        case "/stream": return .stream(count: 6) { writer in try await writer.write("stream") }
        case "/elsewhere":
            // On another loop's thread: those of Swift's pool are busy with clients that wait.
            return .bytes(try await EventLoop.shared.run { _ in try await request.body.collect() })
        default: return .text("ignored")
        }
    }

    private func withServer(
        _ options: HTTPServerOptions = .patient, _ body: (TestServer) async throws -> Void
    ) async throws {
        let server = try TestServer(options: options, Self.respond)
        try await body(server)
        try await server.stop()
    }

    private static func post(_ path: String, _ body: String, keep: Bool = false) -> String {
        request("POST \(path)", "Content-Length: \(body.utf8.count)", keep: keep, body: body)
    }

    private static func chunked(_ path: String, _ chunks: String, keep: Bool = false) -> String {
        request("POST \(path)", "Transfer-Encoding: chunked", keep: keep, body: chunks)
    }

    @Test func bodiesAreCollectedWithTheirTrailers() async throws {
        try await withServer { (server: TestServer) async throws in
            #expect(try server.answer(to: Self.post("/collect", "hello")).hasSuffix("\r\n\r\n5 hello "))
            #expect(try server.answer(to: Self.post("/collect", "")).hasSuffix("\r\n\r\n0  "))
            let chunks = "2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n"
            #expect(try server.answer(to: Self.chunked("/collect", chunks)).hasSuffix("\r\n\r\n5 hello X: y"))
            // Trailers are not the next request's.
            let two = Self.chunked("/collect", chunks, keep: true) + Self.post("/collect", "hello")
            #expect(try server.answer(to: two).hasSuffix("\r\n\r\n5 hello "))
            #expect(try server.answer(to: Self.post("/elsewhere", "hello")).hasSuffix("\r\n\r\nhello"))
        }
    }

    @Test func aBodyIsEchoedPieceByPiece() async throws {
        try await withServer { (server: TestServer) async throws in
            let client = try Client(port: server.port)
            try client.send(Self.chunked("/echo", "1\r\na\r\n"))
            #expect(try client.receive(until: "1\r\na\r\n").contains("chunked"))
            try client.send("1\r\nb\r\n")
            #expect(try client.receive(until: "b\r\n") == "1\r\nb\r\n")
            try client.send("0\r\n\r\n")
            #expect(try client.receiveAll() == "0\r\n\r\n")
            let large = String(repeating: "x", count: 3 << 20)
            let sender = try Client(port: server.port)
            try startThread { try? sender.send(Self.post("/echo", large)) }
            let answer = try sender.receiveAll()
            #expect(answer.count { $0 == "x" } == large.count && answer.hasSuffix("\r\n0\r\n\r\n"))
        }
    }

    @Test func whatAHandlerLeavesIsNotTheNextRequest() async throws {
        try await withServer { (server: TestServer) async throws in
            let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            for first in [
                Self.post("/ignore", body, keep: true),
                Self.chunked("/ignore", "\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\n\r\n", keep: true),
            ] {
                let answer = try server.answer(to: first + Self.post("/collect", "x"))
                #expect(answer.components(of: "HTTP/1.1 ") == 2 && answer.hasSuffix("1 x "))
            }
            let large = String(repeating: "x", count: HTTPConnection.discardLimit)
            let answer = try server.answer(to: Self.post("/ignore", large, keep: true) + Self.post("/collect", "x"))
            #expect(answer.components(of: "HTTP/1.1 ") == 2 && answer.hasSuffix("1 x "))
            let client = try Client(port: server.port)
            try client.send(
                request("POST /ignore", "Content-Length: \(HTTPConnection.discardLimit + 1)", keep: true, body: "x"))
            #expect(try client.receive(until: "ignored").contains("Connection: close"))
        }
    }

    @Test func aResponseAnnouncesTheEndWhereTheRestOfABodyIsUnknown() async throws {
        try await withServer { (server: TestServer) async throws in
            // The end of the chunks has not come with the head.
            let client = try Client(port: server.port)
            try client.send(Self.chunked("/ignore", "3\r\nabc\r\n", keep: true))
            #expect(try client.receive(until: "ignored").contains("Connection: close"))
            try client.send("0\r\n\r\n" + request("GET /"))
            client.finishSending()
            #expect(try client.receiveAll() == "")
            // A stream may still read its request: its head is sent before that is known, and holds whatever is left.
            let large = 2 << 20
            let body = String(repeating: "x", count: large)
            for first in [
                Self.post("/stream", body, keep: true),
                Self.chunked("/stream", "\(String(large, radix: 16))\r\n\(body)\r\n0\r\n\r\n", keep: true),
            ] {
                let kept = try Client(port: server.port)
                try kept.send(first)
                #expect(try kept.response().body == "stream")
                #expect(try kept.get("/").body == "ignored")
            }
        }
    }

    @Test func aClientThatReadsWhenItHasSentAllGetsItsRefusal() async throws {
        try await withServer { (server: TestServer) async throws in
            // More than the buffers of both sockets hold, and with a length that is false, so that the end is the client's.
            for length in [16 << 20, 1 << 30] {
                let client = try Client(port: server.port)
                try client.send(request("POST /collect", "Content-Length: \(length)", keep: true))
                let piece = [UInt8](repeating: 0x78, count: 1 << 20)
                for _ in 0..<16 { try client.send(piece) }
                client.finishSending()
                #expect(try client.receiveAll().hasPrefix("HTTP/1.1 413 "))
            }
        }
    }

    @Test func aBodyAtTheLimitIsTakenAndOneAboveIs413() async throws {
        var options = HTTPServerOptions.patient
        options.bodyLimit = 100
        try await withServer(options) { (server: TestServer) async throws in
            for (count, isTaken) in [(100, true), (101, false)] {
                let text = String(repeating: "x", count: count)
                let chunks = "\(String(count / 2, radix: 16))\r\n\(text.prefix(count / 2))\r\n"
                    + "\(String(count - count / 2, radix: 16))\r\n\(text.dropFirst(count / 2))\r\n0\r\n\r\n"
                for each in [Self.post("/collect", text, keep: isTaken), Self.chunked("/collect", chunks, keep: isTaken)] {
                    let answer = try server.answer(to: each + (isTaken ? request("GET /") : ""))
                    #expect(answer.contains("\r\n\r\n\(count) xxx") == isTaken)
                    #expect(answer.hasPrefix("HTTP/1.1 413 Content Too Large\r\n") != isTaken)
                    #expect(answer.contains("Connection: close"))
                }
            }
            // The call's own limit counts, and an announced length is refused before any of it has come.
            #expect(try server.answer(to: Self.post("/ten", "0123456789")).hasSuffix("10"))
            let client = try Client(port: server.port)
            try client.send(request("POST /ten", "Content-Length: 11", keep: true))
            #expect(try client.receive(until: "Large\n").hasPrefix("HTTP/1.1 413 "))
            #expect(try server.answer(to: request("GET /none")).hasPrefix("HTTP/1.1 200 "))
            #expect(try server.answer(to: Self.post("/none", "x")).hasPrefix("HTTP/1.1 413 "))
            #expect(server.reports == [])
        }
    }

    @Test func brokenChunksAre400AndTrailersAboveTheLimit431() async throws {
        var options = HTTPServerOptions.patient
        options.fieldLimit = 3
        try await withServer(options) { (server: TestServer) async throws in
            #expect(try server.answer(to: Self.chunked("/collect", "x")).hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(try server.answer(to: Self.chunked("/echo", "x")).hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            let trailers = String(repeating: "A: b\r\n", count: 4)
            #expect(try server.answer(to: Self.chunked("/collect", "0\r\n\(trailers)\r\n")).hasPrefix("HTTP/1.1 431 "))
            // The handler does not read it: the response stands, and the connection ends.
            let answer = try server.answer(to: Self.chunked("/ignore", "x", keep: true) + request("GET /"))
            #expect(answer.components(of: "HTTP/1.1 ") == 1 && answer.hasSuffix("ignored"))
            #expect(server.reports == [])
        }
    }

    @Test func aBodyThatNeverEndsHasNoAnswer() async throws {
        try await withServer { (server: TestServer) async throws in
            let client = try Client(port: server.port)
            try client.send(request("POST /collect", "Content-Length: 10", body: "x"))
            client.finishSending()
            #expect(try client.receiveAll() == "")
            #expect(server.reports == [])
        }
    }

    @Test func aClientThatWaitsFor100GetsItWhenTheBodyIsRead() async throws {
        try await withServer { (server: TestServer) async throws in
            let client = try Client(port: server.port)
            try client.send(request("POST /collect", "Expect: 100-continue", "Content-Length: 5", keep: true))
            #expect(try client.receive(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try client.send("hello")
            #expect(try client.response().body == "5 hello ")
            // Where the body has come already, there is nothing to wait for.
            try client.send(request("POST /collect", "Expect: 100-continue", "Content-Length: 1", keep: true, body: "x"))
            #expect(try client.response().body == "1 x ")
            // Who does not read it says no.
            try client.send(request("POST /ignore", "Expect: 100-continue", "Content-Length: 5", keep: true))
            let last = try client.receiveAll()
            #expect(last.hasPrefix("HTTP/1.1 200 OK") && last.contains("Connection: close"))
            let large = try Client(port: server.port)
            try large.send(request("POST /ten", "Expect: 100-continue", "Content-Length: 11", keep: true))
            #expect(try large.receive(until: "Large\n").hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test func aKeptRequestStaysWhatItWasAndItsBodyIsOver() async throws {
        let kept = Kept<HTTPRequest>()
        let server = try TestServer { request in
            if request.path == "/keep" { kept.value = request }
            return .text(request.path)
        }
        let client = try Client(port: server.port)
        try client.send(request("POST /keep", "X: y", "Content-Length: 1", keep: true, body: "b"))
        #expect(try client.response().body == "/keep")
        #expect(try client.get("/other?z").body == "/other")
        let request = try #require(kept.value)
        #expect(request.path == "/keep" && request.fields["x"] == "y" && request.method == .post && request.query == nil)
        await #expect(throws: HTTPError(.requestEnded)) { _ = try await request.body.collect() }
        await #expect(throws: HTTPError(.requestEnded)) { try await request.inform(.earlyHints, HTTPFields()) }
        try await server.stop()
        #expect("\(request.peer)".hasPrefix("127.0.0.1:") && request.fields["x"] == "y")
    }

    /// The bytes of a head are overwritten by the next one, but not where a program still sees them.
    @Test func keptFieldsStayWhatTheyWere() async throws {
        let kept = Kept<HTTPFields>()
        let server = try TestServer { request in
            if kept.value == nil { kept.value = request.fields }
            return .text(request.path + (request.fields["x"] ?? "none"))
        }
        let client = try Client(port: server.port)
        try client.send(request("GET /", "X: first", "Y: z", keep: true))
        #expect(try client.response().body == "/first")
        try client.send(request("GET /long", "X: " + String(repeating: "l", count: 1_000), keep: true))
        #expect(try client.response().body == "/long" + String(repeating: "l", count: 1_000))
        #expect(try client.get("/short").body == "/shortnone")
        #expect(kept.value?["x"] == "first" && kept.value?["y"] == "z" && kept.value?.count == 3)
        try await server.stop()
    }

    @Test func oneTaskAtATimeReadsABody() async throws {
        let gate = Gate()
        let server = try TestServer { request in
            async let first = request.body.collect()
            while request.storage.connection?.isReadingBody != true { await Task.yield() }
            await #expect(throws: HTTPError(.readInProgress)) {
                // The first read waits for bytes that the client sends when the second one has failed.
                _ = try await request.body.collect()
            }
            gate.open()
            return .bytes(try await first)
        }
        let client = try Client(port: server.port)
        try client.send(request("POST /", "Content-Length: 1", keep: true))
        try await gate.wait()
        try client.send("x")
        #expect(try client.response().body == "x")
        try await server.stop()
    }
}

extension String {
    /// How often `part` is in it.
    func components(of part: String) -> Int { self.ranges(of: part).count }
}
