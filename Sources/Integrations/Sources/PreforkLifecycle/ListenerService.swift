// The reverse: Prefork's server as a service of a group.

import Prefork
import ServiceLifecycle

/// Serves a listener as one service of a group: when the group ends it, it accepts no more, ends connections that are
/// idle and returns when those at work have finished.
///
/// Its end is the end of the group, and so of the worker's body: the worker ends with exit code 0 and is not restarted.
public struct ListenerService: Service {
    private let listener: Listener
    private let worker: Worker
    private let handler: @Sendable (Connection) async throws -> Void

    /// - Parameters:
    ///   - listener: bound before the fork.
    ///   - worker: the worker whose stop request ends the service.
    ///   - handler: answers one connection, as for `Listener.serve`.
    public init(
        _ listener: Listener, of worker: Worker, handler: @escaping @Sendable (Connection) async throws -> Void
    ) {
        self.listener = listener
        self.worker = worker
        self.handler = handler
    }

    /// Serves until the group shuts down, or until the worker is asked to stop.
    public func run() async throws {
        try await withGracefulShutdownHandler {
            try await listener.serve(handler)
        } onGracefulShutdown: {
            worker.stopRequested.request(.worker)
        }
    }
}
