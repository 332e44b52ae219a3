// Addresses to listen on, as people write them.

extension Endpoint {
    /// `host:port`, `[IPv6 address]:port` or an absolute path. Nil for anything else. An empty host stays empty.
    package init?(text: String) {
        if text.hasPrefix("/") {
            if text.contains("\0") { return nil }
            self = .unix(text)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            return nil
        }
        self = .tcp(host, port)
    }
}

extension Listener {
    /// Binds and listens at an address that is written as text: `127.0.0.1:8080`, `[::1]:8080`, `localhost:0`,
    /// `unix:/run/app.sock` or `/run/app.sock`. A Unix socket has mode 0o600.
    ///
    /// - Parameter address: the host must be there: `0.0.0.0` or `[::]` for all addresses.
    /// - Throws: like `init(_:backlog:sharing:)`, and EINVAL with the text if the text is not an address.
    public convenience init(
        _ address: String, backlog: Int32 = 1024, sharing: AcceptSharing = .sharedQueue
    ) throws(SystemError) {
        let path = address.hasPrefix("unix:") ? String(address.dropFirst(5)) : nil
        guard let endpoint = Endpoint(text: path ?? address), endpoint.isWhole(asPath: path != nil) else {
            let shown = Escaping.brief(address)
            throw SystemError(
                "bind", .invalidArgument, on: "'\(shown)', which is neither HOST:PORT, [IPv6]:PORT nor unix:PATH")
        }
        try self.init(endpoint, backlog: backlog, sharing: sharing)
    }
}

extension Endpoint {
    fileprivate func isWhole(asPath: Bool) -> Bool {
        switch self {
        case .tcp(let host, _): !asPath && !host.isEmpty
        case .unix: true
        }
    }
}
