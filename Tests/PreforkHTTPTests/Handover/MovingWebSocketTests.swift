// WebSockets over reloads and upgrades.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(3))) struct MovingWebSocketTests {
    @Test func `A socket outlives 20 reloads and 3 upgrades with its state`() async throws {
        var pool = try await MovingPool(workers: 2)
        let sockets = try (0..<4).map { _ in try SocketClient("/count", port: pool.port) }
        for round in 0..<24 {
            for (number, socket) in sockets.enumerated() {
                try socket.send("\(number)")
                let isResumed = round > 0
                #expect(try socket.receive() == "\(round + 1) \(number) \(pool.generation) \(isResumed) \(isResumed)")
            }
            if round < 23 { try await pool.replace(by: round % 8 == 7 ? .user2 : .hangUp) }
        }
        for socket in sockets { #expect(!socket.client.hasInput) }
        try await pool.stop()
        for socket in sockets { #expect(try socket.client.receive() == SocketClient.close(.goingAway)) }
    }

    /// Cut at each byte: between fragments, within a head, within a payload, within a character.
    @Test func `A message of which a part has come moves with it`() async throws {
        var pool = try await MovingPool()
        let message =
            SocketClient.frame(.text, isFinal: false, "aß") + SocketClient.frame(.ping, "p")
            + SocketClient.frame(.continuation, isFinal: false, "") + SocketClient.frame(.continuation, "é")
        let sockets = try (1..<message.count).map { cut in
            let socket = try SocketClient("/count", port: pool.port)
            try socket.client.send(Array(message.prefix(cut)))
            return socket
        }
        try await pool.replace()
        try await pool.replace(by: .user2)
        for (cut, socket) in zip(1..., sockets) {
            try socket.client.send(Array(message.dropFirst(cut)))
            var all: [UInt8] = []
            let text = Array("1 aßé 3 true true".utf8)
            let expected = [0x8A, 1, UInt8(ascii: "p"), 0x81, UInt8(text.count)] + text
            while all.count < expected.count, case let more = try socket.client.receive(), !more.isEmpty { all += more }
            #expect(all == expected, "cut at \(cut)")
        }
        try await pool.stop()
    }

    /// Messages arrive at each step of a move.
    @Test func `Messages that come during the move are answered once, in order`() async throws {
        var pool = try await MovingPool(workers: 2)
        let (port, isOver) = (pool.port, Gate())
        async let answered: Int = {
            let socket = try SocketClient("/count", port: port)
            var (sent, messages) = (0, SocketClient.Messages(socket))
            while !isOver.isOpened {
                for number in sent + 1...sent + 8 { try socket.send("m\(number)") }
                for number in sent + 1...sent + 8 { #expect(try messages.next().hasPrefix("\(number) m\(number) ")) }
                sent += 8
                await Task.yield()
            }
            return sent
        }()
        for _ in 0..<5 { try await pool.replace() }
        isOver.open()
        #expect(try await answered > 0)
        try await pool.stop()
    }

    @Test func `What a task sends beside the handler is sent once, in order`() async throws {
        var pool = try await MovingPool(workers: 2)
        let (port, isOver) = (pool.port, Gate())
        async let told: Int = {
            let socket = try SocketClient("/feed", port: port)
            var (next, messages) = (0, SocketClient.Messages(socket))
            while !isOver.isOpened {
                #expect(try messages.next() == "\(next)")
                next += 1
                if next.isMultiple(of: 50) { await Task.yield() }
            }
            return next
        }()
        for _ in 0..<10 { try await pool.replace() }
        isOver.open()
        #expect(try await told > 10)
        try await pool.stop()
    }

    /// Each of them: no server in the next worker for it, or one that cannot read its state.
    @Test(arguments: ["/gone", "/versions", "/changed", "/smaller"])
    func `A socket whose state is of no use there is closed with 1012`(path: String) async throws {
        var pool = try await MovingPool()
        let socket = try SocketClient(path, port: pool.port)
        try socket.send("a")
        #expect(try socket.receive().hasPrefix("1 a"))
        // More than the next worker's limit has come of a message.
        if path == "/smaller" { try socket.client.send(SocketClient.frame(.text, isFinal: false, "0123456789ab")) }
        try await pool.replace()
        #expect(try socket.client.receive() == SocketClient.close(.serviceRestart))
        try socket.client.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xF4])
        #expect(try socket.client.receive() == [])
        try await pool.stop()
    }

    @Test func `A handler without a state moves if it says so`() async throws {
        var pool = try await MovingPool()
        let socket = try SocketClient("/stateless", port: pool.port)
        for _ in 0..<3 {
            try socket.send("a")
            #expect(try socket.receive() == "a")
            try await pool.replace()
        }
        try socket.client.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])
        #expect(try socket.client.receive() == SocketClient.close(.normal))
        try await pool.stop()
        // Only where the client has closed. The output is a pipe, which is written at the worker's end.
        #expect(!pool.program.output.contains("ended in generation 1"))
    }

    @Test func `A stop of the service closes with 1001, with or without a state`() async throws {
        let pool = try await MovingPool(workers: 2)
        let sockets = try ["/count", "/socket", "/stateless"].map { try SocketClient($0, port: pool.port) }
        pool.program.send(.terminate)
        for socket in sockets { #expect(try socket.client.receive() == SocketClient.close(.goingAway)) }
        for socket in sockets { try socket.client.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9]) }
        #expect(try await pool.program.waitForExit() == 0)
    }

    @Test func `A crash ends sockets as before, and those that had moved elsewhere stay`() async throws {
        var pool = try await MovingPool()
        let socket = try SocketClient("/count", port: pool.port)
        try socket.send("a")
        #expect(try socket.receive() == "1 a 1 false false")
        try await pool.replace()
        try socket.send("b")
        #expect(try socket.receive() == "2 b 2 true true")
        kill(pool.program.children[0], SIGKILL)
        #expect(throws: (any Error).self) { if try socket.client.receive() == [] { throw CancellationError() } }
        try await pool.stop()
    }
}
