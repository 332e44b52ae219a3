// Bodies that are made while they are sent, responses before the final one, and other protocols.

import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct StreamTests {
    private struct Failure: Error {}

    private func answer(
        _ text: String, _ handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) async throws -> (text: String, reports: [String]) {
        let server = try TestServer(handler)
        let answer = try server.answer(to: text)
        try await server.stop()
        return (answer, server.reports)
    }

    private static let abc: @Sendable (HTTPRequest) async throws -> HTTPResponse = { _ in
        .stream { writer in
            try await writer.write("a")
            try await writer.write("")
            try await writer.write("bc")
            try await writer.setTrailers(["X-Sum": "3"])
        }
    }

    @Test func aStreamIsSentInChunks() async throws {
        let (text, _) = try await answer(request("GET /", keep: true) + request("GET /"), Self.abc)
        let body = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
        #expect(
            text == "HTTP/1.1 200 OK\r\n" + body + "HTTP/1.1 200 OK\r\n"
                + body.replacing("chunked\r\n", with: "chunked\r\nConnection: close\r\n"))
    }

    @Test func trailersGoToClientsThatAskForThem() async throws {
        let (text, _) = try await answer(request("GET /", "TE: trailers"), Self.abc)
        #expect(text.hasSuffix("0\r\nX-Sum: 3\r\n\r\n"))
    }

    @Test func aClientOfHTTP10GetsAStreamUntilTheEnd() async throws {
        let (text, _) = try await answer("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Self.abc)
        #expect(text == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
    }

    @Test func smallPiecesAreSentByAPlainCall() async throws {
        let pieces: [[UInt8]] = [Array("a".utf8), [], Array("bc".utf8), [UInt8](repeating: 0x78, count: 16 * 1024 + 1)]
        let isSent = Kept<[Bool]>()
        for count in [nil, 3] {
            let (text, reports) = try await answer(request("GET /")) { _ in
                .stream(count: count) { writer in
                    isSent.value = try pieces.map { piece in try piece.withUnsafeBytes { try writer.writeNow($0) } }
                }
            }
            #expect(text.hasSuffix(count == nil ? "\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n" : "\r\n\r\nabc"))
            #expect(isSent.value == [true, true, true, false] && reports == [])
        }
    }

    @Test func aPieceBeyondTheLengthIsRefusedByAPlainCall() async throws {
        let (text, reports) = try await answer(request("GET /")) { _ in
            .stream(count: 3) { writer in _ = try Array("abcd".utf8).withUnsafeBytes { try writer.writeNow($0) } }
        }
        #expect(text.hasPrefix("HTTP/1.1 500 ") && reports == ["the body has not the 3 bytes that were announced"])
    }

    /// A writer's state serves response after response, but only if no program has kept it.
    @Test func aKeptWriterIsNotThatOfTheNextResponse() async throws {
        let kept = Kept<HTTPBodyWriter>()
        let server = try TestServer { _ in
            .stream { writer in
                if let earlier = kept.value {
                    mustHold(try !Array("x".utf8).withUnsafeBytes { try earlier.writeNow($0) })
                    await #expect(throws: HTTPError(.requestEnded)) { try await earlier.write("x") }
                }
                kept.value = writer
                try await writer.write("a")
            }
        }
        let text = try server.answer(to: request("GET /", keep: true) + request("GET /", keep: true) + request("GET /"))
        #expect(text.ranges(of: "\r\n\r\n1\r\na\r\n0\r\n\r\n").count == 3)
        try await server.stop()
    }

    @Test func aStreamOfKnownLengthHasNoChunks() async throws {
        let (text, _) = try await answer(request("GET /", keep: true) + request("HEAD /")) { _ in
            .stream(count: 3) { writer in
                try await writer.write("a")
                try await writer.write("bc")
            }
        }
        #expect(
            text == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
                + "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
    }

    @Test func largePiecesArriveWholeWithAndWithoutChunks() async throws {
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 300_000)
        for count in [nil, 600_000] {
            let (text, _) = try await answer(request("GET /")) { _ in
                .stream(count: count) { writer in
                    try await writer.write(piece)
                    try await writer.write(piece)
                }
            }
            let body = String(repeating: "x", count: 300_000)
            let expected = count == nil ? "493e0\r\n\(body)\r\n493e0\r\n\(body)\r\n0\r\n\r\n" : body + body
            #expect(text.hasSuffix("\r\n\r\n" + expected))
        }
    }

    @Test func theHeadOfAStreamDoesNotWaitForItsBody() async throws {
        let gate = Gate()
        let server = try TestServer { _ in
            .stream { writer in
                try await gate.wait()
                try await writer.write("late")
            }
        }
        let client = try Client(port: server.port)
        try client.send(request("GET /"))
        #expect(try client.receive(until: "\r\n\r\n").contains("chunked"))
        gate.open()
        #expect(try client.receiveAll() == "4\r\nlate\r\n0\r\n\r\n")
        try await server.stop()
    }

    @Test func aStreamThatFailsBeforeItsFirstByteIs500() async throws {
        let (text, reports) = try await answer(request("GET /")) { _ in .stream { _ in throw Failure() } }
        #expect(text.hasPrefix("HTTP/1.1 500 ") && !text.contains("chunked"))
        #expect(reports == ["Failure()"])
    }

    @Test func aStreamThatFailsLaterEndsTheConnectionBeforeTheBodyIsComplete() async throws {
        let (text, reports) = try await answer(request("GET /", keep: true)) { _ in
            .stream { writer in
                try await writer.write("a")
                throw Failure()
            }
        }
        #expect(text == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        #expect(reports == ["Failure()"])
    }

    @Test func aStreamMustHaveItsLength() async throws {
        let wrong = "the body has not the 3 bytes that were announced"
        let (short, shortReports) = try await answer(request("GET /", keep: true)) { _ in
            .stream(count: 3) { try await $0.write("ab") }
        }
        #expect(short == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab" && shortReports == [wrong])
        let (long, longReports) = try await answer(request("GET /")) { _ in
            .stream(count: 3) { try await $0.write("abcd") }
        }
        #expect(long.hasPrefix("HTTP/1.1 500 ") && longReports == [wrong])
        let (negative, _) = try await answer(request("GET /")) { _ in .stream(count: -1) { _ in } }
        #expect(negative.hasPrefix("HTTP/1.1 500 "))
    }

    @Test func aWriterIsOverWithItsResponse() async throws {
        let kept = Kept<HTTPBodyWriter>()
        let server = try TestServer { _ in
            .stream { writer in
                kept.value = writer
                try await writer.write("a")
            }
        }
        _ = try server.answer(to: request("GET /"))
        await #expect(throws: HTTPError(.requestEnded)) { try await kept.value?.write("b") }
        try await server.stop()
    }

    @Test func otherResponsesMayComeBeforeTheFinalOne() async throws {
        let handler: @Sendable (HTTPRequest) async throws -> HTTPResponse = { request in
            try await request.inform(.earlyHints, ["Link": "</a>"])
            await #expect(throws: HTTPError(.badStatus(.ok))) { try await request.inform(.ok, HTTPFields()) }
            await #expect(throws: HTTPError(.badStatus(.continue))) { try await request.inform(.continue, HTTPFields()) }
            return .noContent
        }
        let (text, _) = try await answer(request("GET /"), handler)
        let last = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        #expect(text == "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + last)
        #expect(try await answer("GET / HTTP/1.0\r\n\r\n", handler).text == last)
    }

    @Test func anUpgradeHandsOverTheConnectionWithWhatCameBehindTheRequest() async throws {
        let handler: @Sendable (HTTPRequest) async throws -> HTTPResponse = { _ in
            .upgrade(to: "echo", fields: ["X": "y"]) { connection in
                let line = try await connection.reader.read(until: "\n", limit: 100)
                try await connection.writer.write(line)
            }
        }
        let head = request("GET /", "Connection: x, Upgrade", "Upgrade: h2c, Echo", keep: true)
        let (text, reports) = try await answer(head + "early\n", handler)
        #expect(
            text == "HTTP/1.1 101 Switching Protocols\r\nX: y\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nearly\n")
        #expect(reports == [])
        for other in [
            request("GET /"), request("GET /", "Upgrade: echo"), request("GET /", "Connection: upgrade", "Upgrade: x"),
            "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
            request("POST /", "Connection: upgrade", "Upgrade: echo", "Content-Length: 1", body: "x"),
        ] {
            let (text, _) = try await answer(other, handler)
            #expect(text.hasPrefix("HTTP/1.1 426 Upgrade Required\r\n") && text.contains("\r\nUpgrade: echo\r\n"))
        }
    }

    /// Sendfile's way into the socket: the head goes first, and the rest comes by the closure's own calls.
    @Test func aTransferMovesItsBytesByItself() async throws {
        let bytes = [UInt8](repeating: UInt8(ascii: "t"), count: 3 << 20)
        let handler: @Sendable (HTTPRequest) async throws -> HTTPResponse = { request in
            let end = request.path == "/short" ? 10 : bytes.count
            return HTTPResponse(
                body: .transfer(count: bytes.count) { transfer in
                    try await transfer.send(bytes.count) { socket, rest throws(SystemError) in
                        let start = bytes.count - rest
                        if start >= end { return 0 }
                        return try bytes.withUnsafeBufferPointer { all throws(SystemError) in
                            let part = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(all)[start..<end])
                            return try sendBytes(to: socket, part)
                        }
                    }
                })
        }
        let (whole, _) = try await answer(request("HEAD /", keep: true) + request("GET /"), handler)
        #expect(
            whole == "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\nConnection: close\r\n\r\n"
                + String(decoding: bytes, as: UTF8.self))
        let (short, reports) = try await answer(request("GET /short"), handler)
        #expect(short.hasSuffix("\r\n\r\n" + String(repeating: "t", count: 10)) && reports.count == 1)
    }
}

/// What a handler lets out.
final class Kept<Value: Sendable>: @unchecked Sendable {
    // Sendable: written by the handler before its response, read by the test after that.
    var value: Value?
}
