// Files over real sockets: what arrives, also when the file changes meanwhile.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct FilesServingTests {
    /// Runs a server of a tree's files while `body` is its client.
    private func serve(
        _ tree: FilesTree, _ change: (inout HTTPFiles.Options) -> Void = { _ in }, _ body: (TestServer) throws -> Void
    ) async throws {
        let files = try tree.files(change)
        let server = try TestServer { try files.response(to: $0) }
        do { try body(server) } catch {
            try await server.stop()
            throw error
        }
        try await server.stop()
    }

    private func parts(_ answer: [UInt8]) throws -> (head: String, body: ArraySlice<UInt8>) {
        let end = Array("\r\n\r\n".utf8)
        let place = try #require(answer.indices.first { answer[$0...].starts(with: end) })
        return (String(decoding: answer[..<place], as: UTF8.self), answer[(place + 4)...])
    }

    private func bytes(of server: TestServer, _ request: String) throws -> [UInt8] {
        let client = try Client(port: server.port)
        try client.send(request)
        var all: [UInt8] = []
        while case let more = try client.receive(), !more.isEmpty { all += more }
        return all
    }

    @Test(arguments: [0, 1, 4_096, 16_384, 16_385, 1 << 20, 5 << 20])
    func filesOfEverySizeArrive(size: Int) async throws {
        let tree = try FilesTree()
        let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        try tree.write("root/a.bin", content)
        try await serve(tree) { server in
            let (head, body) = try parts(bytes(of: server, request("GET /a.bin")))
            #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: \(size)"))
            #expect(Array(body) == content)
            let (headAlone, nothing) = try parts(bytes(of: server, request("HEAD /a.bin")))
            #expect(headAlone.contains("Content-Length: \(size)") && nothing.isEmpty)
            // Kept connections go on behind a file.
            let kept = try bytes(
                of: server, request("GET /a.bin", keep: true) + request("HEAD /a.bin", keep: true) + request("GET /a.bin"))
            #expect(kept.count > 2 * size && Array(kept.suffix(size)) == content)
        }
    }

    @Test func severalRangesArriveAsOneBody() async throws {
        let tree = try FilesTree()
        let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try tree.write("root/a.bin", content)
        try await serve(tree) { server in
            let (head, body) = try parts(
                bytes(of: server, request("GET /a.bin", "Range: bytes=100000-299999,0-9,-0")))
            #expect(head.contains("Content-Length: \(body.count)"))
            let line = try #require(head.split(separator: "\r\n").first { $0.hasPrefix("Content-Type: ") })
            let boundary = String(line.split(separator: "=")[1])
            func partHead(_ first: Int, _ last: Int) -> [UInt8] {
                let lines = [
                    "--\(boundary)", "Content-Type: application/octet-stream",
                    "Content-Range: bytes \(first)-\(last)/300000", "", "",
                ]
                return Array(lines.joined(separator: "\r\n").utf8)
            }
            let expected =
                partHead(100_000, 299_999) + content[100_000...] + Array("\r\n".utf8) + partHead(0, 9) + content[..<10]
                + Array("\r\n--\(boundary)--\r\n".utf8)
            #expect(Array(body) == expected)
        }
    }

    /// Sparse: it has no blocks on the disk.
    @Test func theLastBytesOfAFileAboveFourGiBArrive() async throws {
        let tree = try FilesTree()
        let size = 5 << 30
        let file = open(tree.root + "/big", O_CREAT | O_WRONLY, 0o644)
        #expect(file >= 0 && pwrite(file, "end", 3, off_t(size - 3)) == 3)
        close(file)
        try await serve(tree) { server in
            for (range, expected) in [("-3", "end"), ("\(size - 3)-", "end"), ("\(size - 4)-\(size - 2)", "\0en")] {
                let (head, body) = try parts(bytes(of: server, request("GET /big", "Range: bytes=\(range)")))
                #expect(head.hasPrefix("HTTP/1.1 206") && String(decoding: body, as: UTF8.self) == expected)
                #expect(head.contains("/\(size)\r\n"))
            }
            #expect(try parts(bytes(of: server, request("HEAD /big"))).head.contains("Content-Length: \(size)"))
            #expect(try parts(bytes(of: server, request("GET /big", "Range: bytes=\(size)-"))).head.contains(" 416 "))
        }
    }

    @Test func aFileThatIsTruncatedWhileItIsSentEndsTheConnection() async throws {
        let tree = try FilesTree()
        let size = 64 << 20
        let file = open(tree.root + "/big", O_CREAT | O_RDWR, 0o644)
        #expect(file >= 0 && ftruncate(file, off_t(size)) == 0)
        defer { close(file) }
        try await serve(tree) { server in
            let client = try Client(port: server.port)
            try client.send(request("GET /big", keep: true))
            // The server is somewhere in the file: far more of it is left than the sockets' buffers hold.
            var received = try client.receive().count
            #expect(ftruncate(file, 0) == 0)
            while case let more = try client.receive(), !more.isEmpty { received += more.count }
            #expect(received < size, "the length was announced, and the end says that it does not hold")
            // The server goes on.
            try tree.write("root/a.txt", "a")
            #expect(try get("/a.txt", port: server.port).body == "a")
        }
    }

    @Test func aFileThatIsReplacedWhileItIsSentIsSentAsItWas() async throws {
        let tree = try FilesTree()
        let old = [UInt8](repeating: 1, count: 16 << 20)
        try tree.write("root/a.bin", old)
        try tree.write("root/new", [UInt8](repeating: 2, count: 100))
        try await serve(tree) { server in
            let client = try Client(port: server.port)
            try client.send(request("GET /a.bin"))
            var all = try client.receive()
            #expect(rename(tree.root + "/new", tree.root + "/a.bin") == 0)
            while case let more = try client.receive(), !more.isEmpty { all += more }
            #expect(try Array(parts(all).body) == old)
        }
    }

    @Test func aClientThatGoesAwayCostsNothing() async throws {
        let tree = try FilesTree()
        let file = open(tree.root + "/big", O_CREAT | O_RDWR, 0o644)
        #expect(file >= 0 && ftruncate(file, 1 << 30) == 0)
        close(file)
        try await serve(tree) { server in
            for _ in 0..<20 {
                let client = try Client(port: server.port)
                try client.send(request("GET /big"))
                _ = try client.receive()
            }
            try tree.write("root/a.txt", "a")
            #expect(try get("/a.txt", port: server.port).body == "a")
        }
    }

    @Test func pathsAndRedirectsOverTheWire() async throws {
        let tree = try FilesTree()
        try tree.write("secret.txt", "secret")
        try tree.makeDirectory("root/sub")
        try tree.write("root/sub/index.html", "<p>")
        try await serve(tree) { server in
            let moved = try server.answer(to: request("GET /sub?x=1"))
            #expect(moved.hasPrefix("HTTP/1.1 301 Moved Permanently\r\n") && moved.contains("\r\nLocation: ./sub/?x=1\r\n"))
            #expect(try server.answer(to: request("GET /sub/")).hasSuffix("\r\n\r\n<p>"))
            #expect(try server.answer(to: request("GET /../secret.txt")).hasPrefix("HTTP/1.1 404 "))
            #expect(try server.answer(to: request("GET /%2e%2e/secret.txt")).hasPrefix("HTTP/1.1 404 "))
            #expect(try server.answer(to: request("GET http://a/sub/")).hasSuffix("\r\n\r\n<p>"))
            #expect(try server.answer(to: request("POST /sub/", body: "")).hasPrefix("HTTP/1.1 405 "))
            #expect(try server.answer(to: request("OPTIONS *")).hasPrefix("HTTP/1.1 405 "))
            let tag = try server.answer(to: request("HEAD /sub/")).split(separator: "\r\n").first { $0.hasPrefix("ETag: ") }
            let again = try server.answer(to: request("GET /sub/", "If-None-Match: \(tag?.dropFirst(6) ?? "")"))
            #expect(again.hasPrefix("HTTP/1.1 304 ") && again.hasSuffix("\r\n\r\n"))
        }
    }
}
