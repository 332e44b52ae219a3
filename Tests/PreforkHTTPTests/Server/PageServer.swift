// The example page-server as a program of its own, and pages that are in its chat.

import Glibc
import PreforkEventLoop
import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

struct PageServer {
    let program: ChildProgram
    let port: UInt16

    /// - Parameter path: a copy of the program, for tests that replace it.
    init(path: String = "page-server") async throws {
        let program = try ChildProgram(path, ["127.0.0.1:0"], environment: ["PREFORK_WORKERS": "2", "PREFORK_PROBATION": "0"])
        func place() -> Substring? {
            program.errors.split(separator: "\n").first { $0.contains("listening on ") }?.split(separator: ":").last
        }
        try await eventually("a place\n\(program.errors)") { place() != nil }
        self.program = program
        port = try #require(UInt16(place()?.prefix { $0.isNumber } ?? ""))
    }

    /// Puts a program in the place of another one, which may be running.
    static func copy(_ program: String, to path: String) throws {
        try #require(system("cp --remove-destination '\(program)' '\(path)'") == 0)
    }

    func stop() async throws {
        program.send(.terminate)
        #expect(try await program.waitForExit() == 0, "\(program.errors)")
        #expect(program.groupSize == 0)
    }

    /// A page that has joined the chat. On an event loop.
    func join() async throws -> WebSocketPeer {
        let connection = try await Connection.connect(to: .ipv4(0x7F00_0001, port: port))
        try await connection.writer.write(
            request(
                "GET /chat", "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", keep: true))
        let head = try await connection.reader.read(until: "\r\n\r\n", limit: 4096)
        #expect(String(decoding: head, as: UTF8.self).contains(" 101 "))
        return WebSocketPeer(connection)
    }

    /// Has the first of `pages` say something.
    ///
    /// - Returns: the task ID of the worker that serves it, as all pages have heard.
    @discardableResult
    func chat(_ pages: [WebSocketPeer], _ text: String) async throws -> Int {
        try await pages[0].send(text)
        var worker: Int?
        for page in pages {
            let event = try await page.nextButPings()
            guard case .message(.text(let heard)) = event else {
                throw WebSocketFixture.Ends(text: "\(String(describing: event)) and no message\n\(program.errors)")
            }
            #expect(heard.hasPrefix("\(text) (by worker "))
            worker = heard.dropLast().split(separator: " ").last.flatMap { Int($0) }
        }
        return try #require(worker)
    }
}
