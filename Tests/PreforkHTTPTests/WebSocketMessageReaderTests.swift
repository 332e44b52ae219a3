// Messages out of frames: what the cases 1 to 7, 9 and 10 of the Autobahn test suite ask for, by their documentation.

import PreforkSystem
import Testing

@testable import PreforkHTTP

/// What a peer sends, and what the reader makes of it.
struct WebSocketConversation {
    /// What the reader has said, and how it ended.
    struct Reading: Equatable, CustomStringConvertible {
        var events: [WebSocketEvent] = []
        var violation: WebSocketViolation?
        var description: String { "\(events) \(violation.map { "\($0.code) \($0.reason)" } ?? "")" }
    }

    var bytes: [UInt8] = []

    /// A frame of a client.
    mutating func add(_ opcode: WebSocketOpcode, isFinal: Bool = true, _ payload: [UInt8]) {
        let mask = WebSocketMask([0x37, 0xFA, UInt8(truncatingIfNeeded: bytes.count), 0x3D])
        payload.withUnsafeBytes { WebSocketFrameHead.write(opcode, isFinal: isFinal, mask: mask, $0, to: &bytes) }
    }

    mutating func add(_ opcode: WebSocketOpcode, isFinal: Bool = true, _ text: String) {
        add(opcode, isFinal: isFinal, Array(text.utf8))
    }

    /// Reads pieces as a connection would: what was not consumed comes again with the next piece.
    ///
    /// - Parameter moves: whether another reader continues after each piece, with the first one's state.
    static func read(
        _ pieces: [ArraySlice<UInt8>], maxSize: Int = 1 << 20, maxFragments: Int = 1_000, moves: Bool = false
    ) -> Reading {
        var reader = WebSocketMessageReader(role: .server, maxSize: maxSize, maxFragments: maxFragments)
        var reading = Reading()
        var buffer: [UInt8] = []
        for piece in pieces {
            buffer += piece
            do throws(WebSocketViolation) {
                while let event = try step(&reader, &buffer) { reading.events.append(event) }
            } catch {
                reading.violation = error
                return reading
            }
            if moves { reader = moved(reader, maxSize, maxFragments) }
        }
        return reading
    }

    private static func moved(
        _ reader: WebSocketMessageReader, _ maxSize: Int, _ maxFragments: Int
    ) -> WebSocketMessageReader {
        var (state, next) = (
            StateWriter(), WebSocketMessageReader(role: .server, maxSize: maxSize, maxFragments: maxFragments)
        )
        reader.write(to: &state)
        var fields = StateReader(state.bytes)
        #expect(throws: Never.self) {
            try next.read(from: &fields)
            try fields.end()
        }
        return next
    }

    private static func step(
        _ reader: inout WebSocketMessageReader, _ buffer: inout [UInt8]
    ) throws(WebSocketViolation) -> WebSocketEvent? {
        var consumed = 0
        defer { buffer.removeFirst(consumed) }
        return try buffer.withUnsafeBufferPointer { bytes throws(WebSocketViolation) in
            try reader.next(UnsafeRawBufferPointer(bytes), consumed: &consumed)
        }
    }

    func read(maxSize: Int = 1 << 20, maxFragments: Int = 1_000) -> Reading {
        Self.read([bytes[...]], maxSize: maxSize, maxFragments: maxFragments)
    }

    /// - Parameter moves: whether another reader continues after each byte, unless it is a long conversation.
    func readByteByByte(moves: Bool = false) -> Reading {
        Self.read(bytes.indices.map { bytes[$0...$0] }, moves: moves && bytes.count <= 1_000)
    }
}

@Suite struct WebSocketMessageReaderTests {
    private func conversation(_ build: (inout WebSocketConversation) -> Void) -> WebSocketConversation {
        var conversation = WebSocketConversation()
        build(&conversation)
        return conversation
    }

    private func expect(
        _ events: [WebSocketEvent], _ code: WebSocketCloseCode? = nil,
        sourceLocation: SourceLocation = #_sourceLocation, _ build: (inout WebSocketConversation) -> Void
    ) {
        let conversation = conversation(build)
        for reading in [conversation.read(), conversation.readByteByByte(), conversation.readByteByByte(moves: true)] {
            #expect(reading.events == events, sourceLocation: sourceLocation)
            #expect(reading.violation?.code == code, sourceLocation: sourceLocation)
        }
    }

    /// 1.1, 1.2: whole messages.
    @Test(arguments: [0, 125, 126, 127, 128, 65_535, 65_536])
    func wholeMessagesOfEverySize(count: Int) {
        let text = String(repeating: "*", count: count)
        let bytes = [UInt8](repeating: 0xFE, count: count)
        expect([.message(.text(text)), .message(.binary(bytes))]) {
            $0.add(.text, text)
            $0.add(.binary, bytes)
        }
    }

