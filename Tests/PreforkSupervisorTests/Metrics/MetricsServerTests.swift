// The HTTP port of the supervisor.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2)))
struct MetricsServerTests {
    let supervisor = FakeSupervisor(workers: 4)
    let server: MetricsServer
    let address: SocketAddress

    init() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        address = listener.address
        server = try MetricsServer(listener, delegate: supervisor)
    }

    private func exchange(_ request: String) async throws -> String {
        let client = try TurnClient(address)
        try await eventually("connected") { (try? client.send(request)) != nil }
        try await eventually("closed") {
            server.turn()
            client.receive()
            return client.hasEnded
        }
        return client.text
    }

    private func get(_ path: String) async throws -> String {
        try await exchange("GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    }

    @Test func `Metrics, status and page are served`() async throws {
        #expect(try await get("/metrics").contains("\nprefork_workers{state=\"ready\"} 4\n"))
        let status = try await get("/status.json")
        // The head has no brace.
        let json = try JSONParser.parse(Array(status.utf8.drop { $0 != UInt8(ascii: "{") }))
        #expect(json["status"]?["workers"]?.array?.count == 4)
        #expect(json["listeners"]?.array?.count == 1)
        let page = try await get("/")
        #expect(page.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/html"))
        #expect(page.contains("Content-Security-Policy: default-src 'none'"))
        #expect(!page.contains("http://") && !page.contains("https://"))
    }

    @Test func `Healthy is who answers, ready is who has enough workers`() async throws {
        #expect(try await get("/healthz").hasPrefix("HTTP/1.1 200 "))
        #expect(try await get("/readyz").hasPrefix("HTTP/1.1 200 "))
        supervisor.pool.workers[0].state = .booting
        supervisor.pool.workers[1].state = .backingOff
        #expect(try await get("/readyz").hasPrefix("HTTP/1.1 200 "))
        supervisor.pool.workers[2].state = .booting
        let answer = try await get("/readyz")
        #expect(answer.hasPrefix("HTTP/1.1 503 "))
        #expect(answer.hasSuffix("1 of 4 workers are ready, the pool is running\n"))
        supervisor.pool.workers = supervisor.pool.workers.map { WorkerStatus(slot: $0.slot, pid: 1, state: .ready) }
        supervisor.pool.phase = .stopping
        #expect(try await get("/readyz").hasPrefix("HTTP/1.1 503 "))
    }

    @Test(arguments: [
        ("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        ("DELETE /metrics HTTP/1.0\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 413),
        ("GET /" + String(repeating: "x", count: 9_000) + " HTTP/1.1\r\n\r\n", 431),
    ])
    func `What is not served has its status`(_ request: String, _ status: Int) async throws {
        let answer = try await exchange(request)
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        #expect(answer.contains("Allow: GET, HEAD\r\n") == (status == 405))
    }

    @Test(arguments: ["/healthz", "/", "/none"])
    func `HEAD has the head of GET and nothing behind it`(_ path: String) async throws {
        let got = try await get(path)
        let end = try #require(got.firstRange(of: "\r\n\r\n")).upperBound
        let kept = "HEAD \(path) HTTP/1.1\r\nHost: a\r\n\r\n"
        let last = "HEAD \(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        let answer = try await exchange(kept + last)
        let head = String(got[..<end])
        let keptHead = head.replacing("Connection: close", with: "Connection: keep-alive")
        #expect(answer == keptHead + head)
    }

    @Test func `A refused HEAD has no body`() async throws {
        let answer = try await exchange("HEAD / HTTP/1.1\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.hasSuffix("\r\n\r\n"))
    }

    @Test func `Health is told beside ten thousand connections that send no whole request`() async throws {
        let limit = Int(try raiseDescriptorLimit(to: 40_000))
        let count = min(10_000, (limit - 2_000) / 3)
        var crowd: [TurnClient] = []
        for number in 0..<count {
            let client = try TurnClient(address)
            // Half of them send the beginning of a head.
            if number.isMultiple(of: 2) { _ = try? client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n") }
            crowd.append(client)
            server.turn()
        }
        #expect(server.clients <= MetricsServer.limits.clients)
        for _ in 0..<20 {
            let start = MonotonicInstant.now
            #expect(try await get("/healthz").hasPrefix("HTTP/1.1 200 "))
            #expect(try await get("/readyz").hasPrefix("HTTP/1.1 200 "))
            // 100 ms on a quiet machine. Scripts/storm measures it.
            #expect(MonotonicInstant.now - start < .seconds(5))
            crowd.removeFirst(10)
            for _ in 0..<10 { crowd.append(try TurnClient(address)) }
        }
    }

    @Test(arguments: [
        "GET /healthz HTTP/1.1\nHost: a\n", "GET /healthz HTTP/1.1\r\nHost: a\n", "\n", "GET / HTTP/1.1\r\n\n",
    ])
    func `A line feed alone is refused as soon as it is seen`(_ beginning: String) async throws {
        #expect(try await exchange(beginning).hasPrefix("HTTP/1.1 400 "))
    }

    @Test func `A head that does not end is given up after its time`() async throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        var limits = MetricsServer.limits
        #expect(limits.requestTime == .seconds(5))
        limits.requestTime = .milliseconds(300)
        let server = try MetricsServer(listener, delegate: supervisor, limits: limits)
        let client = try TurnClient(listener.address)
        try await eventually("connected") { (try? client.send("GET ")) != nil }
        try await eventually("closed") {
            server.turn()
            // Byte by byte does not prolong it.
            _ = try? client.send("/")
            client.receive()
            return client.hasEnded
        }
        #expect(client.text.isEmpty)
    }

    @Test func `A connection serves requests that come together, one after the other`() async throws {
        let request = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        let last = "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        let answer = try await exchange(String(repeating: request, count: 50) + last)
        #expect(answer.split(separator: "HTTP/1.1 200 OK").count == 51)
    }
}
