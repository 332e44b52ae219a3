// What a client gets for what a handler returns.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct ResponseTests {
    private struct Secret: Error {}

    private static let large = String(repeating: "0123456789abcdef", count: 1 << 16)

    private static func respond(to request: HTTPRequest) async throws -> HTTPResponse {
        switch request.path {
        case "/": return .text("Hello World")
        case "/json": return .json(Array("{}".utf8), status: .created)
        case "/204": return HTTPResponse(status: .noContent, body: .text("never sent"))
        case "/304": return HTTPResponse(status: .notModified, fields: ["ETag": "x"], body: .text("never sent"))
        case "/304-length": return HTTPResponse(status: .notModified, fields: ["Content-Length": "7"])
        case "/205": return .status(HTTPStatus(205)!)
        case "/large": return .text(large)
        case "/throw": throw Secret()
        case "/cancel": throw CancellationError()
        case "/early": return .status(.earlyHints)
        case "/close":
            return HTTPResponse(fields: ["Connection": "close", "Transfer-Encoding": "gzip", "Content-Length": "99"])
        case "/date": return HTTPResponse(fields: ["Date": "mine"])
        case "/own-fields": return HTTPResponse(fields: request.fields)
        case "/redirect": return try .redirect(to: "/there?x")
        case "/split": return try .redirect(to: "/\r\nX: y")
        default: return .notFound
        }
    }

    private func answers(_ requests: String...) async throws -> String {
        let server = try TestServer(Self.respond)
        let answer = try server.answer(to: requests.joined())
        try await server.stop()
        return answer
    }

    private static let text = "Content-Type: text/plain; charset=utf-8\r\n"

    @Test func aTextHasItsTypeItsLengthAndADate() async throws {
        #expect(
            try await answers(request("GET /"))
                == "HTTP/1.1 200 OK\r\n\(Self.text)Content-Length: 11\r\nConnection: close\r\n\r\nHello World")
    }

    @Test func aClientOfHTTP10IsClosedUnlessItAsks() async throws {
        #expect(
            try await answers("GET / HTTP/1.0\r\n\r\n", request("GET /"))
                == "HTTP/1.1 200 OK\r\n\(Self.text)Content-Length: 11\r\nConnection: close\r\n\r\nHello World")
        #expect(
            try await answers("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /json HTTP/1.0\r\n\r\n")
                == "HTTP/1.1 404 Not Found\r\n\(Self.text)Content-Length: 14\r\nConnection: keep-alive\r\n\r\n404 Not Found\n"
                + "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        )
    }

    @Test func whereThereIsNoBodyNoneIsSent() async throws {
        #expect(
            try await answers(
                request("HEAD /", keep: true), request("HEAD /large", keep: true), request("GET /204", keep: true),
                request("GET /304", keep: true), request("GET /304-length", keep: true), request("GET /205"))
                == "HTTP/1.1 200 OK\r\n\(Self.text)Content-Length: 11\r\n\r\n"
                + "HTTP/1.1 200 OK\r\n\(Self.text)Content-Length: 1048576\r\n\r\n"
                + "HTTP/1.1 204 No Content\r\n\r\n" + "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 10\r\n\r\n"
                + "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"
                + "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    @Test func aLargeBodyArrivesWhole() async throws {
        let answer = try await answers(request("GET /large", keep: true), request("GET /"))
        let head = "HTTP/1.1 200 OK\r\n\(Self.text)Content-Length: 1048576\r\n\r\n"
        #expect(answer.hasPrefix(head + Self.large + "HTTP/1.1 200 OK\r\n") && answer.hasSuffix("Hello World"))
    }

    @Test func aHandlersErrorIs500WithoutItsTextAndOneReport() async throws {
        let server = try TestServer(Self.respond)
        let answer = try server.answer(to: request("GET /throw", keep: true) + request("GET /"))
        #expect(
            answer.hasPrefix(
                "HTTP/1.1 500 Internal Server Error\r\n\(Self.text)Content-Length: 26\r\n\r\n500 Internal Server Error\n"))
        #expect(answer.hasSuffix("Hello World") && !answer.contains("Secret"))
        #expect(server.reports == ["Secret()"])
        for (path, report) in [
            ("/early", "status 103 cannot be sent here"), ("/split", "a field that cannot be sent: Location"),
            ("/cancel", "CancellationError()"),
        ] {
            #expect(try server.answer(to: request("GET \(path)")).hasPrefix("HTTP/1.1 500 "))
            #expect(server.reports.last == report)
        }
        try await server.stop()
        #expect(server.reports.count == 4)
    }

    @Test func framingIsTheServersAlone() async throws {
        #expect(
            try await answers(request("GET /close", keep: true))
                == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        #expect(
            try await answers(request("GET /date", keep: true), request("GET /own-fields", "Date: x", "Upgrade: y"))
                == "HTTP/1.1 200 OK\r\nDate: mine\r\nContent-Length: 0\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nHost: a\r\nDate: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        #expect(try await answers(request("GET /redirect")).contains("302 Found\r\nLocation: /there?x\r\n"))
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        let server = try TestServer { .text($0.path) }
        let requests = (0..<300).map { request("GET /\($0)", keep: true) }.joined()
        let client = try Client(port: server.port)
        try client.send(requests)
        for number in 0..<300 { #expect(try client.response() == (200, "/\(number)")) }
        for byte in request("GET /slow", keep: true) { try client.send(String(byte)) }
        #expect(try client.response() == (200, "/slow"))
        try await server.stop()
    }

    @Test func aResponseDoesNotWaitForTheNextRequestsHandler() async throws {
        let gate = Gate()
        let server = try TestServer { request in
            if request.path == "/slow" { try await gate.wait() }
            return .text(request.path)
        }
        let client = try Client(port: server.port)
        try client.send(request("GET /first", keep: true) + request("GET /slow", keep: true))
        #expect(try client.response().body == "/first")
        #expect(gate.waiting == 1)
        gate.open()
        #expect(try client.response().body == "/slow")
        try await server.stop()
    }

    @Test func aConnectionIsServedWithoutAListener() async throws {
        let (one, other) = try Socket.pair()
        let loop = try EventLoop()
        let client = Descriptor(owning: other)
        _ = try Array(request("GET /x").utf8).withUnsafeBytes { try sendBytes(to: client.number, $0) }
        try loop.run {
            let connection = try Connection(adopting: one)
            try await connection.serveHTTP { .text($0.path) }
            connection.close()
        }
        var bytes = [UInt8](repeating: 0, count: 1_000)
        let outcome = try bytes.withUnsafeMutableBytes { try readBytes(from: client.number, into: $0) }
        guard case .bytes(let count) = outcome else { throw NotInTime(description: "no answer") }
        #expect(String(decoding: bytes[..<count], as: UTF8.self).hasSuffix("\r\n\r\n/x"))
    }

    @Test func optionsThatMakeNoSenseAreErrorsThatNameThem() async throws {
        let changes: [(String, @Sendable (inout HTTPServerOptions) -> Void)] = [
            ("headLimit 63", { $0.headLimit = 63 }), ("fieldLimit 0", { $0.fieldLimit = 0 }),
            ("bodyLimit -1", { $0.bodyLimit = -1 }), ("minimumRate -1", { $0.minimumRate = -1 }),
            ("headTimeout 0.0", { $0.headTimeout = .zero }), ("bodyTimeout -1.0", { $0.bodyTimeout = .seconds(-1) }),
            ("keepAliveTimeout 0.0", { $0.keepAliveTimeout = .zero }), ("writeTimeout 0.0", { $0.writeTimeout = .zero }),
        ]
        for (text, change) in changes {
            var options = HTTPServerOptions()
            change(&options)
            let server = try TestServer(options: options) { _ in .notFound }
            let error = await #expect(throws: SystemError.self) { try await server.stop() }
            #expect(error.map { "\($0)".contains(text) } == true, "\(error.map { "\($0)" } ?? "") \(text)")
        }
    }
}
