// A FlyingFox server for the life of a worker.

import FlyingFox
import FlyingSocks
import Prefork
import Synchronization

/// Serves `handler` on an inherited listener until the worker is asked to stop, and returns when its connections have
/// had their time.
///
/// Call it once, in the body of a worker of a runtime with readiness `.manual`: it says that the worker is ready. Each
/// request is marked with its method and path. A request in quarantine is answered with 503.
///
/// FlyingFox's own stop ends connections that are idle, also those whose request is on its way. So on a stop this
/// accepts no more and says `Connection: close` with each answer, which clients heed. When no request has come for
/// `linger`, or for a tenth of a second while the whole service stops, it closes what is left.
///
/// - Parameters:
///   - handler: answers the requests, on the worker's executor.
///   - listener: bound before the fork. It stays open.
///   - worker: the worker that serves.
///   - linger: how long no request must have come before connections are closed at a stop.
///   - timeout: FlyingFox's limit for one request, in whole seconds.
/// - Throws: what FlyingFox throws when its server cannot start or ends by itself.
public func serve(
    _ handler: some HTTPHandler, on listener: Listener, as worker: Worker, linger: Duration = .seconds(1),
    timeout: Duration = .seconds(15)
) async throws {
    let pool = InheritedPool(listener)
    let announcing = AnnouncingHandler(handler: handler, worker: worker)
    let server = HTTPServer(
        address: try .inet(ip4: "127.0.0.1", port: 0), timeout: Double(timeout.components.seconds), pool: pool,
        logger: .disabled, handler: announcing)
    try await withThrowingTaskGroup(of: Void.self) { group in
        // Before the first request can be read: one that crashes this worker must not look like a worker that cannot
        // boot.
        worker.ready()
        group.addTask { try await server.run() }
        try await server.waitUntilListening()
        try await worker.stopRequested.wait()
        pool.stopAccepting()
        try await announcing.waitForQuiet(worker.stopRequested.reach == .worker ? linger : .milliseconds(100))
        await server.stop(timeout: 0.1)
        group.cancelAll()
        // FlyingFox's server ends with an error when it is stopped.
        while let end = await group.nextResult() { _ = end }
    }
}

/// Announces the end of connections while the worker stops, and knows what is in hand.
final class AnnouncingHandler<Handler: HTTPHandler>: HTTPHandler {
    private struct State {
        var inHand = 0
        var lastChange = ContinuousClock.now
    }

    private let handler: Handler
    private let worker: Worker
    private var stop: StopRequest { worker.stopRequested }
    private let state = Mutex(State())

    init(handler: Handler, worker: Worker) {
        self.handler = handler
        self.worker = worker
    }

    func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
        change(by: 1)
        defer { change(by: -1) }
        let mark: RequestMark
        do throws(RequestError) {
            mark = try worker.beginRequest("\(request.method.rawValue) \(request.path)")
        } catch {
            let seconds = error.retryAfter.map { max(1, $0.components.seconds) }
            return HTTPResponse(
                statusCode: .serviceUnavailable,
                headers: seconds.map { [HTTPHeader("Retry-After"): "\($0)"] } ?? [:])
        }
        defer { mark.end() }
        var response = try await handler.handleRequest(request)
        if stop.isRequested { response.headers[.connection] = "close" }
        return response
    }

    private func change(by count: Int) {
        state.withLock {
            $0.inHand += count
            $0.lastChange = .now
        }
    }

    func waitForQuiet(_ duration: Duration) async throws {
        while true {
            let isQuiet = state.withLock { $0.inHand == 0 && $0.lastChange.duration(to: .now) >= duration }
            if isQuiet { return }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
