// The control socket: JSON lines from operators of the same user.

package import PreforkSystem

/// Serves the control socket within the supervisor's loop.
///
/// The supervisor watches `descriptor` for reading and calls `turn` when it is readable or `nextDeadline` has come. A
/// turn does a bounded piece of work and waits for nothing, so that no client can hold supervision up: slow ones are
/// not read from until they took their answer, silent ones are closed after a minute, and there are at most 64.
///
/// Each request is an object on a line, `{"command":"reload","wait":true}`, of 64 KiB at most. Each answer is one, too:
/// `{"ok":true,...}` or `{"ok":false,"error":"..."}`. The server runs in the supervisor only. Workers close
/// `descriptors`.
package final class ControlServer {
    /// The longest request, without its line feed.
    static let lineLimit = 64 << 10

    private let sockets: NonblockingServer
    private let audience: ControlAudience
    private let usage: WorkerUsageCache
    private weak let delegate: (any ControlDelegate)?

    /// - Parameters:
    ///   - listener: a Unix socket (see `bind(_:)`) or inherited by an upgrade.
    ///   - audience: the users that are let in.
    ///   - delegate: the supervisor, which is not kept alive.
    ///   - usage: shared with the metrics, so that the workers are sampled once for both.
    package init(
        _ listener: Listener, audience: ControlAudience = ControlAudience(), delegate: any ControlDelegate,
        usage: WorkerUsageCache = WorkerUsageCache(), limits: ControlLimits = ControlLimits()
    ) throws(SystemError) {
        sockets = try NonblockingServer(listener, limits)
        self.audience = audience
        self.delegate = delegate
        self.usage = usage
    }

    /// Binds the control socket: mode 0600, and 0660 where its owner names a group; a path that a killed supervisor left
    /// is taken over, and one that a process answers on is EADDRINUSE.
    package static func bind(_ path: String, owner: SocketOwner = .unchanged) throws(SystemError) -> Listener {
        try Listener(Endpoint.unix(path, mode: 0o600).owned(by: owner), backlog: 128)
    }

    /// The epoll to watch for reading.
    package var descriptor: Int32 { sockets.descriptor }
    /// When `turn` is due even if nothing is readable.
    package var nextDeadline: MonotonicInstant? { sockets.nextDeadline }
    /// What a forked worker closes. Asked for right before the fork: clients come and go.
    package var descriptors: [Int32] { sockets.descriptors }
    package var clients: Int { sockets.clients }

    /// Serves every client that can be served now.
    package func turn() {
        sockets.turn(self)
    }
}

extension ControlServer: ControlConversation {
    var crowded: [UInt8] { JSONWriter.failure("too many clients of the control socket") }

    func refusal(of socket: Int32) -> [UInt8]? {
        // The socket's mode keeps others out already, but not a process that was handed a descriptor.
        audience.includes(socket) ? nil : JSONWriter.failure("the control socket is for \(audience)")
    }

    func next(in input: inout [UInt8], from client: UInt64) -> ControlStep {
        guard let end = input.firstIndex(of: UInt8(ascii: "\n")) else {
            guard input.count > Self.lineLimit else { return .needsMore }
            return .answer(JSONWriter.failure("a request is longer than \(Self.lineLimit) bytes"), closes: true)
        }
        let line = Array(input[..<end])
        input.removeSubrange(...end)
        do throws(ControlRequestError) {
            return answer(try ControlRequest(line: line), to: client)
        } catch {
            return .answer(JSONWriter.failure(error.text), closes: false)
        }
    }

    private func answer(_ request: ControlRequest, to client: UInt64) -> ControlStep {
        guard let delegate else { return .answer(JSONWriter.failure("the supervisor is ending"), closes: true) }
        let line =
            switch request {
            case .status: status(delegate.status(), delegate)
            case .workers: workers(delegate.status())
            case .listeners: JSONWriter.line { [listeners = delegate.listeners()] writer in
                writer.name("listeners")
                writer.listeners(listeners)
            }
            case .stores: JSONWriter.line { [shared = delegate.sharedObjects()] writer in
                writer.name("stores")
                writer.stores(shared.stores)
            }
            case .queues: JSONWriter.line { [shared = delegate.sharedObjects()] writer in
                writer.name("queues")
                writer.queues(shared.queues)
            }
            case .channels: JSONWriter.line { [shared = delegate.sharedObjects()] writer in
                writer.name("channels")
                writer.channels(shared.channels)
            }
            case .crashes: JSONWriter.line { [crashes = delegate.crashes()] writer in
                writer.name("crashes")
                writer.reports(crashes)
            }
            case .tasks: JSONWriter.line { [tasks = delegate.onceTasks()] writer in
                writer.name("tasks")
                writer.array(tasks) { $0.onceTask($1) }
            }
            case .requests: JSONWriter.line { [list = delegate.requests()] writer in writer.requests(list) }
            case .quarantine: JSONWriter.line { [list = delegate.quarantined()] in $0.quarantine(list) }
            case .profile(let step): JSONWriter.profile(delegate.profile(step))
            case .config: config(delegate.settings())
            case .metrics: metrics(delegate)
            case .perform(let command, let wait):
                perform(command, wait: wait, delegate, for: client)
            }
        return line.map { .answer(AnswerParts.split($0), closes: false) } ?? .later
    }

    private func status(_ status: PoolStatus, _ delegate: any ControlDelegate) -> [UInt8] {
        let usage = usage.current(status.workers)
        return JSONWriter.line { writer in
            writer.name("status")
            writer.status(status, usage, of: delegate)
        }
    }

    private func workers(_ status: PoolStatus) -> [UInt8] {
        let usage = usage.current(status.workers)
        return JSONWriter.line { writer in
            writer.name("workers")
            writer.workers(status.workers, usage)
        }
    }

    private func config(_ settings: [(name: String, value: String)]) -> [UInt8] {
        JSONWriter.line { writer in
            writer.name("settings")
            writer.array(settings) { writer, setting in
                writer.object { object in
                    object.member("name", setting.name)
                    object.member("value", setting.value)
                }
            }
        }
    }

    private func metrics(_ delegate: any ControlDelegate) -> [UInt8] {
        let text = PrometheusText.metrics(of: delegate, usage)
        return JSONWriter.line { $0.member("metrics", String(decoding: text, as: UTF8.self)) }
    }

    /// - Returns: nil when the answer comes later.
    private func perform(
        _ command: ControlCommand, wait: Bool, _ delegate: any ControlDelegate, for client: UInt64
    ) -> [UInt8]? {
        // A number and a weak reference: client and server may be gone when the reload is over.
        let completion: ((ControlOutcome) -> Void)? =
            wait ? { [weak sockets] in sockets?.answer(client, JSONWriter.outcome($0)) } : nil
        let outcome = delegate.perform(command, completion: completion)
        if wait, case .done = outcome { return nil }
        return JSONWriter.outcome(outcome)
    }
}
