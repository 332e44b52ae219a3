// Publish and subscribe over the server.

#if Valkey
    public import PreforkChannels
    public import PreforkStore

    extension ValkeyBackend: PubSubBackend {
        /// Publishes to the current subscribers, on any machine. In the order of the calls of one task.
        ///
        /// Returns when the server has it. It is delivered at most once: a subscriber without a connection misses it
        /// and learns so later, and the server disconnects one that is too slow for `client-output-buffer-limit`.
        public func publish(_ channel: String, _ value: StoredValue) async throws {
            var command = Command("PUBLISH")
            command.add(try name(of: channel))
            command.add(ValueFormat.bytes(of: value))
            let reply = try await ask(command, about: channel)
            guard case .integer = reply else { throw Self.unexpected(reply, to: "PUBLISH") }
        }

        /// Subscribes until `unsubscribe`, until the result is released, or until the backend is closed.
        ///
        /// At most `ValkeySettings.subscriberBuffer` messages wait for the subscriber. The oldest are dropped first,
        /// and `.lagged` with their exact number comes in their place. After a lost connection, `.lagged(nil)` comes
        /// when the server has confirmed the new subscription. Messages that others have published as plain text come
        /// as bytes.
        ///
        /// - Throws: `ValkeyError`. The sequence also throws it if the server refuses to subscribe again.
        public func subscribe(_ channel: String) async throws -> any PublishedEvents {
            try await subscriptions().subscribe(to: try name(of: channel))
        }
    }
#endif