    /// 2: pings and pongs.
    @Test func pingsAndPongs() {
        let binary: [UInt8] = [0, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0, 0xFF]
        expect([.ping([]), .ping(Array("Hello".utf8)), .ping(binary), .ping([UInt8](repeating: 0xFE, count: 125))]) {
            $0.add(.ping, [])
            $0.add(.ping, "Hello")
            $0.add(.ping, binary)
            $0.add(.ping, [UInt8](repeating: 0xFE, count: 125))
        }
        expect([.pong([]), .pong([1]), .ping([2])]) {
            $0.add(.pong, [])
            $0.add(.pong, [1])
            $0.add(.ping, [2])
        }
        // 2.5: 126 bytes.
        expect([], .protocolError) { $0.add(.ping, [UInt8](repeating: 0xFE, count: 126)) }
    }

    /// 3: reserved bits. What came before them counts.
    @Test(arguments: [UInt8(0x10), 0x20, 0x30, 0x40, 0x50, 0x60, 0x70])
    func reservedBitsAreRefused(bits: UInt8) {
        for opcode in [WebSocketOpcode.text, .binary, .ping, .close] {
            expect([.message(.text("Hello"))], .protocolError) {
                $0.add(.text, "Hello")
                let start = $0.bytes.count
                $0.add(opcode, "Hello")
                $0.bytes[start] |= bits
            }
        }
    }

    /// 4: reserved opcodes.
    @Test(arguments: [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8])
    func reservedOpcodesAreRefused(opcode: UInt8) {
        expect([.message(.text("x"))], .protocolError) {
            $0.add(.text, "x")
            $0.bytes += [0x80 | opcode, 0x80, 1, 2, 3, 4]
        }
    }

    /// 5: fragments.
    @Test func fragmentsBecomeOneMessage() {
        // 5.3 - 5.8
        expect([.message(.text("fragment1fragment2"))]) {
            $0.add(.text, isFinal: false, "fragment1")
            $0.add(.continuation, "fragment2")
        }
        expect([.ping([7]), .message(.text("fragment1fragment2"))]) {
            $0.add(.text, isFinal: false, "fragment1")
            $0.add(.ping, [7])
            $0.add(.continuation, "fragment2")
        }
        // 5.19, 5.20: several, with pings between them.
        expect([.ping([1]), .ping([2]), .message(.text("abcde"))]) {
            $0.add(.text, isFinal: false, "a")
            $0.add(.continuation, isFinal: false, "b")
            $0.add(.ping, [1])
            $0.add(.continuation, isFinal: false, "c")
            $0.add(.continuation, isFinal: false, "d")
            $0.add(.ping, [2])
            $0.add(.continuation, "e")
        }
        // 6.1: empty fragments.
        expect([.message(.text("")), .message(.text("middle"))]) {
            $0.add(.text, isFinal: false, "")
            $0.add(.continuation, isFinal: false, "")
            $0.add(.continuation, "")
            $0.add(.text, isFinal: false, "")
            $0.add(.continuation, isFinal: false, "middle")
            $0.add(.continuation, "")
        }
    }

    @Test func fragmentsOutOfOrderAreRefused() {
        // 5.1, 5.2: fragmented control frames.
        for opcode in [WebSocketOpcode.ping, .pong, .close] {
            expect([], .protocolError) {
                $0.add(opcode, isFinal: false, "fragment1")
                $0.add(.continuation, "fragment2")
            }
        }
        // 5.9 - 5.14: a continuation of nothing.
        for isFinal in [true, false] {
            expect([], .protocolError) { $0.add(.continuation, isFinal: isFinal, "x") }
            expect([.message(.text("x"))], .protocolError) {
                $0.add(.text, "x")
                $0.add(.continuation, isFinal: isFinal, "x")
            }
        }
        // 5.15 - 5.18: a message within a message.
        for opcode in [WebSocketOpcode.text, .binary] {
            expect([], .protocolError) {
                $0.add(.text, isFinal: false, "fragment1")
                $0.add(opcode, "fragment2")
            }
        }
    }

