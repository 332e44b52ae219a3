// WebSockets that are open while their worker is replaced, stopped or dies.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(2))) struct WebSocketWorkerTests {
    /// A close frame of the server with 1001.
    private static let goingAway: [UInt8] = [0x88, 2, 0x03, 0xE9]

    private func pool(
        workers: Int, _ environment: [String: String] = [:]
    ) async throws -> (program: ChildProgram, port: UInt16) {
        let program = try ChildProgram(
            "http-fixture", ["\(workers)"],
            environment: ["PREFORK_PROBATION": "0s"].merging(environment) { $1 })
        return (program, try #require(UInt16(try await program.waitForLine("port "))))
    }

    private static func masked(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        payload.withUnsafeBytes {
            WebSocketFrameHead.write(opcode, mask: WebSocketMask([9, 8, 7, 6]), $0, to: &bytes)
        }
        return bytes
    }

    /// A client whose handshake is done.
    private func open(_ path: String, port: UInt16) throws -> Client {
        let client = try Client(port: port)
        try client.send(
            request(
                "GET \(path)", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", keep: true))
        #expect(try client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
        return client
    }

    private func echo(_ client: Client, _ text: String) throws {
        try client.send(Self.masked(.text, Array(text.utf8)))
        #expect(try client.receive() == [0x81, UInt8(text.utf8.count)] + Array(text.utf8))
    }

    /// All that comes until the end. nil if the end is a reset.
    private func rest(_ client: Client) -> [UInt8]? {
        var all: [UInt8] = []
        while true {
            guard let more = try? client.receive() else { return nil }
            if more.isEmpty { return all }
            all += more
        }
    }

    enum End: String, CaseIterable, Sendable {
        case reload, upgrade, stop, quickStop
    }

    /// 1001, then the end of the connection, and no worker waits for anything else.
    @Test(arguments: End.allCases) func `Open sockets are closed with 1001, in order`(end: End) async throws {
        let (program, port) = try await pool(workers: 2, ["PREFORK_DRAIN_TIMEOUT": "60s"])
        let clients = try (0..<6).map { _ in try open("/socket", port: port) }
        for (number, client) in clients.enumerated() { try echo(client, "\(number)") }
        switch end {
        case .reload: program.send(.hangUp)
        case .upgrade: program.send(.user2)
        case .stop: program.send(.terminate)
        case .quickStop: program.send(.interrupt)
        }
        for client in clients {
            let frame = try client.receive()
            #expect(frame == Self.goingAway)
            // What a client has sent before it saw that is read and not answered.
            try? client.send(Self.masked(.text, Array("late".utf8)))
            try? client.send(Self.masked(.close, [0x03, 0xE9]))
            // A quick stop does not wait for that: what comes then is answered by a reset.
            let rest = rest(client)
            #expect(rest == [] || rest == nil && end == .quickStop)
        }
        if end == .reload || end == .upgrade {
            try await eventually("the reload\n\(program.errors)") { program.errors.contains("generation 2 serves") }
            let next = try open("/socket", port: port)
            try echo(next, "next")
            try next.send(Self.masked(.close, [0x03, 0xE8]))
            #expect(rest(next) == [0x88, 2, 0x03, 0xE8])
            try await eventually("the old workers have ended\n\(program.errors)") { program.children.count == 2 }
            program.send(.terminate)
        }
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(!program.errors.contains("killed"), "\(program.errors)")
        #expect(program.groupSize == 0)
    }

    /// A client that is gone, or never answers, does not hold a worker beyond `closeTimeout`.
    @Test func `A client that does not answer the close frame is left`() async throws {
        let (program, port) = try await pool(workers: 1, ["PREFORK_DRAIN_TIMEOUT": "60s"])
        let client = try open("/impatient", port: port)
        try echo(client, "a")
        program.send(.terminate)
        #expect(try client.receive() == Self.goingAway)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect((rest(client) ?? []) == [])
        #expect(!program.errors.contains("killed"), "\(program.errors)")
    }

    @Test func `A handler that hears nothing is ended with its worker at the drain timeout`() async throws {
        let (program, port) = try await pool(workers: 1, ["PREFORK_DRAIN_TIMEOUT": "500ms"])
        let client = try open("/deaf", port: port)
        program.send(.terminate)
        #expect(try client.receive() == Self.goingAway)
        #expect(try await program.waitForExit(within: .seconds(30)) == 0, "\(program.errors)")
        #expect((rest(client) ?? []) == [])
        #expect(program.groupSize == 0)
    }

    /// The kernel ends the connections of a dead process. Those of its siblings go on.
    @Test func `A crash ends the sockets of its worker alone, without a close frame`() async throws {
        let (program, port) = try await pool(workers: 2)
        // By the worker that serves them: a request on the same connection before the handshake tells its process.
        var byWorker: [String: [Client]] = [:]
        while byWorker.count < 2 || byWorker.values.contains(where: { $0.count < 2 }) {
            let client = try Client(port: port)
            let worker = try client.get("/pid").body
            try client.send(
                request(
                    "GET /socket", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", keep: true))
            #expect(try client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 101 "))
            byWorker[worker, default: []].append(client)
        }
        let victim = try #require(byWorker.keys.min())
        kill(try #require(Int32(victim)), SIGSEGV)
        for client in byWorker.removeValue(forKey: victim) ?? [] { #expect((rest(client) ?? []) == []) }
        for client in byWorker.values.joined() { try echo(client, "still here") }
        try await eventually("a successor\n\(program.errors)") {
            program.children.count == 2 && !program.children.contains(Int32(victim) ?? 0)
        }
        let next = try open("/socket", port: port)
        try echo(next, "next")
        program.send(.interrupt)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
    }
}
