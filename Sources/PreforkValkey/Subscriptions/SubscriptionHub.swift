// All subscriptions of one backend, over one connection.

#if Valkey
    import PreforkChannels
    import PreforkEventLoop
    import PreforkStore

    /// Which subscriber has subscribed to what. Several subscribers of one channel share the server's subscription.
    final class SubscriptionHub: @unchecked Sendable {
        // Sendable: `loop` and `settings` never change, and everything else is touched on the loop's thread only.
        let loop: EventLoop
        let settings: ValkeySettings
        private let link: Link
        private var channels: [[UInt8]: [ObjectIdentifier: Subscriber]] = [:]
        private var hasHeartbeat = false

        private struct Subscriber {
            weak var subscription: ValkeySubscription?
            /// The server has confirmed it: from now on, a lost connection is a gap.
            var isConfirmed = false
        }

        init(loop: EventLoop, settings: ValkeySettings) {
            self.loop = loop
            self.settings = settings
            link = Link(loop: loop, settings: settings)
            link.onReply = { [weak self] reply in self?.take(reply) ?? false }
            link.onReady = { [weak self] in self?.subscribeAgain() }
        }

        /// Subscribes, and returns after the server has confirmed it. From any thread.
        func subscribe(to channel: [UInt8]) async throws -> ValkeySubscription {
            let subscription = ValkeySubscription(of: channel, hub: self)
            let id = ObjectIdentifier(subscription)
            loop.execute { self.add(subscription) }
            do {
                // Also where the channel has subscribers: the server answers each, and answers in order.
                let reply = try await link.ask(Self.command("SUBSCRIBE", channel)) { [weak self] reply in
                    guard let self, case .success = Result(catching: { try Self.check(reply, self.settings) })
                    else { return }
                    // At once: the connection may be lost before the subscriber's task gets to run.
                    channels[channel]?[id]?.isConfirmed = true
                }
                try Self.check(reply, settings)
            } catch {
                await subscription.unsubscribe()
                throw error
            }
            return subscription
        }

        /// Whether there is a connection. On the loop's thread.
        var isReady: Bool { link.isReady }

        /// Removes a subscriber. With the last one of a channel, the server is informed. On the loop's thread.
        func forget(_ id: ObjectIdentifier, of channel: [UInt8]) {
            guard channels[channel]?.removeValue(forKey: id) != nil, channels[channel]?.isEmpty == true else { return }
            channels[channel] = nil
            // A new connection would not know of the channel anyway.
            if link.isReady { link.submit(PendingCommand(Self.command("UNSUBSCRIBE", channel)), isOurs: true) }
        }

        /// On the loop's thread.
        func close() {
            link.close()
            let all = channels.values.flatMap(\.values)
            channels = [:]
            for subscriber in all { subscriber.subscription?.finish(.success(())) }
        }

        private func add(_ subscription: ValkeySubscription) {
            scheduleHeartbeat()
            channels[subscription.channel, default: [:]][ObjectIdentifier(subscription)] = Subscriber(
                subscription: subscription)
        }

        /// Takes messages out of the order of answers. A message that is not a value of this package is passed on as
        /// bytes.
        private func take(_ reply: Reply) -> Bool {
            guard case .array(let parts) = reply, parts.count == 3, parts[0] == .bytes(Array("message".utf8)),
                case .bytes(let channel) = parts[1], case .bytes(let bytes) = parts[2]
            else { return false }
            let message = ValueFormat.value(of: bytes) ?? StoredValue(kind: .bytes, bytes: bytes)
            channels[channel]?.values.forEach { $0.subscription?.deliver(message) }
            return true
        }

        /// On a new connection. A subscriber that receives the gap only now can trust what comes from now on.
        private func subscribeAgain() {
            for (channel, subscribers) in channels where subscribers.values.contains(where: \.isConfirmed) {
                let pending = PendingCommand(Self.command("SUBSCRIBE", channel))
                let settings = settings
                _ = pending.begin { [weak self] outcome in
                    // A connection that ends meanwhile is followed by another, and by this again.
                    guard case .success(let reply) = outcome, let subscribers = self?.channels[channel] else { return }
                    let refusal = Result { try Self.check(reply, settings) }
                    for subscriber in subscribers.values where subscriber.isConfirmed {
                        if case .success = refusal {
                            subscriber.subscription?.deliverGap()
                        } else {
                            subscriber.subscription?.finish(refusal)
                        }
                    }
                }
                link.submit(pending, isOurs: true)
            }
        }

        /// A connection on which one only listens does not notice that the other side is gone.
        private func scheduleHeartbeat() {
            if hasHeartbeat { return }
            hasHeartbeat = true
            loop.call(after: settings.heartbeat) { [weak self] in
                guard let self else { return }
                hasHeartbeat = false
                if channels.isEmpty { return }
                if link.isReady {
                    let pending = PendingCommand(Command("PING"))
                    _ = pending.begin { _ in }
                    link.submit(pending, isOurs: true)
                }
                scheduleHeartbeat()
            }
        }

        private static func command(_ name: String, _ channel: [UInt8]) -> Command {
            var command = Command(name)
            command.add(channel)
            return command
        }

        private static func check(_ reply: Reply, _ settings: ValkeySettings) throws {
            if case .error(let text) = reply { throw ValkeyError(refusal: text, password: settings.password) }
            guard case .array(let parts) = reply, parts.first == .bytes(Array("subscribe".utf8)) else {
                throw ValkeyBackend.unexpected(reply, to: "SUBSCRIBE")
            }
        }
    }
#endif
