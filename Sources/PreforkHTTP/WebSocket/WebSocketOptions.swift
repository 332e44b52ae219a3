// The limits and times of a WebSocket.

/// What a server allows its WebSockets, and how long it waits for them.
public struct WebSocketOptions: Sendable {
    /// The application protocols that the handler speaks (`Sec-WebSocket-Protocol`), the preferred one first. The first
    /// that the client offers is selected. A name that is no token of RFC 9110 is never selected.
    public var subprotocols: [String]
    /// Whose pages may connect. By default those of the server itself, and clients that are no browsers.
    public var origins: WebSocketOrigins
    /// How many bytes a message may have. A larger one closes with 1009. Zero or less allows empty messages only.
    public var maxMessageSize: Int
    /// How many fragments a message may have. More of them close with 1008. Less than one counts as one.
    public var maxFragments: Int
    /// After so long without any byte from the peer, it gets a ping. With zero or less, it never does.
    public var pingInterval: Duration
    /// After so long without any byte as the answer to a ping, the connection is dropped. With zero or less, it never
    /// is.
    public var pongTimeout: Duration
    /// How long the peer may take to answer a close frame. With zero or less, its answer is not waited for.
    public var closeTimeout: Duration
    /// After so long without the peer taking any byte of what is sent, the connection is dropped. With zero or less, it
    /// never is.
    public var sendTimeout: Duration
    /// The versions of `WebSocket.handoverState` that the handler reads: 1 alone by default. It writes the last one. A
    /// socket that moves to this program with a state of another version is closed with 1012.
    public var handoverVersions: ClosedRange<UInt32> = 1...1

    /// - Parameters:
    ///   - subprotocols: none by default.
    ///   - origins: `.sameHost` by default.
    ///   - maxMessageSize: in bytes, 1 MiB by default.
    ///   - maxFragments: 16,384 by default.
    ///   - pingInterval: 20 seconds by default: less than the minute after which proxies drop quiet connections.
    ///   - pongTimeout: 20 seconds by default.
    ///   - closeTimeout: 10 seconds by default.
    ///   - sendTimeout: 30 seconds by default.
    public init(
        subprotocols: [String] = [], origins: WebSocketOrigins = .sameHost, maxMessageSize: Int = 1 << 20,
        maxFragments: Int = 16_384, pingInterval: Duration = .seconds(20), pongTimeout: Duration = .seconds(20),
        closeTimeout: Duration = .seconds(10), sendTimeout: Duration = .seconds(30)
    ) {
        self.subprotocols = subprotocols
        self.origins = origins
        self.maxMessageSize = maxMessageSize
        self.maxFragments = maxFragments
        self.pingInterval = pingInterval
        self.pongTimeout = pongTimeout
        self.closeTimeout = closeTimeout
        self.sendTimeout = sendTimeout
    }
}
