// Responses without an end, over reloads and upgrades.

import PreforkSystem
import PreforkTestSupport
import Testing

@testable import PreforkHTTP

@Suite(.timeLimit(.minutes(3))) struct ResumableStreamTests {
    /// A response in chunks, line by line.
    private struct Lines {
        let client: Client
        private var rest: [UInt8] = []
        private var parser = ChunkedParser(headLimit: 1_000, fieldLimit: 10)
        private var text: [UInt8] = []
        private(set) var isOver = false

        init(_ path: String, port: UInt16) throws {
            client = try Client(port: port)
            try client.send(request("GET \(path)", keep: true))
            var head = ""
            while !head.hasSuffix("\r\n\r\n") { head += String(decoding: try client.receive(1), as: UTF8.self) }
            #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.contains("Transfer-Encoding: chunked\r\n"))
            #expect(!head.contains("close"))
        }

        /// The next line, or nil at the end of the response.
        mutating func next() throws -> String? {
            while true {
                if let end = text.firstIndex(of: UInt8(ascii: "\n")) {
                    defer { text.removeFirst(end + 1) }
                    return String(decoding: text[..<end], as: UTF8.self)
                }
                if isOver { return nil }
                try read()
            }
        }

        private mutating func read() throws {
            let step = rest.withUnsafeBytes { bytes in
                let step = parser.next(bytes)
                if case .data(let range) = step { text += bytes[range] }
                return step
            }
            switch step {
            case .data(let range): rest.removeFirst(range.upperBound)
            case .complete(let count):
                rest.removeFirst(count)
                isOver = true
            case .incomplete(let count):
                rest.removeFirst(count)
                let more = try client.receive()
                guard !more.isEmpty else { throw NotInTime(description: "the end within a response") }
                rest += more
            case .failure(let code): throw NotInTime(description: "\(code)")
            }
        }
    }

    @Test func `Events go on in the next worker, each once and in order`() async throws {
        var pool = try await MovingPool(workers: 2)
        let (port, isOver) = (pool.port, Gate())
        async let told: Int = {
            var (next, lines) = (0, try Lines("/events", port: port))
            while !isOver.isOpened {
                #expect(try lines.next() == "\(next)")
                next += 1
                if next.isMultiple(of: 50) { await Task.yield() }
            }
            return next
        }()
        for round in 0..<6 { try await pool.replace(by: round == 3 ? .user2 : .hangUp) }
        isOver.open()
        #expect(try await told > 6)
        try await pool.stop()
    }

    @Test func `A response that ends in another worker keeps its connection`() async throws {
        var pool = try await MovingPool()
        var lines = try Lines("/events?to=300", port: pool.port)
        #expect(try lines.next() == "0")
        try await pool.replace()
        for number in 1..<300 { #expect(try lines.next() == "\(number)") }
        #expect(try lines.next() == "end of generation 2")
        #expect(try lines.next() == nil)
        #expect(try lines.client.get("/x") == (200, "/x"))
        try await pool.replace()
        #expect(try lines.client.get("/y") == (200, "/y"))
        try await pool.stop()
    }

    @Test func `A stop ends the response in order`() async throws {
        let pool = try await MovingPool()
        var lines = try Lines("/events", port: pool.port)
        #expect(try lines.next() == "0")
        pool.program.send(.terminate)
        while try lines.next() != nil {}
        #expect(try lines.client.receive() == [])
        #expect(try await pool.program.waitForExit() == 0)
    }

    @Test func `A response that the next program does not know is broken off`() async throws {
        var pool = try await MovingPool()
        var lines = try Lines("/events-of-one", port: pool.port)
        #expect(try lines.next() == "0")
        try await pool.replace()
        #expect(throws: NotInTime.self) { while try lines.next() != nil {} }
        try await pool.stop()
    }
}
