// The request parser: whole, split, merged, wrong and random requests.

import Prefork
import PreforkSystem
import Testing

@testable import benchmark_server

/// Feeds `pieces` one after the other and returns what the parser made of all of them, as the server would.
private func parse(_ pieces: [[UInt8]]) -> [RequestParser.Step] {
    var parser = RequestParser()
    var buffer: [UInt8] = []
    var steps: [RequestParser.Step] = []
    var body = 0
    for piece in pieces {
        buffer += piece
        while !buffer.isEmpty {
            let skipped = min(body, buffer.count)
            buffer.removeFirst(skipped)
            body -= skipped
            if buffer.isEmpty { break }
            // An allocation of exactly this size: a read beyond it is for the memory checker to see.
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count, alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: buffer)
            let step = parser.next(in: UnsafeRawBufferPointer(memory))
            if step == .incomplete { break }
            steps.append(step)
            guard case .request(let request) = step else { return steps }
            buffer.removeFirst(request.headLength)
            body = request.bodyLength
        }
    }
    return steps
}

private func parse(_ text: String) -> RequestParser.Step? {
    parse([Array(text.utf8)]).first
}

private func targets(_ steps: [RequestParser.Step]) -> [String] {
    steps.map { if case .request(let request) = $0 { request.target } else { "\($0)" } }
}

@Suite struct RequestParserTests {
    @Test func aRequestIsReadWithItsFields() {
        let text = "GET /pid?x=1 HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nContent-Length: 3\r\n\r\nabc"
        #expect(
            parse(text)
                == .request(
                    Request(
                        method: .get, target: "/pid?x=1", headLength: text.utf8.count - 3, bodyLength: 3,
                        keepAlive: true)))
    }

    @Test func mergedRequestsComeOutOneByOne() {
        let text = String(repeating: "GET /a HTTP/1.1\r\nHost: x\r\n\r\nHEAD /b HTTP/1.1\r\nHost: x\r\n\r\n", count: 50)
        #expect(targets(parse([Array(text.utf8)])) == (0..<50).flatMap { _ in ["/a", "/b"] })
    }

    @Test func everySplitGivesTheSameRequests() {
        let bytes = Array(
            "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.0\r\nContent-Length: 2\r\n\r\nxyGET /c HTTP/1.1\r\nHost: x\r\n\r\n"
                .utf8)
        for split in 1..<bytes.count {
            let steps = parse([Array(bytes[..<split]), Array(bytes[split...])])
            #expect(targets(steps) == ["/a", "/b", "/c"], "split at \(split)")
        }
        #expect(targets(parse(bytes.map { [$0] })) == ["/a", "/b", "/c"])
    }

    @Test(arguments: [
        ("HTTP/1.1", [], true), ("HTTP/1.0", [], false), ("HTTP/1.1", ["close"], false),
        ("HTTP/1.1", ["CLOSE "], false), ("HTTP/1.0", ["Keep-Alive"], true), ("HTTP/1.1", ["keep-alive, close"], false),
        ("HTTP/1.1", ["close, keep-alive"], false), ("HTTP/1.1", ["close", "keep-alive"], false),
        ("HTTP/1.0", ["keep-alive , Close"], false), ("HTTP/1.0", ["upgrade, Keep-Alive"], true),
        ("HTTP/1.1", [", ,", "closed"], true),
    ])
    func theClientSaysWhetherItGoesOn(version: String, options: [String], keepAlive: Bool) {
        let fields = options.map { "Connection: \($0)\r\n" }.joined()
        guard case .request(let request) = parse("GET / \(version)\r\nHost: x\r\n\(fields)\r\n") else {
            Issue.record("no request")
            return
        }
        #expect(request.keepAlive == keepAlive)
    }

    @Test(arguments: [
        ("HTTP/1.1", ["example.com:80"], true), ("HTTP/1.1", ["[::1]:8080"], true), ("HTTP/1.1", [""], true),
        ("HTTP/1.1", [], false), ("HTTP/1.1", ["a", "a"], false), ("HTTP/1.1", ["a, b"], false),
        ("HTTP/1.1", ["a b"], false), ("HTTP/1.1", ["user@a"], false), ("HTTP/1.0", [], true),
        ("HTTP/1.0", ["a", "b"], false),
    ])
    func aRequestNamesOneHost(version: String, hosts: [String], isServed: Bool) {
        let step = parse("GET / \(version)\r\n" + hosts.map { "Host: \($0)\r\n" }.joined() + "\r\n")
        if isServed {
            guard case .request = step else {
                Issue.record("\(hosts) is refused")
                return
            }
        } else {
            #expect(step == .failure(.badRequest))
        }
    }

    @Test func emptyLinesBeforeARequestAreAPartOfItsHead() {
        let request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
        func lines(_ count: Int) -> String { String(repeating: "\r\n", count: count) }
        #expect(targets(parse([Array((lines(3) + request + lines(2) + request).utf8)])) == ["/a", "/a"])
        #expect(parse(lines(RequestParser.headLimit / 2)) == .failure(.headTooLarge))
        let most = (RequestParser.headLimit - request.utf8.count) / 2
        #expect(targets(parse([Array((lines(most) + request).utf8)])) == ["/a"])
        #expect(parse(lines(most + 2) + request) == .failure(.headTooLarge))
    }

    @Test(arguments: [
        "\u{16}\u{3}\u{1}", " GET / HTTP/1.1\r\n\r\n", "GET\r\n\r\n", "GET / \r\n\r\n", "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.2\r\n\r\n", "GET / http/1.1\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n",
        "GET /\u{7F} HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nNo colon\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nA : x\r\n\r\n", "GET / HTTP/1.1\r\n folded: x\r\n\r\n", "GET / HTTP/1.1\r\nA: x\n\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \u{0}\r\n\r\n", "GET / HTTP/1.1\r\nA: x\ry\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n",
    ])
    func garbageIsABadRequest(text: String) {
        #expect(parse(text) == .failure(.badRequest))
    }

    @Test func whatThisServerCannotDoIsSaidSo() {
        #expect(parse("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") == .failure(.notImplemented))
        #expect(parse("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n") == .failure(.bodyTooLarge))
    }

    @Test func aHeadOverTheLimitIsToldSoWhetherItEndsOrNot() {
        let field = "GET / HTTP/1.1\r\nHost: x\r\nA: "
        func head(_ size: Int) -> String {
            field + String(repeating: "x", count: size - field.utf8.count - 4) + "\r\n\r\n"
        }
        guard case .request = parse(head(RequestParser.headLimit)) else {
            Issue.record("a head of exactly the limit is refused")
            return
        }
        #expect(parse(head(RequestParser.headLimit + 1)) == .failure(.headTooLarge))
        #expect(parse(String(head(RequestParser.headLimit + 100).dropLast(4))) == .failure(.headTooLarge))
        #expect(parse([UInt8](repeating: UInt8(ascii: "A"), count: 16_383).map { [$0] }).isEmpty)
    }

    /// No bytes make the parser trap, read beyond its input, or answer a split differently from the whole.
    @Test(arguments: 0..<8) func randomBytesNeverTrapAndSplitsNeverMatter(seed: UInt64) {
        var random = SplitMix64(seed: seed &* 7_919 + 1)
        let words = [
            "GET", "HEAD", "/", " ", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r", "\n", ":", "Content-Length: 5", "Host: x",
            "Connection: close", "Transfer-Encoding: x", "\r\n\r\n", "\u{0}", "é", "abc", "GET / HTTP/1.1\r\n",
        ]
        for _ in 0..<3_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                if Int.random(in: 0..<8, using: &random) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &random))
                } else {
                    bytes += Array(words.randomElement(using: &random)!.utf8)
                }
            }
            let whole = parse([bytes])
            let split = Int.random(in: 0...bytes.count, using: &random)
            let parts = parse([Array(bytes[..<split]), Array(bytes[split...])])
            #expect(
                whole == parts,
                "seed \(seed), split \(split): \(String(decoding: bytes, as: UTF8.self).debugDescription)")
        }
    }
}

