// A pool whose workers are replaced while clients are connected.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

struct MovingPool {
    let program: ChildProgram
    let port: UInt16
    private let workers: Int
    private(set) var generation = 1

    init(workers: Int = 1, _ arguments: [String] = [], _ environment: [String: String] = [:]) async throws {
        self.workers = workers
        program = try ChildProgram(
            "http-fixture", ["\(workers)"] + arguments,
            environment: ["PREFORK_PROBATION": "0s"].merging(environment) { $1 })
        port = try #require(UInt16(try await program.waitForLine("port ")))
    }

    /// Replaces all workers, and waits until the old ones have ended: then each connection has moved, or is closed.
    mutating func replace(by signal: Signal = .hangUp) async throws {
        let (old, next, program) = (Set(program.children), generation + 1, program)
        program.send(signal)
        try await eventually("generation \(next)\n\(program.errors)") { program.errors.contains("generation \(next) serves") }
        try await eventually("the old workers' end\n\(program.errors)") { [workers] in
            program.children.count == workers && old.isDisjoint(with: program.children)
        }
        generation = next
    }

    func stop() async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.groupSize == 0)
    }
}

/// A client of WebSockets, frame by frame.
struct SocketClient {
    /// A close frame of the server with this code.
    static func close(_ code: WebSocketCloseCode) -> [UInt8] {
        [0x88, 2, UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)]
    }

    let client: Client

    init(_ path: String, port: UInt16) throws {
        client = try Client(port: port)
        try client.send(
            request(
                "GET \(path)", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", keep: true))
        // Not a byte more: the first message may come with it.
        var head = ""
        while !head.hasSuffix("\r\n\r\n") {
            let byte = try client.receive(1)
            guard !byte.isEmpty else { throw NotInTime(description: "the end after \(head)") }
            head.unicodeScalars.append(Unicode.Scalar(byte[0]))
        }
        #expect(head.hasPrefix("HTTP/1.1 101 "))
    }

    static func frame(_ opcode: WebSocketOpcode, isFinal: Bool = true, _ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        Array(text.utf8).withUnsafeBytes {
            WebSocketFrameHead.write(opcode, isFinal: isFinal, mask: WebSocketMask([9, 8, 7, 6]), $0, to: &bytes)
        }
        return bytes
    }

    func send(_ text: String) throws { try client.send(Self.frame(.text, text)) }

    /// The next message, of less than 126 bytes.
    func receive() throws -> String {
        let bytes = try client.receive()
        #expect(bytes.count >= 2 && bytes[0] == 0x81 && Int(bytes[1]) == bytes.count - 2, "\(bytes)")
        return String(decoding: bytes.dropFirst(2), as: UTF8.self)
    }

    /// Messages of less than 126 bytes, however they arrive.
    struct Messages {
        let client: Client
        private var rest: [UInt8] = []

        init(_ socket: SocketClient) { client = socket.client }

        mutating func next() throws -> String {
            while rest.count < 2 || rest.count < 2 + Int(rest[1]) {
                let more = try client.receive()
                guard !more.isEmpty else { throw NotInTime(description: "the end after \(rest)") }
                rest += more
            }
            #expect(rest[0] == 0x81, "\(rest)")
            defer { rest.removeFirst(2 + Int(rest[1])) }
            return String(decoding: rest[2..<2 + Int(rest[1])], as: UTF8.self)
        }
    }
}
