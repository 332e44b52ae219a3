// The port for monitors and browsers: metrics, health, readiness and the status page.

package import PreforkSystem

/// Serves HTTP within the supervisor's loop, read-only.
///
/// `GET /metrics` is Prometheus text, or OpenMetrics where the client asks for it. `/healthz` is 200 while the supervisor's loop turns. `/readyz` is 200 while
/// enough workers are ready, else 503. `/` is a status page that asks for `/status.json` every second. HEAD works for
/// all of them. The bounds and the duties of the caller are those of `ControlServer`. It has no access control: bind it
/// to an address that only monitors reach. A port below 1024 must be bound before privileges are dropped.
package final class MetricsServer {
    private let sockets: NonblockingServer
    private let usage: WorkerUsageCache
    private weak let delegate: (any ControlDelegate)?

    /// - Parameters:
    ///   - listener: TCP or Unix.
    ///   - delegate: the supervisor, which is not kept alive.
    ///   - usage: shared with the control socket.
    package init(
        _ listener: Listener, delegate: any ControlDelegate, usage: WorkerUsageCache = WorkerUsageCache(),
        limits: ControlLimits = MetricsServer.limits
    ) throws(SystemError) {
        sockets = try NonblockingServer(listener, limits)
        self.delegate = delegate
        self.usage = usage
    }

    /// A head has five seconds, because the port does not choose its clients.
    package static var limits: ControlLimits {
        var limits = ControlLimits()
        limits.requestTime = .seconds(5)
        return limits
    }

    /// The length of the accept queue. A full one makes a monitor's connection wait a second for the next SYN (tcp(7)).
    /// The kernel cuts it to net.core.somaxconn.
    package static let backlog: Int32 = 4096

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

extension PoolStatus {
    /// Whether the pool should get traffic: it is not stopping, and at least half of its workers are ready.
    var isReady: Bool {
        guard phase == .running || phase == .reloading else { return false }
        return readyWorkers >= max(1, (target + 1) / 2)
    }
}

extension MetricsServer: ControlConversation {
    var crowded: [UInt8] { HTTPResponse(status: 503).bytes(keepsAlive: false) }

    func refusal(of socket: Int32) -> [UInt8]? { nil }

    func next(in input: inout [UInt8], from client: UInt64) -> ControlStep {
        switch HTTPRequestHead.read(input) {
        case .incomplete:
            return .needsMore
        case .refused(let status):
            let hasBody = !input.starts(with: "HEAD ".utf8)
            return .answer(HTTPResponse(status: status).bytes(keepsAlive: false, hasBody: hasBody), closes: true)
        case .request(let request, let length):
            input.removeFirst(length)
            // What followed the head would be taken for the beginning of the next answer.
            let bytes = respond(to: request).bytes(keepsAlive: request.keepsAlive, hasBody: request.method != "HEAD")
            return .answer(bytes, closes: !request.keepsAlive)
        }
    }

    private func respond(to request: HTTPRequestHead) -> HTTPResponse {
        guard let page = page(request) else { return HTTPResponse(status: 404) }
        guard request.method == "GET" || request.method == "HEAD" else {
            var response = HTTPResponse(status: 405)
            response.fields = [("Allow", "GET, HEAD")]
            return response
        }
        return page()
    }

    private func page(_ request: HTTPRequestHead) -> (() -> HTTPResponse)? {
        switch request.path {
        case "/": { StatusPage.response }
        case "/healthz": { HTTPResponse(status: 200) }
        case "/metrics": { self.metrics(request.wantsOpenMetrics ? .openMetrics : .prometheus) }
        case "/readyz": readiness
        case "/status.json": status
        default: nil
        }
    }

    private func metrics(_ format: MetricFormat) -> HTTPResponse {
        guard let delegate else { return HTTPResponse(status: 503) }
        var response = HTTPResponse(
            status: 200, type: format.contentType, body: PrometheusText.metrics(of: delegate, usage, format))
        response.fields = [("Vary", "Accept")]
        return response
    }

    private func readiness() -> HTTPResponse {
        guard let status = delegate?.status() else { return HTTPResponse(status: 503) }
        let ready = "\(status.readyWorkers) of \(status.target) workers are ready"
        let text = "\(ready), the pool is \(status.phase.rawValue)\n"
        return HTTPResponse(status: status.isReady ? 200 : 503, body: Array(text.utf8))
    }

    private func status() -> HTTPResponse {
        guard let delegate else { return HTTPResponse(status: 503) }
        let status = delegate.status()
        var writer = JSONWriter(reserving: 512 + status.workers.count * 400)
        writer.object { object in
            object.name("status")
            object.status(status, usage.current(status.workers), of: delegate)
            object.name("listeners")
            object.listeners(delegate.listeners())
        }
        return HTTPResponse(status: 200, type: "application/json", body: writer.bytes)
    }
}
