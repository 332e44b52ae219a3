// Frames: heads, lengths, masks, and the bits that nobody may set.

import PreforkSystem
import Testing

@testable import PreforkHTTP

@Suite struct WebSocketFrameTests {
    private func head(_ bytes: [UInt8], _ role: WebSocketRole = .client) throws(WebSocketViolation) -> WebSocketFrameHead? {
        try bytes.withUnsafeBufferPointer { bytes throws(WebSocketViolation) in
            try WebSocketFrameHead.read(UnsafeRawBufferPointer(bytes), by: role)
        }?.head
    }

    private func frame(
        _ opcode: WebSocketOpcode, isFinal: Bool = true, mask: WebSocketMask? = nil, _ payload: [UInt8]
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        payload.withUnsafeBytes { WebSocketFrameHead.write(opcode, isFinal: isFinal, mask: mask, $0, to: &bytes) }
        return bytes
    }

    /// RFC 6455, section 5.7.
    @Test func theExamplesOfTheRFCAreWrittenSo() {
        let hello = Array("Hello".utf8)
        let mask = WebSocketMask([0x37, 0xFA, 0x21, 0x3D])
        #expect(frame(.text, hello) == [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
        #expect(
            frame(.text, mask: mask, hello)
                == [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        #expect(frame(.text, isFinal: false, Array("Hel".utf8)) == [0x01, 0x03, 0x48, 0x65, 0x6C])
        #expect(frame(.continuation, Array("lo".utf8)) == [0x80, 0x02, 0x6C, 0x6F])
        #expect(frame(.ping, hello) == [0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F])
        #expect(
            frame(.pong, mask: mask, hello)
                == [0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        #expect(frame(.binary, [UInt8](repeating: 7, count: 256)).prefix(4) == [0x82, 0x7E, 0x01, 0x00])
        #expect(
            frame(.binary, [UInt8](repeating: 7, count: 65_536)).prefix(10)
                == [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0])
    }

    @Test(arguments: [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537])
    func everyLengthIsReadAsItWasWritten(count: Int) throws {
        let mask = WebSocketMask([1, 2, 3, 4])
        for mask in [nil, mask] {
            let bytes = frame(.binary, mask: mask, [UInt8](repeating: 0, count: count))
            let head = try head(bytes, mask == nil ? .client : .server)
            #expect(head == WebSocketFrameHead(opcode: .binary, isFinal: true, count: count, mask: mask))
            // No prefix of the head is taken for a head.
            for length in 0..<(bytes.count - count) {
                let part = try self.head(Array(bytes[..<length]), mask == nil ? .client : .server)
                #expect(part == nil)
            }
        }
    }

    @Test func lengthsMustBeInTheirShortestForm() {
        for bytes: [UInt8] in [
            [0x82, 126, 0, 0], [0x82, 126, 0, 125], [0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0],
            [0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
            [0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ] {
            #expect(throws: WebSocketViolation.self) { try head(bytes) }
        }
        #expect(!throwsViolation([0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .client))
    }

    /// All pairs of the first two bytes: exactly those of section 5.2 are heads.
    @Test func onlyTheDefinedBitsAndOpcodesAreRead() {
        var wrong: [(UInt8, UInt8, WebSocketRole)] = []
        for role in [WebSocketRole.server, .client] {
            for first in UInt8.min ... .max {
                for second in UInt8.min ... .max {
                    let opcode = first & 15
                    let isControl = opcode >= 8
                    let isRight =
                        first & 0x70 == 0 && [0, 1, 2, 8, 9, 10].contains(opcode)
                        && (second & 0x80 != 0) == (role == .server)
                        && (!isControl || first & 0x80 != 0 && second & 0x7F <= 125)
                    if throwsViolation([first, second], role) == isRight { wrong.append((first, second, role)) }
                }
                // The first byte is judged without the second one.
                if first & 0x70 != 0 { #expect(throwsViolation([first], role)) }
            }
        }
        #expect(wrong.isEmpty)
    }

    private func throwsViolation(_ bytes: [UInt8], _ role: WebSocketRole) -> Bool {
        do { _ = try head(bytes, role) } catch { return error.code == .protocolError }
        return false
    }

    @Test func aMaskIsAppliedFromEveryOffsetForEveryLength() {
        var random = SplitMix64(seed: 1)
        let key = SIMD4<UInt8>(0x12, 0xAB, 0xFF, 0x01)
        for count in 0...130 {
            for offset in 0..<6 {
                let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                var masked = bytes
                masked.withUnsafeMutableBytes { WebSocketMask(key).apply(to: $0, at: offset) }
                #expect(masked == bytes.enumerated().map { $1 ^ key[($0 + offset) % 4] })
            }
        }
    }

    @Test func codesThatMayBeSentAreThoseOfTheRegistry() {
        let allowed = (0...65_535).filter { WebSocketCloseCode(rawValue: UInt16($0)).maySend }
        #expect(allowed == Array(1000...1003) + Array(1007...1014) + Array(3000...4999))
        #expect(WebSocketFrameHead.closePayload(nil, "x") == [])
        #expect(WebSocketFrameHead.closePayload(.noStatus) == [] && WebSocketFrameHead.closePayload(.abnormal) == [])
        #expect(WebSocketFrameHead.closePayload(.normal, "x") == [3, 232, 120])
    }
}
