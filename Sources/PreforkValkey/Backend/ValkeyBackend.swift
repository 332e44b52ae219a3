// A store and publish / subscribe on a server, for processes of many machines.

#if Valkey
    public import PreforkChannels
    import PreforkEventLoop
    import PreforkStore
    import Synchronization

    /// A Valkey or Redis server as a store and for publish / subscribe.
    ///
    /// ```swift
    /// let server = ValkeyBackend(ValkeySettings(.unix(path: "/run/valkey/valkey.sock"), prefix: "shop:"))
    /// let visits = try await server.increment("visits", by: 1)
    /// ```
    ///
    /// It may be made anywhere, also before a fork, and connects at its first use, which must come in the process that
    /// uses it (a worker, not the supervisor). From then on it lives on the loop on which it was used first: the
    /// worker's loop, or the shared one. Calls may come from any thread. All tasks share one connection, on which
    /// commands do not wait for the answers of others, and a second one for subscriptions.
    ///
    /// A lost connection is made again, after `ValkeySettings.reconnectDelay`. Commands in progress throw `ValkeyError`
    /// `.connectionLost`, because they may have been executed. Commands that come meanwhile wait. What is weaker than
    /// in shared memory:
    ///
    /// | what | here |
    /// |---|---|
    /// | latency | a trip to the server, 10 µs and more. Put `NearCache` in front for frequent reads |
    /// | `keys`, `all`, `count` | a walk (SCAN) that may or may not find keys which come or go meanwhile |
    /// | `count` without a prefix | DBSIZE: keys that have just expired may count, and keys of other programs do |
    /// | delivery | at most once. A subscriber that was not connected gets `.lagged(nil)` afterwards |
    /// | durability | the server's: with replicas or without an append-only file, what was acknowledged can be lost |
    /// | eviction | the server's `maxmemory-policy` |
    ///
    /// One server, not a cluster: a cluster answers MOVED, which is `.refused`. Server 6.0 or newer, any Valkey.
    public final class ValkeyBackend: Sendable {
        /// The settings it was made with.
        public let settings: ValkeySettings
        private let parts = Mutex(Parts())
        /// Hashes of the scripts, as the server returned them, by name.
        let scripts = Mutex<[String: String]>([:])

        private struct Parts: Sendable {
            var commands: Link?
            var subscriptions: SubscriptionHub?
            var isClosed = false
        }

        /// A backend that has not connected yet. Nothing is sent and nothing is checked here: the first operation
        /// connects, and throws `.badSettings` for an invalid setting.
        public init(_ settings: ValkeySettings) {
            self.settings = settings
        }

        deinit {
            close()
        }

        /// It reaches other machines, and its values outlive the processes.
        public var capabilities: BackendCapabilities { [.beyondThisMachine, .outlivesProcesses] }

        /// Ends both connections. Commands in progress throw `.closed`, as do all later calls, and subscriptions end.
        /// Callable from any thread. A second call has no effect.
        public func close() {
            let (commands, subscriptions) = parts.withLock { parts in
                parts.isClosed = true
                defer {
                    parts.commands = nil
                    parts.subscriptions = nil
                }
                return (parts.commands, parts.subscriptions)
            }
            commands.map { link in link.loop.execute { link.close() } }
            subscriptions.map { hub in hub.loop.execute { hub.close() } }
        }

        /// The connection for commands, on the loop that is used from now on.
        func commands() throws -> Link {
            try parts.withLock { parts in
                if parts.isClosed { throw ValkeyError(.closed) }
                if let link = parts.commands { return link }
                try settings.check()
                let link = Link(loop: try chosenLoop(parts), settings: settings)
                parts.commands = link
                return link
            }
        }

        func subscriptions() throws -> SubscriptionHub {
            try parts.withLock { parts in
                if parts.isClosed { throw ValkeyError(.closed) }
                if let hub = parts.subscriptions { return hub }
                try settings.check()
                let hub = SubscriptionHub(loop: try chosenLoop(parts), settings: settings)
                parts.subscriptions = hub
                return hub
            }
        }

        private func chosenLoop(_ parts: Parts) throws -> EventLoop {
            if let loop = parts.commands?.loop ?? parts.subscriptions?.loop { return loop }
            return try .chosen()
        }

        /// Sends a command. An error reply is thrown.
        ///
        /// - Parameter object: the key or channel that an error must name.
        func ask(_ command: Command, about object: String) async throws -> Reply {
            let reply = try await answer(to: command)
            guard case .error(let text) = reply else { return reply }
            throw ValkeyError(refusal: text, password: settings.password, on: object)
        }

        /// Sends a command. The reply may be an error.
        func answer(to command: Command) async throws -> Reply {
            guard command.bytes.count <= Self.maximumCommandSize else {
                throw StoreError(.valueTooLarge(bytes: command.bytes.count, limit: Self.maximumCommandSize))
            }
            return try await commands().ask(command)
        }

        /// What a server takes as one string by default (`proto-max-bulk-len`), and a command of ours as a whole.
        static let maximumCommandSize = 512 << 20

        /// Runs a script by its hash. Loads it first if the server does not know it (any more).
        func run(_ script: Script, keys: [[UInt8]], arguments: [[UInt8]], about object: String) async throws -> Reply {
            var rest = Command()
            rest.add(Int64(keys.count))
            for word in keys + arguments { rest.add(word) }
            let hash: String
            if let known = scripts.withLock({ $0[script.name] }) {
                hash = known
            } else {
                let reply = try await ask(Command("SCRIPT", "LOAD", script.text), about: object)
                guard case .bytes(let text) = reply else { throw Self.unexpected(reply, to: "SCRIPT LOAD") }
                hash = String(decoding: text, as: UTF8.self)
                scripts.withLock { $0[script.name] = hash }
            }
            let reply = try await answer(to: Command("EVALSHA", hash).adding(contentsOf: rest))
            switch reply {
            case .error where reply.errorCode == "NOSCRIPT":
                // Another server behind the address, or one that has forgotten: EVAL makes it know the script again.
                return try await ask(Command("EVAL", script.text).adding(contentsOf: rest), about: object)
            case .error(let text):
                throw ValkeyError(refusal: text, password: settings.password, on: object)
            default:
                return reply
            }
        }

        static func unexpected(_ reply: Reply, to command: String) -> ValkeyError {
            ValkeyError(.badReply("\(reply.form) to \(command)"))
        }
    }
#endif