@Suite struct ArgumentsTests {
    @Test func theDefaultsServeOnLoopback() throws {
        #expect(try Arguments.parse([]) == .serve(Arguments()))
        #expect(try Arguments.parse(["--help"]) == .help)
        #expect(try Arguments.parse(["--print-config"]) == .printConfig(Arguments()))
    }

    @Test func everyOptionIsRead() throws {
        var expected = Arguments()
        expected.host = "::"
        expected.port = 0
        expected.unixPath = "/tmp/x"
        expected.workers = 3
        expected.maxRestarts = 0
        expected.backoffMaximum = .milliseconds(5)
        expected.reusePort = true
        expected.executor = .bodyOnly
        let words = [
            "--host", "::", "--port", "0", "--unix", "/tmp/x", "--workers", "3", "--max-restarts", "0",
            "--backoff-max", "5", "--reuse-port", "--body-only",
        ]
        #expect(try Arguments.parse(words) == .serve(expected))
    }

    @Test(arguments: [
        (["--port"], "--port needs a value"), (["--port", "x"], "--port x: not a number within 0...65535"),
        (["--port", "65536"], "--port 65536: not a number within 0...65535"),
        (["--workers", "0"], "--workers 0: not a number within 1...10000"),
        (["--nonsense"], "unknown argument --nonsense (see --help)"), (["8080"], "unknown argument 8080 (see --help)"),
    ])
    func badArgumentsAreOneClearLine(words: [String], text: String) {
        #expect(throws: UsageError(text: text)) { try Arguments.parse(words) }
    }

    @Test func theDateFieldHasTheFormOfHTTP() {
        #expect(String(decoding: DateField.format(784_111_777), as: UTF8.self) == "Sun, 06 Nov 1994 08:49:37 GMT")
    }
}
