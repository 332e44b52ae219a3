// The state of a message in hand, as it travels: what no reader can have in hand is refused.

import PreforkSystem
import Testing

@testable import PreforkHTTP

@Suite struct WebSocketStateTests {
    private static let limits = (size: 1_000, fragments: 10)

    private func reader(of bytes: [UInt8]) throws -> WebSocketMessageReader {
        var reader = WebSocketMessageReader(
            role: .server, maxSize: Self.limits.size, maxFragments: Self.limits.fragments)
        var rest = bytes[...]
        while true {
            var consumed = 0
            let event = try rest.withUnsafeBytes { try reader.next($0, consumed: &consumed) }
            rest = rest.dropFirst(consumed)
            if event == nil { return reader }
        }
    }

    private func state(of bytes: [UInt8]) throws -> [UInt8] {
        var writer = StateWriter()
        try reader(of: bytes).write(to: &writer)
        return writer.bytes
    }

    private func read(_ state: [UInt8], size: Int = limits.size, fragments: Int = limits.fragments) throws {
        var (reader, fields) = (
            WebSocketMessageReader(role: .server, maxSize: size, maxFragments: fragments), StateReader(state)
        )
        try reader.read(from: &fields)
        try fields.end()
    }

    private func conversation(_ body: (inout WebSocketConversation) -> Void) -> [UInt8] {
        var conversation = WebSocketConversation()
        body(&conversation)
        return conversation.bytes
    }

    @Test func `A larger message than the next process allows is refused`() throws {
        let state = try state(of: conversation { $0.add(.binary, isFinal: false, [UInt8](repeating: 1, count: 100)) })
        try read(state, size: 100)
        #expect(throws: StateReader.Damage.self) { try read(state, size: 99) }
        // A frame that has begun counts as a whole.
        let begun = try self.state(of: Array(conversation { $0.add(.binary, [UInt8](repeating: 1, count: 100)) }.prefix(20)))
        try read(begun, size: 100)
        #expect(throws: StateReader.Damage.self) { try read(begun, size: 99) }
        let many = try self.state(
            of: conversation {
                $0.add(.text, isFinal: false, "a")
                for _ in 0..<4 { $0.add(.continuation, isFinal: false, "b") }
            })
        try read(many, fragments: 5)
        #expect(throws: StateReader.Damage.self) { try read(many, fragments: 4) }
    }

    @Test func `Text that is not UTF-8 is refused`() throws {
        var state = try state(of: conversation { $0.add(.text, isFinal: false, "aé") })
        try read(state)
        let index = try #require(state.firstIndex(of: 0xA9))
        state[index] = 0x41
        #expect(throws: StateReader.Damage.self) { try read(state) }
    }

    /// Each bit changed, and each end: refused, or another state that is possible. Nothing traps.
    @Test func `A damaged state is refused or possible`() throws {
        let states = try [
            conversation { $0.add(.text, isFinal: false, "grüße") },
            Array(conversation { $0.add(.text, isFinal: false, "grüße"); $0.add(.continuation, "ab") }.dropLast()),
            Array(conversation { $0.add(.binary, isFinal: false, [1]); $0.add(.ping, "abc") }.dropLast()),
            Array(conversation { $0.add(.close, [3, 0xE8]) }.dropLast()),
        ].map { try state(of: $0) }
        for state in states {
            try read(state)
            for end in 0..<state.count {
                #expect(throws: StateReader.Damage.self) { try read(Array(state.prefix(end))) }
            }
            #expect(throws: StateReader.Damage.self) { try read(state + [0]) }
            for bit in 0..<state.count * 8 {
                var damaged = state
                damaged[bit / 8] ^= 1 << (bit % 8)
                do { try read(damaged) } catch is StateReader.Damage {}
            }
        }
    }

    @Test func `Addresses travel`() throws {
        let addresses: [SocketAddress] = [
            .ipv4(0x7F00_0001, port: 8080), .ipv6(1 << 63, 5, port: 443, scope: 2), .unix(path: ""),
            .unix(path: "/run/a.sock"), .unix(path: "\0abstract"), .other(family: 40),
        ]
        var writer = StateWriter()
        for address in addresses { writer.append(address) }
        writer.append(Duration.seconds(3))
        var fields = StateReader(writer.bytes)
        for address in addresses { #expect(try fields.address() == address) }
        #expect(try fields.duration() == .seconds(3))
        try fields.end()
        #expect(throws: StateReader.Damage.self) { try fields.integer(UInt8.self) }
    }
}
