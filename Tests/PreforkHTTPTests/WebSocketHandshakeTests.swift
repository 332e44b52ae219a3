// The opening handshake of WebSockets, and the two algorithms that it needs.

import Testing

@testable import PreforkHTTP

@Suite struct WebSocketHandshakeTests {
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="

    /// A correct request, with other fields in the place of some.
    private func answer(
        method: String = "GET", isHTTP11: Bool = true, hasBody: Bool = false, _ changes: [String: [String]] = [:],
        _ options: WebSocketOptions = WebSocketOptions()
    ) -> WebSocketHandshake {
        let usual = [
            "host": ["example.com"], "upgrade": ["websocket"], "connection": ["Upgrade"],
            "sec-websocket-key": [Self.key], "sec-websocket-version": ["13"],
        ]
        let fields = usual.merging(changes) { _, new in new }
        return WebSocketHandshake.answer(
            to: .init(method: method, isHTTP11: isHTTP11, hasBody: hasBody) { fields[$0.lowercased()] ?? [] }, options)
    }

    private func status(_ handshake: WebSocketHandshake) -> Int {
        if case .refused(let status, _, _) = handshake { status } else { 101 }
    }

    @Test func theSampleOfTheRFCHasItsAcceptKey() {
        // RFC 6455, section 1.3.
        #expect(WebSocketHandshake.acceptKey(for: Self.key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(answer() == .accepted(key: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", subprotocol: nil))
        let fields = answer().fields.map { "\($0.name): \($0.value)" }
        #expect(
            fields == [
                "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            ])
    }

    /// FIPS 180-2, appendix A, and RFC 3174, section 7.3.
    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        ("a", "34aa973cd4c4daa4f61eeb2bdbad27316534016f"), ("01234567", "dea356a2cddd90c7a7ecedc5ebb563934f460452"),
    ]) func sha1HasThePublishedDigests(text: String, digest: String) {
        // The long ones are repetitions.
        let text = text == "a" ? String(repeating: text, count: 1_000_000)
            : text == "01234567" ? String(repeating: text, count: 80) : text
        let hex = SHA1.digest(Array(text.utf8)).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        #expect(hex.joined() == digest)
    }

    /// RFC 4648, section 10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]) func base64HasThePublishedForms(text: String, form: String) {
        #expect(Base64.encode(Array(text.utf8)) == form)
        #expect(Base64.decodedCount(form) == text.utf8.count)
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Zg==Zg==", "Zm-v", "Zm9v\n", " Zm9v", "Z===", "é==="])
    func otherTextsAreNoBase64(text: String) {
        #expect(Base64.decodedCount(text) == nil)
    }

    @Test(arguments: [
        ("upgrade", ["WebSocket"]), ("upgrade", ["h2c, websocket"]), ("upgrade", ["h2c", "websocket"]),
        ("connection", ["keep-alive, Upgrade"]), ("connection", ["keep-alive", "\tUPGRADE ,"]),
        // Extensions are offered, and declined by silence.
        ("sec-websocket-extensions", ["permessage-deflate; client_max_window_bits"]),
        ("sec-websocket-extensions", [";;;"]), ("sec-websocket-protocol", [""]), ("sec-websocket-protocol", [" , "]),
    ]) func otherFormsOfACorrectRequestAreAccepted(field: String, values: [String]) {
        #expect(status(answer([field: values])) == 101)
    }

    @Test(arguments: [
        ("upgrade", [], 426), ("upgrade", ["h2c"], 426), ("upgrade", ["websocket2"], 426),
        ("connection", [], 426), ("connection", ["keep-alive"], 426), ("connection", ["upgraded"], 426),
        ("sec-websocket-version", [], 426), ("sec-websocket-version", ["8"], 426),
        ("sec-websocket-version", ["13", "13"], 426), ("sec-websocket-version", ["13, 8"], 426),
        ("sec-websocket-key", [], 400), ("sec-websocket-key", [""], 400), ("sec-websocket-key", ["dGhlIHNhbXBsZQ=="], 400),
        ("sec-websocket-key", ["dGhlIHNhbXBsZSBub25jZQ"], 400),
        ("sec-websocket-key", ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="], 400),
        ("sec-websocket-key", ["dGhlIHNhbXBsZSBub25jZQ==, x"], 400),
        ("sec-websocket-protocol", ["a b"], 400), ("sec-websocket-protocol", ["a, a"], 400),
        ("sec-websocket-protocol", ["a", "a"], 400), ("sec-websocket-protocol", ["ä"], 400),
        ("origin", ["http://example.com", "http://example.com"], 403),
    ]) func requestsWithoutAPartAreRefused(field: String, values: [String], status: Int) {
        #expect(self.status(answer([field: values])) == status)
    }

    @Test func refusalsSayWhatWouldBeRight() {
        #expect(status(answer(method: "POST")) == 405)
        #expect(answer(method: "HEAD").fields == [.init("Allow", "GET")])
        #expect(status(answer(isHTTP11: false)) == 426)
        #expect(status(answer(hasBody: true)) == 400)
        #expect(answer(["upgrade": []]).fields.contains(.init("Upgrade", "websocket")))
        #expect(answer(["sec-websocket-version": ["7"]]).fields.contains(.init("Sec-WebSocket-Version", "13")))
        #expect(answer().fields.allSatisfy { $0.name != "Sec-WebSocket-Extensions" })
    }

    @Test func theServersFirstSubprotocolThatIsOfferedIsSelected() {
        let options = WebSocketOptions(subprotocols: ["v2.chat", "v1.chat", "not a token"])
        func selected(_ offered: [String]) -> String? {
            guard case .accepted(_, let subprotocol) = answer(["sec-websocket-protocol": offered], options) else {
                return "refused"
            }
            return subprotocol
        }
        #expect(selected(["v1.chat, v2.chat"]) == "v2.chat")
        #expect(selected(["v1.chat"]) == "v1.chat")
        #expect(selected(["other", "v1.chat"]) == "v1.chat")
        #expect(selected(["V1.CHAT"]) == nil)
        #expect(selected([]) == nil)
        #expect(answer(["sec-websocket-protocol": ["v1.chat"]]).fields.count == 3)
        #expect(
            answer(["sec-websocket-protocol": ["v1.chat"]], options).fields
                .contains(.init("Sec-WebSocket-Protocol", "v1.chat")))
    }

    @Test(arguments: [
        ("http://example.com", "example.com", true), ("https://example.com", "example.com", true),
        ("HTTPS://Example.Com", "example.COM", true), ("https://example.com", "example.com:443", true),
        ("http://example.com", "example.com:80", true), ("http://example.com:8080", "example.com:8080", true),
        ("http://example.com", "example.com:443", false), ("https://example.com:8443", "example.com", false),
        ("https://evil.com", "example.com", false), ("https://example.com.evil.com", "example.com", false),
        ("https://evil.com/example.com", "example.com", false), ("null", "example.com", false),
        ("", "example.com", false), ("file://", "", false), ("http://", "", false), ("http://[::1]:80", "[::1]", true),
    ]) func byDefaultOnlyPagesOfTheSameHostConnect(origin: String, host: String, isAllowed: Bool) {
        #expect(status(answer(["origin": [origin], "host": [host]])) == (isAllowed ? 101 : 403))
    }

    @Test func originsAreTheProgramsChoice() {
        func status(_ origin: String?, _ origins: WebSocketOrigins) -> Int {
            self.status(answer(origin.map { ["origin": [$0]] } ?? [:], WebSocketOptions(origins: origins)))
        }
        #expect(status("https://evil.com", .all) == 101)
        #expect(status("https://a.com", .only(["https://A.com"])) == 101)
        #expect(status("https://a.com:444", .only(["https://a.com"])) == 403)
        #expect(status(nil, .only([])) == 101, "clients that are no browsers have none")
        #expect(status(nil, .allowing { $0 != nil }) == 403)
        #expect(status("x", .allowing { $0 == "x" }) == 101)
    }
}
