// Addresses that are written as numbers.

import Glibc

extension SocketAddress {
    /// The address in `text`, with port 0: IPv4 with four decimal numbers, or IPv6 without brackets. No name is looked up.
    package init?(ip text: String) {
        guard text.utf8.count <= 45 else { return nil }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self = .ipv4(UInt32(bigEndian: four.s_addr), port: 0)
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        let halves = withUnsafeBytes(of: six) { bytes in
            (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        self = .ipv6(UInt64(bigEndian: halves.0), UInt64(bigEndian: halves.1), port: 0, scope: 0)
    }

    /// The address with this port. Of other addresses than those of IP, the address itself.
    package func with(port: UInt16) -> SocketAddress {
        switch self {
        case .ipv4(let number, _): .ipv4(number, port: port)
        case .ipv6(let high, let low, _, let scope): .ipv6(high, low, port: port, scope: scope)
        case .unix, .other: self
        }
    }
}
