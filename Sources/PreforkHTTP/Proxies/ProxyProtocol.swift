// The PROXY protocol, by which a proxy says whose connection it passes on (haproxy.org, proxy-protocol.txt, versions 1
// and 2).

import PreforkSystem

/// Reads what stands in front of a connection's first request.
enum ProxyProtocol {
    enum Step: Equatable {
        /// So many bytes are not the whole header.
        case incomplete
        /// The header has so many bytes. `client` is nil if the proxy speaks for itself (a health check), or does not say.
        case complete(client: SocketAddress?, byteCount: Int)
        case malformed
    }

    /// The longest line of version 1, with its end.
    static let lineLimit = 107
    /// Bytes of version 2's header with what it says beside addresses: haproxy and AWS send some 100.
    static let blockLimit = 4 * 1024

    private static let signature: StaticString = "\r\n\r\n\0\r\nQUIT\n"

    /// - Parameter bytes: what has come of the connection.
    static func read(_ bytes: UnsafeRawBufferPointer) -> Step {
        guard let first = bytes.first else { return .incomplete }
        switch first {
        case UInt8(ascii: "P"): return readLine(bytes)
        case .cr: return readBlock(bytes)
        default: return .malformed
        }
    }

    private static func readLine(_ bytes: UnsafeRawBufferPointer) -> Step {
        let prefix: StaticString = "PROXY "
        let known = min(bytes.count, prefix.utf8CodeUnitCount)
        for index in 0..<known where bytes[index] != prefix.utf8Start[index] { return .malformed }
        let visible = bytes.part(0..<min(bytes.count, lineLimit))
        guard let end = visible.firstIndex(of: .lf) else {
            return visible.count == lineLimit ? .malformed : .incomplete
        }
        guard end > prefix.utf8CodeUnitCount, visible[end - 1] == .cr else { return .malformed }
        let text = String(decoding: visible.part(prefix.utf8CodeUnitCount..<end - 1), as: UTF8.self)
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        // Whatever follows it is ignored.
        if words[0] == "UNKNOWN" { return .complete(client: nil, byteCount: end + 1) }
        guard words.count == 5, let client = address(words[0], words[1], words[3]),
            address(words[0], words[2], words[4]) != nil
        else { return .malformed }
        return .complete(client: client, byteCount: end + 1)
    }

    private static func address(_ family: Substring, _ host: Substring, _ port: Substring) -> SocketAddress? {
        guard port.utf8.allSatisfy(\.isDigit), port.utf8.count <= 5, let port = UInt16(port),
            let address = SocketAddress(ip: String(host))
        else { return nil }
        switch (family, address) {
        case ("TCP4", .ipv4), ("TCP6", .ipv6): return address.with(port: port)
        default: return nil
        }
    }

    private static func readBlock(_ bytes: UnsafeRawBufferPointer) -> Step {
        let length = signature.utf8CodeUnitCount
        for index in 0..<min(bytes.count, length) where bytes[index] != signature.utf8Start[index] { return .malformed }
        guard bytes.count >= length + 4 else { return .incomplete }
        let (versionAndCommand, familyAndKind) = (bytes[length], bytes[length + 1])
        let rest = Int(bytes[length + 2]) << 8 | Int(bytes[length + 3])
        let byteCount = length + 4 + rest
        guard versionAndCommand >> 4 == 2, byteCount <= blockLimit else { return .malformed }
        let isLocal: Bool
        switch versionAndCommand & 15 {
        case 0: isLocal = true
        case 1: isLocal = false
        default: return .malformed
        }
        if bytes.count < byteCount { return .incomplete }
        // A health check of the proxy: the connection is its own, whatever stands behind.
        if isLocal { return .complete(client: nil, byteCount: byteCount) }
        let block = bytes.part(length + 4..<byteCount)
        switch (familyAndKind >> 4, familyAndKind & 15) {
        case (1, 1):
            guard rest >= 12 else { return .malformed }
            let client = SocketAddress.ipv4(number(block, 0), port: number(block, 8))
            return .complete(client: client, byteCount: byteCount)
        case (2, 1):
            guard rest >= 36 else { return .malformed }
            let client = SocketAddress.ipv6(number(block, 0), number(block, 8), port: number(block, 32), scope: 0)
            return .complete(client: client, byteCount: byteCount)
        case (0...3, 0...2):
            // Not said, a datagram, or a Unix socket's: nothing that a server could use.
            return .complete(client: nil, byteCount: byteCount)
        default: return .malformed
        }
    }

    /// In the order of the network. The caller has checked that it is there.
    private static func number<Number: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Number {
        Number(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}
