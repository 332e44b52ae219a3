// Kept HTTP connections over reloads and upgrades: their clients notice nothing.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(3))) struct KeptConnectionTests {
    @Test func `A kept connection outlives 20 reloads and 3 upgrades`() async throws {
        var pool = try await MovingPool(workers: 2)
        let (asking, idle, silent) = try (Client(port: pool.port), Client(port: pool.port), Client(port: pool.port))
        var workers: Set<String> = []
        _ = try idle.get("/x")
        for round in 0..<23 {
            workers.insert(try asking.get("/pid").body)
            try await pool.replace(by: round % 8 == 7 ? .user2 : .hangUp)
        }
        workers.insert(try asking.get("/pid").body)
        #expect(workers.count == 24, "another worker has answered each time")
        #expect(try idle.get("/x") == (200, "/x"))
        // It had not sent a byte.
        #expect(try silent.get("/y") == (200, "/y"))
        try asking.send(request("GET /x", keep: true))
        #expect(try !asking.receive(until: "/x").contains("close"))
        try await pool.stop()
    }

    @Test func `A head of which a part has come moves with it`() async throws {
        var pool = try await MovingPool()
        let (first, later) = try (Client(port: pool.port), Client(port: pool.port))
        try first.send("GET /half HT")
        #expect(try later.get("/x").status == 200)
        // A whole request, and a part of the next one behind it.
        try later.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHo")
        #expect(try later.response() == (200, "/one"))
        try await pool.replace()
        try first.send("TP/1.1\r\nHost: a\r\n\r\n")
        try later.send("st: a\r\n\r\n")
        #expect(try first.response() == (200, "/half"))
        #expect(try later.response() == (200, "/two"))
        try await pool.stop()
    }

    /// The client asks without a pause, so that requests arrive at each step of a move.
    @Test func `Requests that come during the move are answered once, in order`() async throws {
        var pool = try await MovingPool(workers: 2)
        let (port, isOver) = (pool.port, Gate())
        async let answered: Int = {
            let client = try Client(port: port)
            var count = 0
            while !isOver.isOpened {
                let numbers = count..<count + 8
                try client.send(numbers.map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
                for number in numbers { #expect(try client.response() == (200, "/\(number)")) }
                count += 8
                await Task.yield()
            }
            return count
        }()
        for _ in 0..<5 { try await pool.replace() }
        isOver.open()
        #expect(try await answered > 0)
        try await pool.stop()
    }

    @Test func `A request in hand is answered by its worker, and then the connection moves`() async throws {
        var pool = try await MovingPool()
        let client = try Client(port: pool.port)
        let before = try client.get("/pid").body
        try client.send(request("GET /slow", keep: true))
        try await pool.replace()
        #expect(try client.response() == (200, "done"))
        #expect(try client.get("/pid").body != before)
        try await pool.stop()
    }

    @Test func `What the PROXY protocol has said moves, too`() async throws {
        var pool = try await MovingPool(["proxied"])
        let (told, late) = try (Client(port: pool.port), Client(port: pool.port))
        try told.send("PROXY TCP4 192.0.2.7 127.0.0.1 1234 80\r\n")
        #expect(try told.get("/client").body == "192.0.2.7:1234")
        for _ in 0..<2 {
            try await pool.replace()
            #expect(try told.get("/client").body == "192.0.2.7:1234")
        }
        try late.send("PROXY TCP4 192.0.2.8 127.0.0.1 1234 80\r\n")
        #expect(try late.get("/client").body == "192.0.2.8:1234")
        try await pool.stop()
    }

    @Test func `A client that closes while its connection moves is no error`() async throws {
        var pool = try await MovingPool(workers: 2)
        for round in 0..<5 {
            var clients = try (0..<50).map { _ in try Client(port: pool.port) }
            for client in clients { #expect(try client.get("/x").status == 200) }
            pool.program.send(.hangUp)
            // Half of them end by a reset.
            for client in clients.prefix(25) {
                var reset = linger(l_onoff: 1, l_linger: 0)
                setsockopt(client.socket, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
            }
            clients.removeAll()
            let next = round + 2
            try await eventually("generation \(next)\n\(pool.program.errors)") {
                pool.program.errors.contains("generation \(next) serves")
            }
            try await eventually("the old workers' end") { pool.program.children.count == 2 }
        }
        #expect(!pool.program.errors.contains("error:"), "\(pool.program.errors)")
        try await pool.stop()
    }
}
