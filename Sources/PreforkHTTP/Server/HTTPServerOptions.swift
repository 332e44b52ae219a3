// Limits and deadlines of an HTTP server.

import PreforkSystem

/// What clients of a server may do. Every limit has a default, and each excess a status (see the manual's page "HTTP").
public struct HTTPServerOptions: Sendable {
    /// Bytes of a request's head, with empty lines before it: 16 KiB. Trailers have the same limit. Above it: 414 in the
    /// request line, else 431.
    public var headLimit = 16 * 1024
    /// Fields of a head, and of trailers: 100. Above it: 431.
    public var fieldLimit = 100
    /// Bytes of a body that `HTTPBody.collect` takes, unless it is called with another limit: 1 MiB. Above it: 413. A body
    /// that is read in pieces has no limit.
    public var bodyLimit = 1 << 20
    /// From a connection's begin, or the first byte of a later request, to the end of the head: 10 s. After it: 408, or no
    /// response if not a byte has come.
    public var headTimeout: Duration = .seconds(10)
    /// How long a body may make no progress while the server waits for it: 30 s. After it: 408.
    public var bodyTimeout: Duration = .seconds(30)
    /// How long a connection is kept without a request: 75 s.
    public var keepAliveTimeout: Duration = .seconds(75)
    /// How long a response may make no progress while the client does not take it: 30 s. After it the connection is
    /// reset, so that the kernel keeps nothing of the response.
    public var writeTimeout: Duration = .seconds(30)
    /// Bytes a second that a client must send or take, counted over the time for which the server has waited for it, after
    /// the first 5 s: 240. Zero turns it off. Below it, as after `bodyTimeout` and `writeTimeout`.
    public var minimumRate = 240
    /// The proxies in front of the server. What they say of their clients is in `HTTPRequest.client`, `scheme` and `host`. If
    /// nil, no peer is believed.
    public var trustedProxies: TrustedProxies?
    /// Whether every connection begins with a header of the PROXY protocol, version 1 or 2. A connection without one, or
    /// from a peer that is not in `trustedProxies`, is closed without a response.
    public var expectsProxyHeader = false
    /// How long a slow client is only watched.
    var grace = Duration.seconds(5)

    /// Every limit and deadline at its default.
    public init() {}

    /// - Throws: EINVAL for the first option that makes no sense.
    func check() throws(SystemError) {
        let counts = [("headLimit", headLimit, 64), ("fieldLimit", fieldLimit, 1), ("bodyLimit", bodyLimit, 0)]
        for (name, value, least) in counts where value < least { throw Self.refusal(name, "\(value)") }
        if headLimit > 1 << 30 { throw Self.refusal("headLimit", "\(headLimit)") }
        if expectsProxyHeader, trustedProxies == nil { throw Self.refusal("expectsProxyHeader", "without trustedProxies") }
        if minimumRate < 0 { throw Self.refusal("minimumRate", "\(minimumRate)") }
        let times = [
            ("headTimeout", headTimeout), ("bodyTimeout", bodyTimeout), ("keepAliveTimeout", keepAliveTimeout),
            ("writeTimeout", writeTimeout),
        ]
        for (name, value) in times where value <= .zero { throw Self.refusal(name, "\(value)") }
    }

    private static func refusal(_ name: String, _ value: String) -> SystemError {
        SystemError("serveHTTP", .invalidArgument, on: "\(name) \(value)")
    }
}
