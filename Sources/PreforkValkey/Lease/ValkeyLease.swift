// A lease on a server, for work that one of many machines must do.

#if Valkey
    import PreforkEventLoop
    import PreforkStore
    package import PreforkSystem

    /// What allows a run of a once-task on one of many machines: a lease on a Valkey or Redis server.
    ///
    /// ```swift
    /// let lease = ValkeyLease(ValkeySettings(.tcp(host: "10.0.0.5"), prefix: "shop:"))
    /// try runtime.once("report", cron: "0 3 * * *", lease: lease) { run in
    ///     try await report(fencedBy: run.fencingToken ?? 0)
    /// }
    /// ```
    ///
    /// Services with the same server, database and prefix share the tasks that have the same name. It may serve several
    /// tasks, each of which has its own lease. It is made before `run`, and connects in the processes of runs only. The
    /// page about once-tasks says what it guarantees and what it does not.
    public final class ValkeyLease: Sendable {
        /// How long the server keeps the lease of a process that has not renewed it.
        public let duration: Duration
        private let backend: ValkeyBackend
        /// How long a run waits for the server before it is left out.
        private let patience: Duration

        /// Nothing is sent and nothing is checked here: `once` refuses what makes no sense.
        ///
        /// - Parameters:
        ///   - settings: where the server is. A run waits for `commandTimeout` for its lease, and is left out then.
        ///   - duration: how long the lease of a dead machine keeps the others from a run, from 1 s to a day. A run
        ///     renews it three times in that time. A body that blocks its event loop for longer loses it.
        public init(_ settings: ValkeySettings, duration: Duration = .seconds(30)) {
            var own = settings
            // So that a third of its life is left when a renewal is known to have failed.
            own.commandTimeout = min(settings.commandTimeout, duration / 6)
            patience = settings.commandTimeout
            self.duration = duration
            backend = ValkeyBackend(own)
        }

        /// - Throws: `.badSettings`.
        package func check() throws(ValkeyError) {
            guard duration >= .seconds(1), duration <= .seconds(86_400) else {
                throw ValkeyError(.badSettings("duration=\(duration): must be from 1 s to a day"))
            }
            try backend.settings.check()
            if patience <= .zero { throw ValkeyError(.badSettings("commandTimeout=\(patience): must be above zero")) }
        }

        /// A lease that this process has.
        package struct Held: Sendable {
            /// Another lease of the task that is given later has a larger one.
            package let token: Int64
            fileprivate let task: String
            fileprivate let owner: String
            /// The server keeps the lease for at least so long. By this machine's clock.
            package var validUntil: MonotonicInstant

            fileprivate var value: [UInt8] { Array("\(token) \(owner)".utf8) }
        }

        private enum Answer {
            case taken(token: Int64)
            /// The due time, or the run that an operator asks for, is another service's.
            case refused
            /// The due time is this service's, and another one has the lease.
            case mustWait
        }

        /// Asks for the lease, again and again where no answer comes, or where this service's due time must wait for
        /// the end of a run elsewhere.
        ///
        /// - Parameters:
        ///   - due: milliseconds since 1970. If nil, an operator asks for the run.
        ///   - owner: the service on this machine. It gets its own lease again.
        /// - Returns: nil if another service has the lease, or has begun this due time.
        /// - Throws: `ValkeyError`, `StoreError`, `CancellationError`.
        package func take(_ task: String, due: Int64?, owner: String) async throws -> Held? {
            var deadline = MonotonicInstant.now + patience
            while true {
                let asked = MonotonicInstant.now
                do {
                    switch try await ask(task, due, owner) {
                    case .refused: return nil
                    case .taken(let token):
                        return Held(token: token, task: task, owner: owner, validUntil: asked + duration)
                    case .mustWait:
                        try await EventLoop.sleep(for: Self.pause)
                        deadline = .now + patience
                    }
                } catch let error as ValkeyError where error.mayHaveHappened && MonotonicInstant.now < deadline {
                    // The server gives this service the same lease again. The link waits before it connects again, and
                    // each attempt for its answer.
                    try Task.checkCancellation()
                }
            }
        }

        /// Between two looks whether a run elsewhere has ended.
        private static let pause = Duration.milliseconds(100)

        private func ask(_ task: String, _ due: Int64?, _ owner: String) async throws -> Answer {
            let keys = try ["lease", "token", "due", "owners"].map { try key(task, $0) }
            let words = [due.map { String($0) } ?? "", owner, String(milliseconds)].map { Array($0.utf8) }
            let reply = try await backend.run(.takeLease, keys: keys, arguments: words, about: task)
            switch reply {
            case .array(let elements) where elements == [.integer(0)]: return .refused
            case .array(let elements) where elements == [.integer(2)]: return .mustWait
            case .array(let elements):
                guard elements.count == 2, elements[0] == .integer(1), case .bytes(let text) = elements[1],
                    let token = Int64(String(decoding: text, as: UTF8.self)), token > 0
                else { throw ValkeyBackend.unexpected(reply, to: "EVALSHA") }
                return .taken(token: token)
            default: throw ValkeyBackend.unexpected(reply, to: "EVALSHA")
            }
        }

        /// Extends the lease's life.
        ///
        /// - Returns: nil if the server gave it to another, or has forgotten it.
        package func renew(_ held: Held) async throws -> Held? {
            let asked = MonotonicInstant.now
            let words = [held.value, Array(String(milliseconds).utf8)]
            let reply = try await backend.run(
                .renewLease, keys: [try key(held.task, "lease")], arguments: words, about: held.task)
            guard try backend.number(in: reply, of: "EVALSHA") == 1 else { return nil }
            var renewed = held
            renewed.validUntil = asked + duration
            return renewed
        }

        /// Gives the lease back. One that was lost stays with the other.
        package func release(_ held: Held) async throws {
            _ = try await backend.run(
                .releaseLease, keys: [try key(held.task, "lease")], arguments: [held.value], about: held.task)
        }

        private func key(_ task: String, _ what: String) throws(StoreError) -> [UInt8] {
            try backend.name(of: "once:\(task):\(what)")
        }

        private var milliseconds: Int64 { duration.saturatedNanoseconds / 1_000_000 }
    }

    extension ValkeyError {
        /// No answer came.
        fileprivate var mayHaveHappened: Bool {
            switch code {
            case .connectionLost, .timedOut, .unreachable: true
            default: false
            }
        }
    }
#endif
