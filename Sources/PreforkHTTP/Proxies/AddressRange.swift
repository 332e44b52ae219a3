// A range of IP addresses, as configuration files write it.

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