    /// 6.2 - 6.4: UTF-8 is checked over fragments and as early as possible.
    @Test func charactersMaySpanFragments() {
        let text = "Hello-µ@ßöäüàá-UTF-8!! 漢 🐟"
        let bytes = Array(text.utf8)
        expect([.message(.text(text))]) {
            for byte in bytes.dropLast() { $0.add($0.bytes.isEmpty ? .text : .continuation, isFinal: false, [byte]) }
            $0.add(.continuation, [bytes[bytes.count - 1]])
        }
        for cut in bytes.indices {
            expect([.message(.text(text))]) {
                $0.add(.text, isFinal: false, Array(bytes[..<cut]))
                $0.add(.continuation, Array(bytes[cut...]))
            }
        }
    }

    @Test func wrongTextIsRefusedAtItsFirstWrongByte() {
        // 6.4.1: valid, a surrogate, more text.
        let valid: [UInt8] = [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE, 0xBC, 0xCE, 0xB5]
        let wrong: [UInt8] = [0xF4, 0x90]
        var conversation = WebSocketConversation()
        conversation.add(.text, isFinal: false, valid + wrong + [UInt8](repeating: 0x61, count: 100_000))
        // Two bytes of head, eight of length, four of mask: up to the first wrong byte, and no byte more.
        let end = 2 + 8 + 4 + valid.count + 1
        #expect(WebSocketConversation.read([conversation.bytes[..<end]]).violation == nil)
        #expect(WebSocketConversation.read([conversation.bytes[...end]]).violation?.code == .invalidPayload)
        // An unfinished character at the end of the message.
        expect([], .invalidPayload) { $0.add(.text, [0xE2, 0x82]) }
        expect([], .invalidPayload) {
            $0.add(.text, isFinal: false, [0xE2, 0x82])
            $0.add(.continuation, [])
        }
        // Bytes may be anything.
        expect([.message(.binary([0xE2, 0x82]))]) { $0.add(.binary, [0xE2, 0x82]) }
    }

