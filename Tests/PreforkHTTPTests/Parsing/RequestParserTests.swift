// Request heads: what is a request, and what is refused.

import PreforkSystem
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct RequestParserTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let lines: [String]

        init(_ text: String, _ lines: String...) {
            self.text = text
            self.lines = lines
        }

        var testDescription: String { text.prefix(60).debugDescription }
    }

    private static func head(_ line: String, _ fields: String...) -> String {
        ([line, "Host: a"] + fields).joined(separator: "\r\n") + "\r\n\r\n"
    }

    static let requests = [
        Case(head("GET / HTTP/1.1"), #"GET / @a 1.1 keep 1 body """#),
        Case("\r\n\r\n" + head("GET / HTTP/1.1"), #"GET / @a 1.1 keep 1 body """#),
        Case(head("GET /a/b?c=d?e HTTP/1.1"), #"GET /a/b ?c=d?e @a 1.1 keep 1 body """#),
        Case(head("GET /? HTTP/1.1"), #"GET / ? @a 1.1 keep 1 body """#),
        Case(head("GET /%00%zz HTTP/1.1"), #"GET /%00%zz @a 1.1 keep 1 body """#),
        Case(head("get / HTTP/1.1"), #"get / @a 1.1 keep 1 body """#),
        Case(head("M-SEARCH!#$%&'*+-.^_`|~ / HTTP/1.1"), #"M-SEARCH!#$%&'*+-.^_`|~ / @a 1.1 keep 1 body """#),
        Case(head("OPTIONS * HTTP/1.1"), #"OPTIONS * @a 1.1 keep 1 body """#),
        Case(head("GET http://b:80/c?d HTTP/1.1"), #"GET /c ?d @b:80 1.1 keep 1 body """#),
        Case(head("GET HTTPS://b HTTP/1.1"), #"GET  @b 1.1 keep 1 body """#),
        Case(head("GET http://[::1]:8080?d HTTP/1.1"), #"GET  ?d @[::1]:8080 1.1 keep 1 body """#),
        Case("GET / HTTP/1.0\r\n\r\n", #"GET / 1.0 close 0 body """#),
        Case("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", #"GET / 1.0 keep 1 body """#),
        Case(head("GET / HTTP/1.1", "Connection: keep-alive , CLOSE"), #"GET / @a 1.1 close 2 body """#),
        Case(head("GET / HTTP/1.1", "Connection: ,x,", "Connection: close"), #"GET / @a 1.1 close 3 body """#),
        Case(head("GET / HTTP/1.1", "connection: closed"), #"GET / @a 1.1 keep 2 body """#),
        Case(head("GET / HTTP/1.1", "A:", "B: \t \t", "C:\tx y \t"), #"GET / @a 1.1 keep 4 body """#),
        Case(head("GET / HTTP/1.1", "A: b:c", "A: \u{E9}"), #"GET / @a 1.1 keep 3 body """#),
        Case("GET / HTTP/1.1\r\nHost:\r\n\r\n", #"GET / @ 1.1 keep 1 body """#),
        Case("GET / HTTP/1.1\r\nhOsT: [2001:db8::1]\r\n\r\n", #"GET / @[2001:db8::1] 1.1 keep 1 body """#),
        Case("GET / HTTP/1.1\r\nHost: a.b-c_d~e:\r\n\r\n", #"GET / @a.b-c_d~e: 1.1 keep 1 body """#),
        Case(head("POST / HTTP/1.1", "Content-Length: 5") + "hello", #"POST / @a 1.1 keep 2 body "hello""#),
        Case(head("POST / HTTP/1.1", "content-length:005 ") + "hello", #"POST / @a 1.1 keep 2 body "hello""#),
        Case(head("GET / HTTP/1.1", "Content-Length: 0"), #"GET / @a 1.1 keep 2 body """#),
        Case(head("GET / HTTP/1.1", "TE: deflate, Trailers"), #"GET / @a 1.1 keep takesTrailers 2 body """#),
        Case(
            head("POST / HTTP/1.1", "Expect: 100-Continue", "Content-Length: 1") + "x",
            #"POST / @a 1.1 keep expects 3 body "x""#),
        Case("GET / HTTP/1.0\r\nExpect: what\r\n\r\n", #"GET / 1.0 close 1 body """#),
        // Pipelined.
        Case(
            head("POST /1 HTTP/1.1", "Content-Length: 3") + "GET" + head("GET /2 HTTP/1.1") + "\r\n"
                + head("GET /3 HTTP/1.1"),
            #"POST /1 @a 1.1 keep 2 body "GET""#, #"GET /2 @a 1.1 keep 1 body """#, #"GET /3 @a 1.1 keep 1 body """#),
        // Not complete.
        Case("", ""), Case("GET", "incomplete"), Case("GET / HTTP/1.1\r\n", "incomplete"),
        Case("GET / HTTP/1.1\r\nHost: a\r\n", "incomplete"), Case("GET / HTTP/1.1\r\nHost: a\r\n\r", "incomplete"),
        Case(head("POST / HTTP/1.1", "Content-Length: 2") + "x", "POST / @a 1.1 keep 2", "incomplete"),
        // An error in the second request leaves the first one as it is.
        Case(head("GET / HTTP/1.1") + "GET  / HTTP/1.1\r\n", #"GET / @a 1.1 keep 1 body """#, "400"),
    ]

    @Test(arguments: requests) func aRequestIsReadInOneWayHoweverItComes(_ each: Case) {
        #expect(readings(each.text) == [each.lines.filter { !$0.isEmpty }])
    }

    static let refusals: [(status: Int, texts: [String])] = [
        (
            400,
            [
                // The request line.
                " GET / HTTP/1.1\r\n", "GET\r\n", "GET /\r\n", "GET / \r\n", "GET  / HTTP/1.1\r\n",
                "GET /  HTTP/1.1\r\n", "GET / HTTP/1.1 \r\n", "GET\t/ HTTP/1.1\r\n", "GET / HTTP/1.1 x\r\n",
                "GET / http/1.1\r\n", "GET / HTTP/11\r\n", "GET / HTTP/1.\r\n", "GET / HTTP/1.1.1\r\n",
                "GET / HTTP/1,1\r\n", "GET / XTTP/1.1\r\n", "G(T / HTTP/1.1\r\n", "\u{16}\u{3}\u{1}", "\u{0}", "\n",
                "GET / HTTP/1.1\n", "\rGET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\r\n", "GET /\r HTTP/1.1\r\n",
                "GET /a b HTTP/1.1\r\n", "GET /\u{0} HTTP/1.1\r\n", "GET /\u{E9} HTTP/1.1\r\n", "GET /\u{7F} HTTP/1.1\r\n",
                "GET /#a HTTP/1.1\r\n", "GET a HTTP/1.1\r\n", "GET * HTTP/1.1\r\n", "OPTIONS ** HTTP/1.1\r\n",
                "GET ftp://a/ HTTP/1.1\r\n", "GET http:// HTTP/1.1\r\n", "GET http:///a HTTP/1.1\r\n",
                "GET http://u@a/ HTTP/1.1\r\n", "GET http://a:b/ HTTP/1.1\r\n", "GET a:80 HTTP/1.1\r\n",
                "GET ?a HTTP/1.1\r\n", "\r\n GET / HTTP/1.1\r\n",
                // Field lines.
                head("GET / HTTP/1.1", " A: b"), head("GET / HTTP/1.1", "\tA: b"), head("GET / HTTP/1.1", "A : b"),
                head("GET / HTTP/1.1", "A\t: b"), head("GET / HTTP/1.1", ": b"), head("GET / HTTP/1.1", "A"),
                head("GET / HTTP/1.1", "A B: c"), head("GET / HTTP/1.1", "A: b", " c"),
                head("GET / HTTP/1.1", "A: b\u{0}c"), head("GET / HTTP/1.1", "A: b\rc"), head("GET / HTTP/1.1", "A: b\nc"),
                head("GET / HTTP/1.1", "A: b\n"), head("GET / HTTP/1.1", "A: b\r"), head("GET / HTTP/1.1", "A: \u{1}"),
                head("GET / HTTP/1.1", "A: \u{7F}"), head("GET / HTTP/1.1", "A\u{E9}: b"), head("GET / HTTP/1.1", "(A): b"),
                "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\n",
                // Host.
                "GET / HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\n\r\n", head("GET / HTTP/1.1", "Host: a"),
                head("GET / HTTP/1.1", "HOST:"), "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: []\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: [g]\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
                // Framing.
                head("POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"),
                head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 0"),
                head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 2"),
                head("POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 1"),
                head("POST / HTTP/1.1", "Content-Length: 1, 1"), head("POST / HTTP/1.1", "Content-Length: "),
                head("POST / HTTP/1.1", "Content-Length: +1"), head("POST / HTTP/1.1", "Content-Length: -1"),
                head("POST / HTTP/1.1", "Content-Length: 1 1"), head("POST / HTTP/1.1", "Content-Length: 0x1"),
                head("POST / HTTP/1.1", "Content-Length: 1_0"), head("POST / HTTP/1.1", "Content-Length: \u{661}"),
                head("POST / HTTP/1.1", "Content-Length : 1"), head("POST / HTTP/1.1", "Transfer-Encoding: "),
                head("POST / HTTP/1.1", "Transfer-Encoding: chunked, chunked"),
                head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
                "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            ]
        ),
        (413, [head("POST / HTTP/1.1", "Content-Length: 9223372036854775808"),
            head("POST / HTTP/1.1", "Content-Length: 99999999999999999999999999")]),
        (417, [head("GET / HTTP/1.1", "Expect: "), head("GET / HTTP/1.1", "Expect: 200-ok")]),
        (501, [head("CONNECT a:80 HTTP/1.1"), head("CONNECT / HTTP/1.1"),
            head("POST / HTTP/1.1", "Transfer-Encoding: gzip"), head("POST / HTTP/1.1", "Transfer-Encoding: identity"),
            head("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"),
            head("POST / HTTP/1.1", "Transfer-Encoding: chunked;q=1"),
            head("POST / HTTP/1.1", "Transfer-Encoding: xchunked"),
            head("POST / HTTP/1.1", "Transfer-Encoding: \"chunked\"")]),
        (505, ["GET / HTTP/0.9\r\n", "GET / HTTP/1.2\r\n", "GET / HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n"]),
    ]

    @Test(arguments: refusals.flatMap { row in row.texts.map { (row.status, $0) } })
    func whatIsNoRequestIsRefusedHoweverItComes(_ status: Int, _ text: String) {
        #expect(readings(text) == [["\(status)"]], "\(text.debugDescription)")
    }

    @Test func theLargestLengthIsRead() {
        let text = Self.head("POST / HTTP/1.1", "Content-Length: 9223372036854775807")
        #expect(reading(Array(text.utf8)) == ["POST / @a 1.1 keep 2", "incomplete"])
    }

    @Test func aHeadAtItsLimitIsReadAndOneAboveIsNot() {
        let rest = "\r\nHost: a\r\n\r\n"
        for (line, status) in [("GET /", "414"), ("GET / HTTP/1.1\r\nHost: a\r\nX: ", "431")] {
            let end = line.hasSuffix("/") ? " HTTP/1.1" + rest : "\r\n\r\n"
            for (count, isRead) in [(100, true), (101, false)] {
                let text = line + String(repeating: "x", count: count - line.utf8.count - end.utf8.count) + end
                #expect(text.utf8.count == count)
                let found = readings(text, headLimit: 100)
                #expect(found.count == 1)
                // Above the limit by the last line's end alone: the head is too large, not its first line.
                #expect(found.first?.last.map { $0.hasPrefix("GET") } == isRead, "\(found)")
                if !isRead { #expect(found == [["431"]]) }
            }
            let long = line + String(repeating: "x", count: 200)
            #expect(readings(long, headLimit: 100) == [[status]])
            #expect(readings(long + end, headLimit: 100) == [[status]])
        }
        // Empty lines count, too.
        #expect(readings(String(repeating: "\r\n", count: 50), headLimit: 100) == [["414"]])
        #expect(readings(String(repeating: "\r\n", count: 49), headLimit: 100) == [["incomplete"]])
    }

    @Test func asManyFieldsAsTheLimitAreReadAndOneMoreIsNot() {
        for (count, last) in [(10, #"GET / @a 1.1 keep 10 body """#), (11, "431")] {
            let fields = (1..<count).map { "A\($0): b\r\n" }.joined()
            #expect(readings("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n", fieldLimit: 10) == [[last]])
        }
    }

    @Test func whatTheHeadSaysIsWhereItsBytesAre() {
        let text = Self.head("POST http://b/c?d HTTP/1.1", "X-Name:  some value \t")
        var parser = RequestParser()
        #expect(Array(text.utf8).withUnsafeBytes { parser.parse($0) } == .complete)
        let fields = HTTPFields(viewOf: Array(text.utf8), parser.head.fields)
        #expect(fields["x-NAME"] == "some value")
        #expect(parser.head.label == 0..<17)
    }

    /// tchar of RFC 9110, 5.6.2.
    @Test func aTokenHasTheseCharactersAndNoOthers() {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        let characters = Set((letters + "0123456789!#$%&'*+-.^_`|~").utf8)
        for byte in UInt8.min ... .max { #expect(byte.isToken == characters.contains(byte), "\(byte)") }
    }

    @Test(arguments: ["keep-alive", "Keep-Alive", "keep-alive, x", "x,KEEP-ALIVE"])
    func aClientOfHTTP10KeepsItsConnectionByThisOptionHoweverItIsWritten(_ options: String) {
        for (other, keeps) in [("x", true), ("keep-alive", true), ("close", false)] {
            let head = "GET / HTTP/1.0\r\nConnection: \(options)\r\nConnection: \(other)\r\n\r\n"
            #expect(readings(head) == [[#"GET / 1.0 \#(keeps ? "keep" : "close") 2 body """#]])
        }
    }

    /// A parser takes a host that was valid in the last head for valid. One that differs in any byte is looked at.
    @Test func aParserThatKnowsAHostRefusesOthersThatLookAlike() {
        let names = ["a", "a.example:8080", String(repeating: "h", count: 8), String(repeating: "h", count: 31),
            String(repeating: "h", count: 32), String(repeating: "h", count: 33), String(repeating: "h", count: 200)]
        var parser = RequestParser()
        func step(_ host: [UInt8]) -> RequestParser.Step {
            parser.reset()
            let head = Array("GET / HTTP/1.1\r\nHost: ".utf8) + host + Array("\r\n\r\n".utf8)
            return head.withUnsafeBytes { parser.parse($0) }
        }
        for name in names {
            for place in name.utf8.indices {
                #expect(step(Array(name.utf8)) == .complete)
                #expect(step(Array(name.utf8)) == .complete)
                var other = Array(name.utf8)
                other[name.utf8.distance(from: name.utf8.startIndex, to: place)] = UInt8(ascii: ",")
                #expect(step(other) == .failure(.badRequest))
                #expect(step(other) == .failure(.badRequest))
            }
            #expect(step(Array(name.utf8) + [UInt8(ascii: ",")]) == .failure(.badRequest))
        }
        // An empty one is legal, and no host that is known.
        #expect(step([]) == .complete)
    }
}
