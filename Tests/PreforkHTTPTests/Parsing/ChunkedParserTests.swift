// Bodies in chunks.

import PreforkSystem
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct ChunkedParserTests {
    private static let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let line = "POST / @a 1.1 keep 2"

    @Test(arguments: [
        ("0\r\n\r\n", #"body """#),
        ("5\r\nhello\r\n0\r\n\r\n", #"body "hello""#),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", #"body "hello world""#),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n", #"body "01234567890123456789""#),
        ("0005\r\nhello\r\n0000\r\n\r\n", #"body "hello""#),
        ("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", #"body "hello""#),
        ("2\r\n\r\n\r\n0\r\n\r\n", #"body "\r\n""#),
        ("1\r\nx\r\n0\r\nA: b\r\nC:d \r\n\r\n", "body \"x\" trailers A: b\nC: d"),
    ])
    func aBodyIsReadInOneWayHoweverItComes(_ text: String, _ body: String) {
        #expect(readings(Self.head + text) == [["\(Self.line) \(body)"]])
        let next = "GET /2 HTTP/1.0\r\n\r\n"
        #expect(readings(Self.head + text + next) == [["\(Self.line) \(body)", #"GET /2 1.0 close 0 body """#]])
    }

    @Test(arguments: [
        "\r\n", "x", " 5\r\nhello", "5 \r\nhello", "5\t;a\r\n", "0x5\r\nhello", "+5\r\nhello", "-1\r\n", ";a\r\n",
        "5\nhello", "5\r\rhello", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello!\r\n", "5\r\nhello\r0\r\n",
        "5;a\u{0}b\r\n", "5;a\nb\r\n", "5;a\rb\r\n", "1000000000000000\r\n", "ffffffffffffffffff\r\n", "5,\r\n", "G\r\n",
        "0\r\nA\r\n\r\n", "0\r\n A: b\r\n\r\n", "0\r\nA : b\r\n\r\n", "0\r\nA: b\n\r\n", "0\r\n\n", "0\r\nA: b\rc\r\n\r\n",
        "0\n\r\n", "5\r\nhello\r\n\r\n",
    ])
    func whatIsMalformedIsRefusedHoweverItComes(_ text: String) {
        #expect(readings(Self.head + text) == [[Self.line, "malformedBody"]], "\(text.debugDescription)")
    }

    @Test(arguments: ["", "5", "5\r", "5\r\n", "5\r\nhell", "5\r\nhello\r\n", "0\r\n", "0\r\n\r", "0\r\nA: b\r\n"])
    func whatIsNotCompleteIsWaitedFor(_ text: String) {
        #expect(readings(Self.head + text) == [[Self.line, "incomplete"]])
    }

    @Test func aChunkOfTheLargestSizeIsWaitedFor() {
        #expect(readings(Self.head + "fffffffffffffff\r\n") == [[Self.line, "incomplete"]])
    }

    @Test func extensionsHaveALimit() {
        let limit = ChunkedParser.extensionLimit
        // The line end's CR counts.
        for (count, isRead) in [(limit - 1, true), (limit, false)] {
            let bytes = Array((Self.head + "1;" + String(repeating: "x", count: count) + "\r\ny\r\n0\r\n\r\n").utf8)
            let last = isRead ? ["\(Self.line) body \"y\""] : [Self.line, "malformedBody"]
            #expect(reading(bytes) == last)
            #expect(reading(bytes, cuts: Array(1..<bytes.count)) == last)
        }
        let many = String(repeating: "1;xxxxxxx\r\ny\r\n", count: limit / 8)
        #expect(reading(Array((Self.head + many + "0;\r\n\r\n").utf8)) == [Self.line, "malformedBody"])
    }

    @Test func trailersHaveTheLimitsOfAHead() {
        for (count, isRead) in [(100, true), (101, false)] {
            let field = "A: " + String(repeating: "x", count: count - 7) + "\r\n\r\n"
            let found = readings(Self.head + "0\r\n" + field, headLimit: 100)
            #expect(found.count == 1 && found.first?.last.map { $0.hasPrefix("POST") } == isRead)
            if !isRead { #expect(found == [[Self.line, "trailersTooLarge"]]) }
        }
        for (count, isRead) in [(10, true), (11, false)] {
            let fields = String(repeating: "A: b\r\n", count: count) + "\r\n"
            let found = readings(Self.head + "0\r\n" + fields, fieldLimit: 10)
            #expect(found.count == 1 && found.first?.last.map { $0.hasPrefix("POST") } == isRead)
        }
    }
}
