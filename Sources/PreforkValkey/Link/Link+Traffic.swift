// The traffic on a connection, both ways.

#if Valkey
    import PreforkEventLoop
    import PreforkSystem

    extension Link {
        func send(_ pending: PendingCommand, over wire: Wire) {
            do {
                try wire.append(pending.command)
                pending.sentAt = .now
                inFlight.append(pending)
                scheduleFlush()
            } catch {
                pending.finish(.failure(error))
            }
        }

        /// After this turn: the other tasks that are ready now have appended their commands by then.
        func scheduleFlush() {
            guard !isFlushScheduled else { return }
            isFlushScheduled = true
            loop.call(after: .zero) { [weak self] in
                guard let self else { return }
                isFlushScheduled = false
                if let wire { flush(wire) }
            }
        }

        var wire: Wire? {
            switch state {
            case .ready(let wire): wire
            case .connecting(let attempt): attempt.wire
            case .idle, .pausing, .closed: nil
            }
        }

        func flush(_ wire: Wire) {
            do { try wire.flush() } catch { lose(wire, error) }
        }

        func handle(_ events: EpollEvents, of wire: Wire) {
            if events.isReadable || events.isOver {
                receive(from: wire, isOver: events.isOver || events.isPeerFinished)
            }
            // TLS may have waited for a read before it could write.
            if wire.hasUnsent, wire === self.wire { flush(wire) }
        }

        func receive(from wire: Wire, isOver: Bool) {
            do {
                lastReceived = .now
                let hasMore = try wire.receive(isOver: isOver) { reply throws(ValkeyError) in
                    // A reply may have ended the connection. The replies behind it are then dropped.
                    if wire === self.wire { try deliver(reply) }
                }
                // The edge has been and will not come again: poll after the other watches have had their turn.
                if hasMore {
                    loop.call(after: .zero) { [weak self] in
                        if let self, wire === self.wire { receive(from: wire, isOver: isOver) }
                    }
                }
            } catch {
                lose(wire, error)
            }
        }

        func deliver(_ reply: Reply) throws(ValkeyError) {
            if onReply(reply) { return }
            if let pending = inFlight.popFirst() { return pending.finish(.success(reply)) }
            // A server that is full or about to stop says so without a command, and closes.
            guard case .error(let text) = reply else {
                throw ValkeyError(.badReply("unexpected \(reply.form)"))
            }
            throw ValkeyError(refusal: text, password: settings.password)
        }

        /// The connection is over, or must be ended: what it says can no longer be matched to what was asked.
        func lose(_ wire: Wire, _ error: ValkeyError) {
            guard wire === self.wire else { return }
            if case .connecting = state {
                let isHandshake = settings.tls != nil && error.code == .connectionLost
                return failAttempt(isHandshake ? ValkeyError(.tlsHandshakeFailed) : error)
            }
            endConnection()
            lastFailure = error
            let failure: ValkeyError
            if case .badReply = error.code { failure = error } else { failure = ValkeyError(.connectionLost) }
            for pending in inFlight.takeAll() {
                pending.finish(.failure(ValkeyError(failure.code, on: settings.address.description)))
            }
            // A server that accepts and hangs up again and again must not keep this loop busy.
            guard MonotonicInstant.now - readySince >= settings.reconnectDelay.upperBound else { return pause() }
            backoff.reset()
            connect()
        }

        func endConnection() {
            if let watch { loop.remove(watch) }
            watch = nil
            switch state {
            case .connecting(let attempt): attempt.end()
            case .pausing(let call): call.cancel()
            case .idle, .ready, .closed: break
            }
            state = .idle
        }
    }
#endif
