// The life of a worker of a `ForkedApplication`.

import Hummingbird
import Prefork
import PreforkLifecycle
import ServiceLifecycle

extension ForkedApplication {
    /// Runs the application in a worker until it is asked to stop: its services, what comes before the server, the
    /// server. `runService()` calls it. Call it by yourself in the body of a `ForkRuntime` of your own, with readiness
    /// `.manual`.
    ///
    /// - Parameters:
    ///   - listener: bound before the fork. The address of the configuration has no meaning.
    ///   - worker: the worker that serves.
    /// - Throws: the error of the service that failed. One that returns before the worker was asked to stop has failed,
    ///   too, as with `Application`.
    public func serve(on listener: Listener, in worker: Worker) async throws {
        let server = ServerPart(worker: worker) {
            for process in processesRunBeforeServerStart { try await process() }
            await onServerRunning(ServerChannel(listener.address).channel)
            // Before the first request can be read: one that crashes this worker must not look like a worker that
            // cannot boot.
            worker.ready()
            try await listener.serve(
                responder: responder, in: worker, serverName: configuration.serverName, logger: logger, limit: limit,
                options: options)
        }
        var parts = services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) }
        // The server notices the stop by itself, so it may be done before its turn.
        for end in [server, WorkerStop(worker)] as [any Service] {
            parts.append(.init(service: end, successTerminationBehavior: .gracefullyShutdownGroup))
        }
        try await ServiceGroup(configuration: .init(services: parts, logger: logger)).run()
    }
}

/// The server as the last service of a group. When the group ends for a reason of its own, the worker ends.
private struct ServerPart: Service {
    let worker: Worker
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await body()
        } onGracefulShutdown: {
            worker.stopRequested.request(.worker)
        }
    }
}

/// What a `ForkedApplication` refuses.
public enum ForkedApplicationError: Error, Hashable, CustomStringConvertible {
    /// It was run as a service of a group.
    case isNoService
    /// This process has so many threads, and a fork keeps one of them.
    case hasThreads(Int)
    /// Connections are limited by `limit`, for each worker.
    case hasConnectionsDelegate
    /// An address that is neither a host with a port nor the path of a Unix socket.
    case unknownAddress(String)

    /// What to do instead.
    public var description: String {
        switch self {
        case .isNoService:
            "a ForkedApplication cannot be a service of a group: call its runService(), and give it the other services"
        case .hasThreads(let count):
            """
            a ForkedApplication cannot fork, because this process has \(count) threads: let main, and what it awaits \
            before runService(), be @MainActor, and make file middleware, clients and event loop groups in the workers
            """
        case .hasConnectionsDelegate:
            "a ForkedApplication has no availableConnectionsDelegate: set its limit of connections for each worker"
        case .unknownAddress(let address): "a ForkedApplication cannot listen on \(address)"
        }
    }
}
