// The server's address, and the settings of the connection to it.

#if Valkey
    import PreforkSystem

    /// Where a Valkey or Redis server is, the user to log in as, and how long to wait for it.
    ///
    /// An invalid value makes a backend's first operation throw `.badSettings`, which names it.
    public struct ValkeySettings: Sendable {
        /// Where a server listens.
        public enum Address: Hashable, Sendable, CustomStringConvertible {
            /// A Unix socket of this machine, by its path (`unixsocket` in the server's configuration).
            case unix(path: String)
            /// - Parameter host: an address or a name. A name is resolved at every connect, on a separate thread,
            ///   because getaddrinfo(3) blocks. All its addresses are tried in order.
            case tcp(host: String, port: UInt16 = 6379)

            public var description: String {
                switch self {
                case .unix(let path): "unix:\(Escaping.brief(path))"
                case .tcp(let host, let port):
                    host.contains(":") ? "[\(Escaping.brief(host))]:\(port)" : "\(Escaping.brief(host)):\(port)"
                }
            }
        }

        /// Where the server listens.
        public var address: Address
        /// The user of an access control list. If nil, `default`. Without a password it has no effect.
        public var user: String?
        /// Sent with AUTH on every new connection. Never part of a text that this package writes.
        public var password: ValkeyPassword?
        /// The numbered database of the server (SELECT), from 0.
        public var database = 0
        /// Put in front of every key and channel on the server, so that several programs share one.
        public var prefix = ""
        /// Nil talks in the clear. Needs package trait `ValkeyTLS`.
        public var tls: ValkeyTLSSettings?
        /// From connecting to the server's first answers. Must be above zero.
        public var connectTimeout: Duration = .seconds(5)
        /// From issuing a command to its answer, including the wait for a lost connection. Must be above zero.
        public var commandTimeout: Duration = .seconds(5)
        /// Commands that wait for a connection or for their answer. Must be above zero. One more throws `.overloaded`.
        public var maximumCommands = 10_000
        /// How long to wait before connecting again: the first value after the first failure, twice as long after each
        /// further one, up to the second, less up to half of it by chance. Above zero, a day at most.
        public var reconnectDelay: ClosedRange<Duration> = .milliseconds(50) ... .seconds(5)
        /// Messages that wait for one slow subscriber, above zero. The oldest go first, and `.lagged` has their number.
        public var subscriberBuffer = 1_024
        /// How often an idle connection for subscriptions asks the server for a sign of life. Must be above zero.
        public var heartbeat: Duration = .seconds(15)

        /// Settings with their defaults, except the ones given.
        ///
        /// Nothing is checked here: a backend's first operation throws `.badSettings` for an invalid one.
        ///
        /// - Parameters:
        ///   - user: of an access control list. If nil, `default`.
        ///   - password: sent with AUTH. If nil, the server must not require one.
        ///   - prefix: put in front of every key and channel on the server.
        public init(_ address: Address, user: String? = nil, password: ValkeyPassword? = nil, prefix: String = "") {
            self.address = address
            self.user = user
            self.password = password
            self.prefix = prefix
        }
    }

    /// A secret that does not show itself when it is printed, dumped or put into a string.
    public struct ValkeyPassword: Sendable, ExpressibleByStringLiteral {
        let secret: String

        /// A password from text, for example from an environment variable or a file.
        public init(_ secret: String) {
            self.secret = secret
        }

        public init(stringLiteral secret: String) {
            self.secret = secret
        }
    }

    extension ValkeyPassword: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
        public var description: String { "(password)" }
        public var debugDescription: String { description }
        public var customMirror: Mirror { Mirror(self, children: []) }
    }

    /// How the server proves its identity, and how the client does. In effect only in a build with package trait
    /// `ValkeyTLS`, which needs hiredis 1.x with hiredis_ssl (Debian 13, not 12).
    ///
    /// The server's certificate must come from an authority that is trusted. Its name is not compared with the host's,
    /// because hiredis has no such check. Trust a private authority if others could get a certificate from the public
    /// ones.
    public struct ValkeyTLSSettings: Hashable, Sendable {
        /// A PEM file of the authorities to trust. If nil, OpenSSL's default (`/etc/ssl/certs`).
        public var authorities: String?
        /// PEM files of the client's certificate and its key. Set both or neither.
        public var certificate: String?
        /// A PEM file of the certificate's private key. Needed with `certificate`.
        public var key: String?
        /// The server name that the client requests (SNI). Nil means the host of the address.
        public var serverName: String?

        /// The server's certificate is checked by OpenSSL's default authorities, and the client sends no certificate.
        public init() {}
    }

    extension ValkeySettings {
        /// - Throws: `.badSettings` with all invalid settings.
        func check() throws(ValkeyError) {
            var problems: [String] = []
            let counts = [("maximumCommands", maximumCommands), ("subscriberBuffer", subscriberBuffer)]
            for (name, count) in counts where count < 1 { problems.append("\(name)=\(count): must be above zero") }
            if database < 0 { problems.append("database=\(database): must be a number from 0") }
            let times = [
                ("connectTimeout", connectTimeout), ("commandTimeout", commandTimeout), ("heartbeat", heartbeat),
                ("reconnectDelay", reconnectDelay.lowerBound),
            ]
            for (name, time) in times where time <= .zero { problems.append("\(name)=\(time): must be above zero") }
            switch address {
            case .unix(let path) where path.isEmpty || path.utf8.dropFirst().contains(0):
                problems.append("path=\(Escaping.brief(path)): must be the path of a socket")
            // An empty host and `*` mean all addresses of this machine, which is not an address to connect to.
            case .tcp(let host, _) where host.isEmpty || host == "*" || host.utf8.contains(0):
                problems.append("host=\(Escaping.brief(host)): must be an address or a name")
            default: break
            }
            if !problems.isEmpty { throw ValkeyError(.badSettings(problems.joined(separator: "\n"))) }
        }
    }
#endif
