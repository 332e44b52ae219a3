// A connection that is made again when it is lost, and the commands that go over it.

#if Valkey
    import PreforkEventLoop
    import PreforkSystem

    /// Where a link is between two connections.
    enum LinkState {
        /// No command has been issued yet.
        case idle
        /// An attempt is under way (`LinkAttempt`).
        case connecting(LinkAttempt)
        case ready(Wire)
        /// Until the next attempt.
        case pausing(ScheduledCall)
        case closed
    }

    /// One way to the server. Commands of all tasks share it. Each is sent without waiting for the answers of others
    /// (pipelining), and what was appended during one turn of the loop goes out by one write.
    final class Link: @unchecked Sendable {
        // Sendable: touched on the loop's thread only, and `ask` goes there first.
        let loop: EventLoop
        let settings: ValkeySettings
        var state = LinkState.idle
        /// Issued while there is no connection.
        var waiting = Fifo<PendingCommand>()
        /// Sent commands. Answers come in the same order.
        var inFlight = Fifo<PendingCommand>()
        var backoff: Backoff
        /// Why there is no connection.
        var lastFailure: ValkeyError?
        var lastReceived = MonotonicInstant(nanoseconds: 0)
        var readySince = MonotonicInstant(nanoseconds: 0)
        var watch: Watch?
        var timer: ScheduledCall?
        var isFlushScheduled = false
        /// Called when there is a new connection, before any command goes over it.
        var onReady: () -> Void = {}
        /// Shown every reply first: true takes it out of the order of answers.
        var onReply: (Reply) -> Bool = { _ in false }

        init(loop: EventLoop, settings: ValkeySettings) {
            self.loop = loop
            self.settings = settings
            backoff = Backoff(settings.reconnectDelay)
        }

        /// Sends a command and waits for its answer. Callable from any thread.
        ///
        /// - Parameter onReply: gets the answer first, on the loop's thread: the task that waits for it runs later.
        /// - Throws: `ValkeyError`, or `CancellationError`: the command may have happened then.
        func ask(
            _ command: Command, onReply: @escaping @Sendable (Reply) -> Void = { _ in }
        ) async throws -> Reply {
            let pending = PendingCommand(command)
            return try await withTaskCancellationHandler {
                try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Reply, any Error>) in
                    loop.execute {
                        let isBegun = pending.begin { outcome in
                            if case .success(let reply) = outcome { onReply(reply) }
                            continuation.resume(with: outcome)
                        }
                        guard isBegun else { return }
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

        /// Ends everything: waiting callers get `.closed`. On the loop's thread.
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
    }
#endif
