// Whose pages may open a WebSocket (RFC 6455, section 10.2).

/// Which origins a server accepts WebSockets from.
///
/// A browser lets any page connect to any server and sends the user's cookies along. Only the server can refuse pages
/// that are not its own. Clients that are no browsers send no `Origin` and are accepted, unless `allowing` refuses nil.
public struct WebSocketOrigins: Sendable {
    private enum Rule: Sendable {
        case all
        case sameHost
        case listed([String])
        case allowing(@Sendable (String?) -> Bool)
    }

    private let rule: Rule

    /// Pages of every origin. Only for a service that does not know its users by cookies or addresses.
    public static let all = WebSocketOrigins(rule: .all)
    /// Pages whose origin has the host and the port of the request's `Host`. The scheme is not compared, because TLS
    /// may end at a proxy. A proxy must pass `Host` on.
    public static let sameHost = WebSocketOrigins(rule: .sameHost)

    /// Pages of these origins only.
    ///
    /// - Parameter origins: such as `https://example.com`, without a path. Compared without regard to case.
    public static func only(_ origins: [String]) -> WebSocketOrigins {
        WebSocketOrigins(rule: .listed(origins.map { $0.lowercased() }))
    }

    /// What a function decides.
    ///
    /// - Parameter isAllowed: gets the request's `Origin`, or nil if it has none.
    public static func allowing(_ isAllowed: @escaping @Sendable (String?) -> Bool) -> WebSocketOrigins {
        WebSocketOrigins(rule: .allowing(isAllowed))
    }

    /// - Parameters:
    ///   - origin: of the request's `Origin` field.
    ///   - host: of its `Host` field.
    func allow(_ origin: String?, host: String?) -> Bool {
        switch (rule, origin) {
        case (.allowing(let isAllowed), _): isAllowed(origin)
        case (.all, _), (_, nil): true
        case (.listed(let origins), let origin?): origins.contains(origin.lowercased())
        case (.sameHost, let origin?): Self.isSame(origin, host)
        }
    }

    /// An origin is `scheme://host[:port]` (RFC 6454, section 7), without a port where it is the scheme's own. `Host`
    /// may have that port.
    private static func isSame(_ origin: String, _ host: String?) -> Bool {
        guard let host = host?.lowercased(), !host.isEmpty else { return false }
        let origin = origin.lowercased()
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")] where origin.hasPrefix(scheme) {
            let authority = origin.dropFirst(scheme.count)
            return authority == host || authority + port == host || authority == host + port
        }
        return false
    }
}
