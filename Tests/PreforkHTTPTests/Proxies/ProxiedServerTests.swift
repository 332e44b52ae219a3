// Servers behind proxies: who the client is for a handler, and which connections are closed.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct ProxiedServerTests {
    private func options(_ addresses: [String]?, header: Bool = false) throws -> HTTPServerOptions {
        var options = HTTPServerOptions.patient
        options.trustedProxies = try addresses.map { try TrustedProxies($0) }
        options.expectsProxyHeader = header
        return options
    }

    /// What a handler sees of the client.
    @Sendable private static func tell(_ request: HTTPRequest) -> HTTPResponse {
        .text("\(request.client) \(request.scheme) \(request.host ?? "-")\n")
    }

    private static let fields = ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: b"]

    private func ask(_ options: HTTPServerOptions, before: String = "", _ fields: [String] = fields) async throws -> String {
        let server = try TestServer(options: options) { Self.tell($0) }
        let text = before + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
        let answer: String
        do {
            answer = try server.answer(to: text)
        } catch let error as ClientError where error.description == "recv: errno \(ECONNRESET)" {
            // What the server has not read when it closes makes the kernel reset the connection (tcp(7)).
            answer = ""
        }
        try await server.stop()
        return answer.split(separator: "\r\n").last.map(String.init) ?? ""
    }

    @Test func `A field counts if a trusted proxy has sent it`() async throws {
        #expect(try await ask(options(["127.0.0.0/8"])) == "203.0.113.9:0 https b\n")
        #expect(try await ask(options(["10.0.0.0/8"])).hasSuffix(" http a\n"))
        #expect(try await ask(options(nil)).hasPrefix("127.0.0.1:"))
    }

    /// It is computed once for each request, which must not make it the next one's.
    @Test func `Each request of a connection has its own client`() async throws {
        let server = try TestServer(options: options(["127.0.0.0/8"])) { request in
            let first = Self.tell(request)
            if request.path == "/kept" { try await EventLoop.shared.run { _ in _ = request.client } }
            return request.client == request.client ? first : .badRequest
        }
        let client = try Client(port: server.port)
        for (number, path) in ["/", "/kept", "/", "/"].enumerated() {
            let fields = number == 3 ? [] : ["X-Forwarded-For: 203.0.113.\(number)", "X-Forwarded-Host: h\(number)"]
            try client.send("GET \(path) HTTP/1.1\r\nHost: a\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n")
            let answer = try client.response().body
            if number < 3 {
                #expect(answer == "203.0.113.\(number):0 http h\(number)\n")
            } else {
                #expect(answer.hasPrefix("127.0.0.1:") && answer.hasSuffix(" http a\n"))
            }
        }
        try await server.stop()
    }

    @Test func `The PROXY protocol names the client, once for all requests of a connection`() async throws {
        let server = try TestServer(options: options(["127.0.0.1"], header: true)) { Self.tell($0) }
        let client = try Client(port: server.port)
        // In pieces.
        try client.send("PROXY TCP4 192.0.2.7 198.51.100.1 56")
        try client.send("324 443\r\n" + request("GET /", keep: true))
        #expect(try client.receive(until: "\n").hasSuffix("192.0.2.7:56324 http a\n"))
        try client.send(request("GET /"))
        #expect(try client.receive(until: "\n").hasSuffix("192.0.2.7:56324 http a\n"))
        try await server.stop()
        // A field of a client that is no proxy is not read.
        let line = "PROXY TCP4 192.0.2.7 198.51.100.1 1 443\r\n"
        #expect(try await ask(options(["127.0.0.1"], header: true), before: line) == "192.0.2.7:1 http a\n")
        #expect(try await ask(options(["127.0.0.1", "192.0.2.7"], header: true), before: line) == "203.0.113.9:0 https b\n")
        // A health check of the proxy itself.
        #expect(try await ask(options(["127.0.0.1"], header: true), before: "PROXY UNKNOWN\r\n", []).hasPrefix("127.0.0.1:"))
    }

    @Test(arguments: ["", "GET / HTTP/1.1\r\n", "PROXY TCP4 x\r\n"])
    func `A connection without the header is closed without a word`(begin: String) async throws {
        #expect(try await ask(options(["127.0.0.1"], header: true), before: begin) == "")
        #expect(try await ask(options(["10.0.0.1"], header: true), before: "PROXY UNKNOWN\r\n") == "", "of a peer that is no proxy")
    }

    @Test func `A header that does not come in time gets no response either`() async throws {
        var options = try options(["127.0.0.1"], header: true)
        options.headTimeout = .milliseconds(20)
        let server = try TestServer(options: options) { Self.tell($0) }
        let client = try Client(port: server.port)
        try client.send("PROXY TCP4 1")
        #expect(try client.receiveAll() == "")
        try await server.stop()
    }

    @Test func `A silent connection does not hold up the end of a worker`() async throws {
        let server = try TestServer(options: options(["127.0.0.1"], header: true)) { Self.tell($0) }
        let client = try Client(port: server.port)
        let other = try Client(port: server.port)
        try other.send("PROXY UNKNOWN\r\n" + request("GET /"))
        _ = try other.receiveAll()
        try await server.stop()
        withExtendedLifetime(client) {}
    }

    @Test func `A header needs peers that may send it`() async throws {
        let server = try TestServer(options: options(nil, header: true)) { Self.tell($0) }
        await #expect(throws: SystemError("serveHTTP", .invalidArgument, on: "expectsProxyHeader without trustedProxies")) {
            try await server.stop()
        }
    }
}
