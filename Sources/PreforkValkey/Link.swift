// A connection that is made again when it is lost, and the commands that go over it.

#if Valkey
    import PreforkEventLoop
    import PreforkSystem

    /// Where a link is between two connections.
    enum LinkState {
        /// Nobody has asked for anything yet.
        case idle
        /// An attempt is under way (`LinkAttempt`).
        case connecting(LinkAttempt)
        case ready(Wire)
        /// Until the next attempt.
        case pausing(ScheduledCall)
        case closed
    }

    /// One way to the server. Commands of all tasks share it; each is sent without waiting for the answers of others
    /// (pipelining), and what was appended during one turn of the loop goes out by one write.
    final class Link: @unchecked Sendable {
        // Sendable: touched on the loop's thread only; `ask` goes there first.
        let loop: EventLoop
        let settings: ValkeySettings
        private(set) var state = LinkState.idle
        /// Issued while there is no connection.
        private var waiting = Fifo<PendingCommand>()
        /// Sent; answers come in the same order.
        private var inFlight = Fifo<PendingCommand>()
        private var backoff: Backoff
        /// Why there is no connection.
        private var lastFailure: ValkeyError?
        private var lastReceived = MonotonicInstant(nanoseconds: 0)
        private var readySince = MonotonicInstant(nanoseconds: 0)
        private var watch: Watch?
        private var timer: ScheduledCall?
        private var isFlushScheduled = false
        /// Called when there is a new connection, before any command goes over it.
        var onReady: () -> Void = {}
        /// Shown every reply first: true takes it out of the order of answers.
        var onReply: (Reply) -> Bool = { _ in false }

        init(loop: EventLoop, settings: ValkeySettings) {
            self.loop = loop
            self.settings = settings
            backoff = Backoff(settings.reconnectDelay)
        }

        /// Sends a command and waits for its answer; from any thread.
        ///
        /// - Throws: `ValkeyError`, or `CancellationError`: the command may have happened then.
        func ask(_ command: Command) async throws -> Reply {
            let pending = PendingCommand(command)
            return try await withTaskCancellationHandler {
                try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Reply, any Error>) in
                    loop.execute {
                        guard pending.begin({ continuation.resume(with: $0) }) else { return }
                        self.submit(pending)
                    }
                }
            } onCancel: {
                loop.execute { pending.cancel() }
            }
        }

        /// Whether there is a connection. On the loop's thread.
        var isReady: Bool {
            if case .ready = state { true } else { false }
        }

        /// Sent and not answered yet, abandoned ones included. On the loop's thread.
        var commandsInFlight: Int { inFlight.count }

        /// Ends everything: whoever waits gets `.closed`. On the loop's thread.
        func close() {
            if case .closed = state { return }
            endConnection()
            state = .closed
            timer?.cancel()
            timer = nil
            for pending in inFlight.takeAll() + waiting.takeAll() { pending.finish(.failure(ValkeyError(.closed))) }
        }

        /// Sends a command, or has it wait for a connection. On the loop's thread.
        ///
        /// - Parameter isOurs: a command of this module's own, which the limit does not count.
        func submit(_ pending: PendingCommand, isOurs: Bool = false) {
            if case .closed = state { return pending.finish(.failure(ValkeyError(.closed))) }
            let limit = settings.maximumCommands
            guard isOurs || waiting.count + inFlight.count < limit else {
                return pending.finish(.failure(ValkeyError(.overloaded(limit: limit))))
            }
            pending.deadline = .now + settings.commandTimeout
            if case .ready(let wire) = state {
                send(pending, over: wire)
            } else {
                waiting.append(pending)
                if case .idle = state { connect() }
            }
            armTimer()
        }

        // MARK: While there is a connection

        private func send(_ pending: PendingCommand, over wire: Wire) {
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
        private func scheduleFlush() {
            guard !isFlushScheduled else { return }
            isFlushScheduled = true
            loop.call(after: .zero) { [weak self] in
                guard let self else { return }
                isFlushScheduled = false
                if let wire { flush(wire) }
            }
        }

        private var wire: Wire? {
            switch state {
            case .ready(let wire): wire
            case .connecting(let attempt): attempt.wire
            case .idle, .pausing, .closed: nil
            }
        }

        private func flush(_ wire: Wire) {
            do { try wire.flush() } catch { lose(wire, error) }
        }

        private func handle(_ events: EpollEvents, of wire: Wire) {
            if events.isReadable || events.isOver {
                receive(from: wire, isOver: events.isOver || events.isPeerFinished)
            }
            // TLS may have waited for a read before it could write.
            if wire.hasUnsent, wire === self.wire { flush(wire) }
        }

        private func receive(from wire: Wire, isOver: Bool) {
            do {
                lastReceived = .now
                let hasMore = try wire.receive(isOver: isOver) { reply throws(ValkeyError) in
                    // A reply may have ended the connection; those behind it are nobody's.
                    if wire === self.wire { try deliver(reply) }
                }
                // The edge has been and will not come again: look after the others have had their turn.
                if hasMore {
                    loop.call(after: .zero) { [weak self] in
                        if let self, wire === self.wire { receive(from: wire, isOver: isOver) }
                    }
                }
            } catch {
                lose(wire, error)
            }
        }

        private func deliver(_ reply: Reply) throws(ValkeyError) {
            if onReply(reply) { return }
            if let pending = inFlight.popFirst() { return pending.finish(.success(reply)) }
            // A server that is full or about to stop says so unasked, and closes.
            guard case .error(let text) = reply else {
                throw ValkeyError(.badReply("\(reply.form) that nobody asked for"))
            }
            throw ValkeyError(refusal: text, password: settings.password)
        }

        /// The connection is over, or must be ended: what it says can no longer be matched to what was asked.
        private func lose(_ wire: Wire, _ error: ValkeyError) {
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

        private func endConnection() {
            if let watch { loop.remove(watch) }
            watch = nil
            switch state {
            case .connecting(let attempt): attempt.end()
            case .pausing(let call): call.cancel()
            case .idle, .ready, .closed: break
            }
            state = .idle
        }

        // MARK: Getting a connection

        private func connect() {
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

        private func pause() {
            let call = loop.call(after: backoff.pause()) { [weak self] in
                guard let self, case .pausing = state else { return }
                connect()
            }
            state = .pausing(call)
        }

        // MARK: Deadlines

        /// One timer for all: it goes to the next deadline when it fires, not with every command.
        private func armTimer() {
            guard timer == nil else { return }
            let next = [waiting, inFlight].compactMap { $0.first { !$0.isFinished }?.deadline }.min()
            guard let next, next < .distantFuture else { return }
            timer = loop.call(after: next - .now) { [weak self] in
                guard let self else { return }
                timer = nil
                expire(at: .now)
                armTimer()
            }
        }

        private func expire(at now: MonotonicInstant) {
            while let pending = waiting.first, pending.isFinished || pending.deadline <= now {
                _ = waiting.popFirst()
                pending.finish(.failure(whyWaitingFailed))
            }
            var isSilent = false
            _ = inFlight.first { pending in
                guard pending.deadline <= now else { return true }
                isSilent = isSilent || pending.sentAt > lastReceived
                pending.finish(.failure(ValkeyError(.timedOut, on: settings.address.description)))
                return false
            }
            // Not a word since it was sent: the machine or the way to it is gone, which TCP would take minutes to see.
            if isSilent, case .ready(let wire) = state { lose(wire, ValkeyError(.timedOut)) }
        }

        private var whyWaitingFailed: ValkeyError {
            let object = settings.address.description
            guard let lastFailure else { return ValkeyError(.timedOut, on: object) }
            return ValkeyError(lastFailure.code == .connectionLost ? .timedOut : lastFailure.code, on: object)
        }
    }

    extension ValkeyError {
        /// Whether another attempt may fare better.
        fileprivate var mayPass: Bool {
            switch code {
            case .notAuthenticated, .badReply, .tlsUnavailable, .foreignValue: false
            case .connectionLost, .timedOut, .overloaded, .closed, .refused, .unreachable, .tlsHandshakeFailed: true
            }
        }
    }
#endif
