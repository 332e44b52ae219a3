// Headers of the PROXY protocol: examples of its text, each byte missing, and what is refused.

import PreforkSystem
import Testing

@testable import PreforkHTTP

struct ProxyProtocolTests {
    private func read(_ bytes: [UInt8]) -> ProxyProtocol.Step { bytes.withUnsafeBytes(ProxyProtocol.read) }

    private func read(_ text: String) -> ProxyProtocol.Step { read(Array(text.utf8)) }

    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    private static func block(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
        signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 255)] + rest
    }

    private static let ipv4 = block(0x21, 0x11, [192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB])
    private static let client = SocketAddress.ipv4(0xC000_0207, port: 56324)

    @Test func `A line names the client`() {
        let line = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
        #expect(read(line) == .complete(client: Self.client, byteCount: line.utf8.count))
        #expect(read(line + "GET / HTTP/1.1\r\n") == .complete(client: Self.client, byteCount: line.utf8.count))
        let six = "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"
        #expect(
            read(six)
                == .complete(client: .ipv6(0x2001_0DB8_0000_0000, 1, port: 1, scope: 0), byteCount: six.utf8.count))
        #expect(read("PROXY UNKNOWN\r\n") == .complete(client: nil, byteCount: 15))
        #expect(read("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nGET") == .complete(client: nil, byteCount: 35))
    }

    @Test(arguments: [
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n", "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 443 \r\n", "PROXY  TCP4 192.0.2.7 198.51.100.1 1 443\r\n",
        "PROXY TCP5 192.0.2.7 198.51.100.1 1 443\r\n", "PROXY \r\n", "GET / HTTP/1.1\r\n", "proxy UNKNOWN\r\n",
        "PROXY TCP4 " + String(repeating: "1", count: 120),
    ]) func `Any other line is malformed`(line: String) {
        #expect(read(line) == .malformed)
    }

    @Test func `A block names the client`() {
        #expect(read(Self.ipv4) == .complete(client: Self.client, byteCount: 28))
        // With more behind the addresses.
        let more = Self.block(0x21, 0x11, Array(Self.ipv4[16...]) + [4, 0, 2, 0, 0])
        #expect(read(more + [71, 69]) == .complete(client: Self.client, byteCount: 33))
        var six = [UInt8](repeating: 0, count: 36)
        (six[0], six[1], six[15], six[33]) = (0x20, 0x01, 9, 80)
        #expect(
            read(Self.block(0x21, 0x21, six))
                == .complete(client: .ipv6(0x2001_0000_0000_0000, 9, port: 80, scope: 0), byteCount: 52))
        // A health check, and what no server of TCP can use.
        #expect(read(Self.block(0x20, 0x11, Array(Self.ipv4[16...]))) == .complete(client: nil, byteCount: 28))
        #expect(read(Self.block(0x20, 0, [])) == .complete(client: nil, byteCount: 16))
        #expect(read(Self.block(0x21, 0x31, [UInt8](repeating: 1, count: 216))) == .complete(client: nil, byteCount: 232))
    }

    @Test func `Other blocks are malformed`() {
        for (command, family, rest) in [
            (0x11, 0x11, 12), (0x22, 0x11, 12), (0x21, 0x11, 11), (0x21, 0x21, 35), (0x21, 0x41, 12), (0x21, 0x13, 12),
            (0x21, 0x11, 4_081),
        ] {
            let block = Self.block(UInt8(command), UInt8(family), [UInt8](repeating: 0, count: rest))
            #expect(read(block) == .malformed, "\(command) \(family) \(rest)")
        }
        var other = Self.ipv4
        other[5] = 0
        #expect(read(other) == .malformed)
    }

    @Test func `A part of a header is not yet one, however it is cut`() {
        for header in [Self.ipv4, Array("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".utf8)] {
            for count in 0..<header.count { #expect(read(Array(header[..<count])) == .incomplete, "\(count)") }
        }
    }

    @Test(arguments: 1...20) func `Arbitrary bytes are never a trap`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<2_000 {
            var bytes = Bool.random(using: &random) ? Self.ipv4 : Array("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if case .complete(_, let count) = read(bytes) { #expect(count <= bytes.count) }
        }
    }
}
