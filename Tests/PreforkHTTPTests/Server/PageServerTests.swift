// The example whose page uses fetch, an upload and a WebSocket, without a browser: `Scripts/browser` has one.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct PageServerTests {
    @Test func thePageItsWorkerAndItsCountAreAnswered() async throws {
        let server = try await PageServer()
        let client = try Client(port: server.port)
        #expect(try client.get("/").body.hasPrefix("<!doctype html>"))
        #expect(try client.get("/worker").body.hasSuffix(#","generation":1}"#))
        #expect(try client.get("/nothing").status == 404)
        try client.send(request("GET /count"))
        #expect(try client.receiveAll().hasSuffix("\r\n2\r\n9 \r\n3\r\n10 \r\n0\r\n\r\n"))
        try await server.stop()
    }

    @Test func anUploadIsCountedAndHashedPieceByPiece() async throws {
        let server = try await PageServer()
        let client = try Client(port: server.port)
        // The values of the author's table, http://www.isthe.com/chongo/tech/comp/fnv/.
        for (body, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            try client.send(request("PUT /upload", "Content-Length: \(body.utf8.count)", keep: true, body: body))
            #expect(try client.response().body == #"{"count":\#(body.utf8.count),"hash":\#(hash)}"#)
        }
        try client.send(request("PUT /upload", "Content-Length: 3000000", body: String(repeating: "x", count: 3_000_000)))
        #expect(try client.response().body.hasPrefix(#"{"count":3000000,"#))
        try await server.stop()
    }
}