    /// 7.3, 7.7, 7.9: the payload of close frames.
    @Test func closeFramesHaveNothingOrACodeAndAReason() {
        func close(_ code: Int, _ reason: [UInt8] = []) -> [UInt8] {
            [UInt8(code >> 8), UInt8(code & 255)] + reason
        }
        expect([.close(.noStatus, reason: "")]) { $0.add(.close, []) }
        expect([], .protocolError) { $0.add(.close, [3]) }
        expect([.close(.normal, reason: "Hello World!")]) {
            $0.add(.close, close(1000, Array("Hello World!".utf8)))
        }
        expect([.close(.normal, reason: String(repeating: "*", count: 123))]) {
            $0.add(.close, close(1000, [UInt8](repeating: 42, count: 123)))
        }
        expect([], .protocolError) { $0.add(.close, close(1000, [UInt8](repeating: 42, count: 124))) }
        // 7.5.1
        expect([], .invalidPayload) { $0.add(.close, close(1000, [0xCE, 0xBA, 0xED, 0xA0, 0x80])) }
        expect([], .invalidPayload) { $0.add(.close, close(1000, [0xCE])) }
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            expect([.close(.init(rawValue: UInt16(code)), reason: "")]) { $0.add(.close, close(code)) }
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            expect([], .protocolError) { $0.add(.close, close(code)) }
        }
    }

    /// 9: large messages, whole and in fragments of every size.
    @Test func largeMessagesAreReadWholeAndInFragments() {
        var random = SplitMix64(seed: 9)
        let bytes = (0..<(1 << 20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        for size in [64 << 10, 256 << 10, 1 << 20] {
            let message = Array(bytes[..<size])
            #expect(conversation { $0.add(.binary, message) }.read().events == [.message(.binary(message))])
            for fragment in [1 << 10, 4_096, size / 2 + 1] {
                let fragmented = conversation {
                    var rest = message[...]
                    while rest.count > fragment {
                        $0.add(rest.count == size ? .binary : .continuation, isFinal: false, Array(rest.prefix(fragment)))
                        rest = rest.dropFirst(fragment)
                    }
                    $0.add(.continuation, Array(rest))
                }
                #expect(fragmented.read(maxFragments: 2_000).events == [.message(.binary(message))])
                // 9.5, 9.6: in pieces of a network.
                for chop in [977, 2_048] {
                    let pieces = stride(from: 0, to: fragmented.bytes.count, by: chop).map {
                        fragmented.bytes[$0..<min($0 + chop, fragmented.bytes.count)]
                    }
                    let reading = WebSocketConversation.read(pieces, maxFragments: 2_000)
                    #expect(reading.events == [.message(.binary(message))])
                }
            }
        }
    }

    /// 10.1: fragments as a library makes them of one message.
    @Test func aMessageInFragmentsOf1300Bytes() {
        let text = String(repeating: "*", count: 65_536)
        expect([.message(.text(text))]) {
            var rest = Array(text.utf8)[...]
            while rest.count > 1_300 {
                $0.add($0.bytes.isEmpty ? .text : .continuation, isFinal: false, Array(rest.prefix(1_300)))
                rest = rest.dropFirst(1_300)
            }
            $0.add(.continuation, Array(rest))
        }
    }

    @Test func limitsHoldAtTheLimitAndNotAbove() {
        let hundred = [UInt8](repeating: 1, count: 100)
        #expect(conversation { $0.add(.binary, hundred) }.read(maxSize: 100).events.count == 1)
        #expect(conversation { $0.add(.binary, hundred) }.read(maxSize: 99).violation?.code == .messageTooBig)
        // Announced, and not yet sent.
        let announced: [UInt8] = [0x82, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4]
        #expect(WebSocketConversation.read([announced[...]]).violation?.code == .messageTooBig)
        let halves = conversation {
            $0.add(.binary, isFinal: false, hundred)
            $0.add(.continuation, [1])
        }
        #expect(halves.read(maxSize: 101).events.count == 1)
        #expect(halves.read(maxSize: 100).violation?.code == .messageTooBig)
        // Control frames do not count.
        let control = conversation {
            $0.add(.binary, isFinal: false, hundred)
            $0.add(.ping, hundred)
            $0.add(.continuation, [])
        }
        #expect(control.read(maxSize: 100).events.count == 2)
        let fragments = conversation { c in
            for place in 0..<5 { c.add(place == 0 ? .binary : .continuation, isFinal: place == 4, []) }
        }
        #expect(fragments.read(maxFragments: 5).events.count == 1)
        #expect(fragments.read(maxFragments: 4).violation?.code == .policyViolation)
        #expect(conversation { $0.add(.text, "") }.read(maxSize: 0).events.count == 1)
        #expect(conversation { $0.add(.text, "") }.read(maxSize: .min, maxFragments: .min).events.count == 1)
        #expect(conversation { $0.add(.text, "x") }.read(maxSize: .min).violation?.code == .messageTooBig)
    }

    /// Everything of the protocol in one stream, cut into two pieces at each place, into three at many, and into bytes.
    @Test func everySplitOfTheStreamGivesTheSameEvents() {
        let stream = conversation {
            $0.add(.text, "Hello-µ@ß 漢 🐟")
            $0.add(.ping, [1, 2, 3])
            $0.add(.text, isFinal: false, Array("a漢".utf8.dropLast()))
            $0.add(.pong, [])
            $0.add(.continuation, Array("a漢".utf8.suffix(1)))
            $0.add(.binary, [UInt8](repeating: 9, count: 300))
            $0.add(.binary, isFinal: false, [])
            $0.add(.continuation, [7])
            $0.add(.close, [3, 232, 0x6F, 0x6B])
        }
        let whole = stream.read()
        #expect(whole.events.count == 7 && whole.violation == nil)
        let count = stream.bytes.count
        for first in 0...count {
            let halves = [stream.bytes[..<first], stream.bytes[first...]]
            #expect(WebSocketConversation.read(halves) == whole)
            #expect(WebSocketConversation.read(halves, moves: true) == whole, "moved at \(first)")
        }
        var random = SplitMix64(seed: 3)
        for _ in 0..<2_000 {
            let cuts = [random.below(count + 1), random.below(count + 1)].sorted()
            let pieces = [stream.bytes[..<cuts[0]], stream.bytes[cuts[0]..<cuts[1]], stream.bytes[cuts[1]...]]
            #expect(WebSocketConversation.read(pieces) == whole)
        }
        #expect(stream.readByteByByte() == whole)
    }

    /// Damaged streams and noise: no trap, the same reading in one piece and byte by byte, and nothing after a violation.
    @Test func noiseIsReadTheSameWayHoweverItIsCut() {
        var random = SplitMix64(seed: 6455)
        for round in 0..<4_000 {
            var stream = WebSocketConversation()
            for _ in 0..<random.below(4) {
                let opcodes: [WebSocketOpcode] = [.text, .binary, .continuation, .ping, .pong, .close]
                let payload = (0..<random.below(140)).map { _ in
                    round % 2 == 0 ? UInt8(truncatingIfNeeded: random.next()) : UInt8(97 + random.below(20))
                }
                stream.add(opcodes[random.below(6)], isFinal: random.below(3) > 0, payload)
            }
            for _ in 0..<random.below(4) where !stream.bytes.isEmpty {
                stream.bytes[random.below(stream.bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            if round % 5 == 0 { stream.bytes += (0..<40).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
            #expect(stream.read() == stream.readByteByByte(), "round \(round): \(stream.bytes)")
        }
    }
}
