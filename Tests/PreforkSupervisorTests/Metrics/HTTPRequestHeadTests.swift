// HTTP request heads: what is served, what is refused and with which status.

import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2)))
struct HTTPRequestHeadTests {
    private func read(_ text: String) -> HTTPHeadReading {
        HTTPRequestHead.read(Array(text.utf8))
    }

    @Test func `A request is read, and what follows is left`() {
        let text = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
        let request = HTTPRequestHead(method: "GET", path: "/metrics", keepsAlive: true)
        #expect(read(text + "GET") == .request(request, length: text.utf8.count))
    }

    @Test func `A part of a request is incomplete, wherever it ends`() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"
        for count in 0..<text.utf8.count { #expect(HTTPRequestHead.read(Array(text.utf8.prefix(count))) == .incomplete) }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost:\r\nContent-Length: 00\r\n\r\n", true),
    ])
    func `The connection is kept as the client wants it`(_ text: String, _ keeps: Bool) {
        #expect(read(text) == .request(
            HTTPRequestHead(method: "GET", path: "/", keepsAlive: keeps), length: text.utf8.count))
    }

    @Test(arguments: [
        "\r\n\r\n", "GET\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \u{0}\r\n\r\n",
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ])
    func `What is no request is 400`(_ text: String) {
        #expect(read(text) == .refused(status: 400))
    }

    @Test(arguments: ["Content-Length: 1", "Content-Length: 99999999999999999999999", "Transfer-Encoding: chunked"])
    func `A body is 413`(_ field: String) {
        #expect(read("POST / HTTP/1.1\r\nHost: a\r\n\(field)\r\n\r\n") == .refused(status: 413))
    }

    @Test func `A head too long is 431, whole or not`() {
        let long = "GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: HTTPRequestHead.headLimit)
        #expect(read(long) == .refused(status: 431))
        #expect(read(long + "\r\n\r\n") == .refused(status: 431))
        let many = "GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 65) + "\r\n"
        #expect(read(many) == .refused(status: 431))
    }

    @Test func `Damaged heads never trap, and a request takes no more than there is`() {
        var numbers = SplitMix64(seed: 21)
        let head = Array(
            "GET /status.json HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".utf8)
        for _ in 0..<50_000 {
            var bytes = head
            for _ in 0...numbers.below(3) {
                let place = numbers.below(bytes.count)
                switch numbers.below(3) {
                case 0: bytes[place] = [0x0D, 0x0A, 0x20, 0x3A, 0x00, 0xFF][numbers.below(6)]
                case 1: bytes.remove(at: place)
                default: bytes.insert([0x0D, 0x0A, 0x20, 0x3A][numbers.below(4)], at: place)
                }
            }
            if case .request(_, let length) = HTTPRequestHead.read(bytes) { #expect(length <= bytes.count) }
        }
    }
}
