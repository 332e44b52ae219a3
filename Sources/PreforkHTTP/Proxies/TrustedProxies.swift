// Which peers are believed when they say for whom they ask.

public import PreforkSystem

/// The proxies in front of a server, and how they say whose requests they pass on.
///
/// A field about the client is worth what its sender is worth: only those that the nearest proxies have added are read, from
/// the last member back, as long as the address that sent it is one of `addresses`. Without this option no field is read,
/// and the client is the peer.
///
/// ```swift
/// var options = HTTPServerOptions()
/// options.trustedProxies = TrustedProxies(["10.0.0.0/8", "unix"])
/// ```
public struct TrustedProxies: Hashable, Sendable {
    /// The fields by which proxies say who the client is. Name the one that yours set: another field comes from the client,
    /// who can write into it what it likes.
    public enum Fields: Hashable, Sendable {
        /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, as most proxies send them.
        case xForwarded
        /// `Forwarded` of RFC 7239.
        case forwarded
    }

    /// The addresses of proxies.
    public let addresses: [AddressRange]
    /// Whether a peer at a Unix socket is a proxy. Who may connect there is the socket file's mode to say.
    public let includesUnix: Bool
    /// The fields that they set.
    public let fields: Fields

    /// - Parameters:
    ///   - addresses: each an address, a range such as `10.0.0.0/8`, or `unix` for peers at Unix sockets.
    ///   - fields: what these proxies set.
    /// - Throws: EINVAL, with the first text that is none of these.
    public init(_ addresses: [String], fields: Fields = .xForwarded) throws(SystemError) {
        var ranges: [AddressRange] = []
        for text in addresses where text != "unix" {
            guard let range = AddressRange(text) else {
                let shown = ForeignText(text).escaped(for: .log, atMost: 100)
                throw SystemError("TrustedProxies", .invalidArgument, on: "address \(shown)")
            }
            ranges.append(range)
        }
        self.addresses = ranges
        includesUnix = addresses.contains("unix")
        self.fields = fields
    }

    /// Whether what this peer says of its clients is believed.
    public func contains(_ peer: SocketAddress) -> Bool {
        switch peer {
        case .unix: includesUnix
        case .ipv4, .ipv6: addresses.contains { $0.contains(peer) }
        case .other: false
        }
    }
}
