// Connecting a link, and the handling of failed attempts.

#if Valkey
    import PreforkEventLoop
    import PreforkSystem

    extension Link {
        func connect() {
            let attempt = LinkAttempt(link: self)
            state = .connecting(attempt)
            attempt.begin()
        }

        /// An attempt has a connected socket: listens to it, and greets the server on it.
        func adopt(_ wire: Wire) throws(SystemError) {
            let watch = Watch(wire.fd) { [weak self, unowned wire] events in self?.handle(events, of: wire) }
            try loop.add(watch, for: [.readable, .writable, .peerFinished, .edge])
            self.watch = watch
        }

        /// Sends a command of the greeting.
        func greet(_ command: Command, over wire: Wire, _ completion: @escaping (Result<Reply, any Error>) -> Void) {
            let pending = PendingCommand(command)
            guard pending.begin(completion) else { return }
            send(pending, over: wire)
        }

        func becomeReady(_ wire: Wire) {
            state = .ready(wire)
            lastFailure = nil
            readySince = .now
            onReady()
            while let pending = waiting.popFirst() {
                if !pending.isFinished { send(pending, over: wire) }
            }
        }

        func failAttempt(_ error: ValkeyError) {
            lastFailure = error
            endConnection()
            for pending in inFlight.takeAll() { pending.finish(.failure(error)) }
            // Waiting does not help against a wrong password or a server of another kind.
            if !error.mayPass {
                let failure = ValkeyError(error.code, on: settings.address.description)
                for pending in waiting.takeAll() { pending.finish(.failure(failure)) }
            }
            pause()
        }

        func pause() {
            let call = loop.call(after: backoff.pause()) { [weak self] in
                guard let self, case .pausing = state else { return }
                connect()
            }
            state = .pausing(call)
        }
    }

    extension ValkeyError {
        /// Whether another attempt may fare better.
        fileprivate var mayPass: Bool {
            switch code {
            case .notAuthenticated, .badReply, .tlsUnavailable, .foreignValue, .badSettings: false
            case .connectionLost, .timedOut, .overloaded, .closed, .refused, .unreachable, .tlsHandshakeFailed: true
            }
        }
    }
#endif
