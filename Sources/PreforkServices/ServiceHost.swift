// What a process gives to the trees of services it runs.

import Synchronization

/// Where wishes to stop come from: signals, a supervisor, a console.
public protocol StopSource: Sendable {
    /// Calls `stop` whenever a stop is wished for, on any thread; at once if it was already.
    ///
    /// - Returns: ends the observation. It is called once, when the tree is down.
    func observe(_ stop: @escaping @Sendable (StopReason) -> Void) -> @Sendable () -> Void
}

/// The clock, the executor and the stop wishes of the trees that a process runs.
///
/// A runtime installs its own once per process, after the fork; a test gives one to some code by `with`.
public struct ServiceHost: Sendable {
    public var clock: any ServiceClock
    /// Where starts, stops and background tasks run; nil: as the standard library decides.
    public var executor: (any TaskExecutor)?
    /// What ends `run()`, beside `requestStop`.
    public var stopSource: (any StopSource)?

    public init(
        clock: any ServiceClock = SystemServiceClock(), executor: (any TaskExecutor)? = nil,
        stopSource: (any StopSource)? = nil
    ) {
        self.clock = clock
        self.executor = executor
        self.stopSource = stopSource
    }

    private static let installed = Mutex(ServiceHost())

    /// Makes it the host of every tree that is started from now on, except under `with`.
    public static func install(_ host: ServiceHost) {
        installed.withLock { $0 = host }
    }

    /// The host of a tree that the caller would start now.
    public static var current: ServiceHost {
        ServiceContext.current.host ?? installed.withLock { $0 }
    }

    /// Calls `body`; trees that are started in it, and in tasks it makes, have this host.
    public func with<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        var context = ServiceContext.current
        context.host = self
        return try await ServiceContext.$current.withValue(context, operation: body)
    }
}

/// What code that runs inside a service inherits.
struct ServiceContext: Sendable {
    @TaskLocal static var current = ServiceContext()

    var host: ServiceHost?
    /// The services whose code this is, the outermost first: a tree that is started here must not need one of them.
    var owners: [Lifecycle] = []
}
