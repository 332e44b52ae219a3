// The example whose page uses fetch, an upload and a WebSocket, without a browser: `Scripts/browser` has one.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct PageServerTests {
    private func start() async throws -> (program: ChildProgram, port: UInt16) {
        let program = try ChildProgram("page-server", ["127.0.0.1:0"], environment: ["PREFORK_WORKERS": "2"])
        func place() -> Substring? {
            program.errors.split(separator: "\n").first { $0.contains("listening on ") }?.split(separator: ":").last
        }
        try await eventually("a place\n\(program.errors)") { place() != nil }
        return (program, try #require(UInt16(place()?.prefix { $0.isNumber } ?? "")))
    }

    private func stop(_ program: ChildProgram) async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.groupSize == 0)
    }

    @Test func thePageItsWorkerAndItsCountAreAnswered() async throws {
        let (program, port) = try await start()
        let client = try Client(port: port)
        #expect(try client.get("/").body.hasPrefix("<!doctype html>"))
        #expect(try client.get("/worker").body.hasSuffix(#","generation":1}"#))
        #expect(try client.get("/nothing").status == 404)
        try client.send(request("GET /count"))
        #expect(try client.receiveAll().hasSuffix("\r\n2\r\n9 \r\n3\r\n10 \r\n0\r\n\r\n"))
        try await stop(program)
    }

    @Test func anUploadIsCountedAndHashedPieceByPiece() async throws {
        let (program, port) = try await start()
        let client = try Client(port: port)
        // The values of the author's table, http://www.isthe.com/chongo/tech/comp/fnv/.
        for (body, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            try client.send(request("PUT /upload", "Content-Length: \(body.utf8.count)", keep: true, body: body))
            #expect(try client.response().body == #"{"count":\#(body.utf8.count),"hash":\#(hash)}"#)
        }
        try client.send(request("PUT /upload", "Content-Length: 3000000", body: String(repeating: "x", count: 3_000_000)))
        #expect(try client.response().body.hasPrefix(#"{"count":3000000,"#))
        try await stop(program)
    }

    @Test func whatOnePageSaysAllPagesHear() async throws {
        let (program, port) = try await start()
        try await WebSocketFixture.onLoop {
            var peers: [WebSocketPeer] = []
            for _ in 0..<4 {
                let connection = try await Connection.connect(to: .ipv4(0x7F00_0001, port: port))
                try await connection.writer.write(
                    request("GET /chat", "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13",
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", keep: true))
                #expect(String(decoding: try await connection.reader.read(until: "\r\n\r\n", limit: 4096), as: UTF8.self).contains(" 101 "))
                peers.append(WebSocketPeer(connection))
            }
            for (number, peer) in peers.enumerated() {
                try await peer.send("message \(number)")
                for other in peers {
                    guard case .message(.text(let text)) = try await other.next() else { throw WebSocketFixture.Ends(text: "none") }
                    #expect(text.hasPrefix("message \(number) (by worker "))
                }
            }
            program.send(.hangUp)
            for peer in peers {
                #expect(try await peer.next() == .close(.goingAway, reason: ""))
                peer.connection.close()
            }
        }
        try await stop(program)
    }
}
