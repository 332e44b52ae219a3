// A worker's stop as the stop of a service group.

import Logging
import Prefork
import ServiceLifecycle

/// A service that ends when the supervisor asks the worker to stop, and with it, in order, the whole group.
///
/// ```swift
/// let group = ServiceGroup(services: [database, server], endingWith: worker, logger: logger)
/// try await group.run()
/// ```
public struct WorkerStop: Service {
    private let worker: Worker
    private let first: @Sendable () async throws -> Void

    /// - Parameters:
    ///   - worker: the worker whose stop request ends the service.
    ///   - first: called before any other service is told, for example to accept no more connections.
    public init(_ worker: Worker, first: @escaping @Sendable () async throws -> Void = {}) {
        self.worker = worker
        self.first = first
    }

    /// Waits for the worker's stop request, or for the group's own shutdown, and then calls `first`.
    public func run() async throws {
        // The group may end for reasons of its own, too.
        try? await cancelWhenGracefulShutdown { try await worker.stopRequested.wait() }
        try Task.checkCancellation()
        try await first()
    }
}

extension ServiceGroup {
    /// A group that ends when the worker is asked to, or when one of its services ends: in reverse order, as for a
    /// signal. Signals stay the supervisor's: name none in the group's configuration.
    ///
    /// Make it in the body of a worker. `run()` of the group is then the worker's life.
    ///
    /// - Parameters:
    ///   - services: in the order of their start.
    ///   - worker: the worker whose stop request ends the group.
    ///   - logger: for the group's own lines.
    ///   - first: called when the worker is asked to stop, before any service is told.
    public init(
        services: [any Service], endingWith worker: Worker, logger: Logger,
        first: @escaping @Sendable () async throws -> Void = {}
    ) {
        let all = services + [WorkerStop(worker, first: first)]
        // A server may notice the stop, and be done, before its turn: by default that would cancel the others.
        let configurations = all.map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
        }
        self.init(configuration: .init(services: configurations, logger: logger))
    }
}
