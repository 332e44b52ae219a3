// WebSockets behind the HTTP server: handshakes over the wire, refusals, and the bytes behind the request.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct WebSocketServingTests {
    private static let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    private static let head = "HTTP/1.1 101 Switching Protocols\r\n"

    private func upgrade(_ fields: String..., version: String = "13") -> String {
        let all = [
            "GET /ws HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: keep-alive, Upgrade", Self.key,
            "Sec-WebSocket-Version: \(version)",
        ]
        return (all + fields).joined(separator: "\r\n") + "\r\n\r\n"
    }

    private func serve(
        _ options: WebSocketOptions = WebSocketOptions(), _ body: (TestServer) throws -> Void
    ) async throws -> [String] {
        let server = try TestServer { request in
            if request.path == "/page" { return .text("page") }
            return .webSocket(for: request, options: options) { socket in
                for try await message in socket {
                    if message == .text("throw") { throw WebSocketFixture.Ends(text: "thrown") }
                    try await socket.send(message)
                }
            }
        }
        do { try body(server) } catch {
            try? await server.stop()
            throw error
        }
        try await server.stop()
        return server.reports
    }

    private static func masked(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        payload.withUnsafeBytes {
            WebSocketFrameHead.write(opcode, mask: WebSocketMask([9, 8, 7, 6]), $0, to: &bytes)
        }
        return bytes
    }

    @Test func framesBehindTheRequestAreReadWithoutAnotherRead() async throws {
        let reports = try await serve(WebSocketOptions(subprotocols: ["chat"])) { server in
            let client = try Client(port: server.port)
            // A request for a page, the handshake, a message and the close frame: all in one packet.
            try client.send(
                Array(("GET /page HTTP/1.1\r\nHost: a\r\n\r\n" + upgrade("Sec-WebSocket-Protocol: x, chat")).utf8)
                    + Self.masked(.text, [104, 105]) + Self.masked(.close, [3, 232]))
            var all: [UInt8] = []
            while case let more = try client.receive(), !more.isEmpty { all += more }
            let frames: [UInt8] = [0x81, 2, 104, 105, 0x88, 2, 3, 232]
            #expect(all.suffix(frames.count).elementsEqual(frames))
            let text = withoutDates(String(decoding: all.dropLast(frames.count), as: UTF8.self))
            let answer = try #require(text.firstRange(of: Self.head))
            #expect(text[..<answer.lowerBound].hasSuffix("\r\n\r\npage"))
            for line in [
                "\r\nUpgrade: websocket\r\n", "\r\nConnection: upgrade\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n",
                "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
            ] {
                #expect(text[answer.lowerBound...].contains(line))
            }
            #expect(!text.contains("Extensions") && !text[answer.lowerBound...].contains("Content-Length"))
        }
        #expect(reports == [])
    }

    @Test func refusalsKeepTheConnectionAndSayWhy() async throws {
        _ = try await serve { server in
            let client = try Client(port: server.port)
            for (request, status, field) in [
                (upgrade(version: "8"), "426 Upgrade Required", "\r\nSec-WebSocket-Version: 13\r\n"),
                (upgrade(version: "8"), "426 Upgrade Required", "\r\nUpgrade: websocket\r\n"),
                (upgrade(version: "8"), "426 Upgrade Required", "\r\nConnection: upgrade\r\n"),
                ("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "426 Upgrade Required", "\r\nUpgrade: websocket\r\n"),
                ("HEAD /ws HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed", "\r\nAllow: GET\r\n"),
                (upgrade("Origin: https://evil.example"), "403 Forbidden", "\r\n"),
                (upgrade(Self.key), "400 Bad Request", "\r\n"),
            ] {
                try client.send(request)
                var text = ""
                while text.utf8.last != 10 || !text.contains("\r\n\r\n") {
                    text += String(decoding: try client.receive(), as: UTF8.self)
                }
                #expect(text.hasPrefix("HTTP/1.1 \(status)\r\n") && text.contains(field), "\(text)")
            }
            try client.send(Array(upgrade().utf8) + Self.masked(.close, [3, 232]))
            #expect(try client.receiveAll().hasPrefix(Self.head))
        }
    }

    @Test func aHandlerThatThrowsIsReportedAndClosesWith1011() async throws {
        let reports = try await serve { server in
            let client = try Client(port: server.port)
            try client.send(Array(upgrade().utf8) + Self.masked(.text, Array("throw".utf8)) + Self.masked(.close, [3, 243]))
            var all: [UInt8] = []
            while case let more = try client.receive(), !more.isEmpty { all += more }
            #expect(all.suffix(4).elementsEqual([0x88, 2, 3, 243]))
        }
        #expect(reports.count == 1 && reports[0].contains("thrown"))
    }

    @Test func theEndOfTheServiceClosesWith1001() async throws {
        _ = try await serve { server in
            let client = try Client(port: server.port)
            try client.send(Array(upgrade().utf8) + Self.masked(.text, [97]))
            var all: [UInt8] = []
            while !all.suffix(3).elementsEqual([0x81, 1, 97]) { all += try client.receive() }
            server.beginStop()
            let goodbye = try client.receive()
            #expect(goodbye == [0x88, 2, 3, 233])
            try client.send(Self.masked(.close, [3, 233]))
            #expect(try client.receive().isEmpty)
        }
    }
}
