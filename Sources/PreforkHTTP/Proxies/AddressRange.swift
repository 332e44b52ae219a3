// A range of IP addresses, as configuration files write it.

import Glibc
public import PreforkSystem

/// IP addresses with a common prefix: `10.0.0.0/8`, `fd00::/8`, or a single one, `192.0.2.7`.
public struct AddressRange: Hashable, Sendable {
    private let isIPv4: Bool
    private let high: UInt64
    private let low: UInt64
    /// How many leading bits of the 128 are compared.
    private let bits: Int

    /// - Parameter text: an IPv4 or IPv6 address, with or without `/` and the prefix's length in bits. Bits behind the
    ///   prefix are ignored.
    /// - Returns: nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = SocketAddress(ip: String(parts[0])) else { return nil }
        let value = Self.value(of: address)
        let most = value.isIPv4 ? 32 : 128
        var length = most
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy(\.isDigit), let number = Int(parts[1]), number <= most else { return nil }
            length = number
        }
        self.init(value, bits: length)
    }

    private init(_ value: (isIPv4: Bool, high: UInt64, low: UInt64), bits: Int) {
        isIPv4 = value.isIPv4
        // IPv4 stands in the highest bits of `low`.
        self.bits = bits
        if value.isIPv4 {
            high = 0
            low = value.low & Self.mask(bits)
        } else {
            high = value.high & Self.mask(min(bits, 64))
            low = value.low & Self.mask(max(0, bits - 64))
        }
    }

    /// Whether an address is in it. One of IPv6 that stands for an IPv4 address (`::ffff:192.0.2.7`) is that one.
    public func contains(_ address: SocketAddress) -> Bool {
        switch address {
        case .ipv4, .ipv6:
            let other = AddressRange(Self.value(of: address), bits: bits)
            return other.isIPv4 == isIPv4 && other.high == high && other.low == low
        case .unix, .other:
            return false
        }
    }

    private static func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits)) }

    private static func value(of address: SocketAddress) -> (isIPv4: Bool, high: UInt64, low: UInt64) {
        switch address {
        case .ipv4(let number, _): (true, 0, UInt64(number) << 32)
        case .ipv6(0, let low, _, _) where low >> 32 == 0xFFFF: (true, 0, low << 32)
        case .ipv6(let high, let low, _, _): (false, high, low)
        case .unix, .other: (false, 0, 0)
        }
    }
}

extension SocketAddress {
    /// The address in `text`, with port 0: IPv4 with four decimal numbers, or IPv6 without brackets. No name is looked up.
    init?(ip text: String) {
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
    func with(port: UInt16) -> SocketAddress {
        switch self {
        case .ipv4(let number, _): .ipv4(number, port: port)
        case .ipv6(let high, let low, _, let scope): .ipv6(high, low, port: port, scope: scope)
        case .unix, .other: self
        }
    }
}
