// The clock, executor and stop source that a process provides for its trees of services.

import Synchronization

/// Where stop requests come from: signals, a supervisor, a console.
public protocol StopSource: Sendable {
    /// `Duration?` or `Duration`.
    associatedtype _Deadline = Duration?

    /// Calls `stop` at each stop request, on any thread, and at once if there was one already.
    ///
    /// - Returns: ends the observation. It is called once, when the tree is down.
    func observe(_ stop: @escaping @Sendable (StopReason) -> Void) -> @Sendable () -> Void

    /// When, by the host's clock, a tree must be down whatever its budget says: the process is killed then. If nil, the
    /// default, only the tree's budget counts. Read when a stop begins, and at each stop request: a deadline that has
    /// come nearer shortens a stop that is in progress. A deadline in the past cancels each stop at once.
    var deadline: _Deadline { get }

    var _latestDeadline: Duration? { get }
}

extension StopSource where _Deadline == Duration? {
    /// The default: no deadline.
    public var deadline: Duration? { nil }
    public var _latestDeadline: Duration? { deadline }
}

extension StopSource where _Deadline == Duration {
    public var _latestDeadline: Duration? { deadline }
}

extension StopSource {
    @available(*, unavailable, message: "deadline is a Duration or a Duration?")
    public var _latestDeadline: Duration? { nil }
}

/// The clock, the executor and the source of stop requests of the trees that a process runs.
///
/// A runtime installs its host once per process, after the fork. A test gives one to some code by `with`. Without an
/// installed host, a program that imports Prefork ends its trees at SIGTERM and SIGINT.
public struct ServiceHost: Sendable {
    /// The clock of every timeout, budget and backoff.
    public var clock: any ServiceClock
    /// Where starts, stops and background tasks run. If nil, the standard library decides.
    public var executor: (any TaskExecutor)?
    /// What ends `run()` and `wait()`, besides `requestStop`.
    public var stopSource: (any StopSource)?
    /// Called for each tree that was not started by a service. It runs in one of the tree's steps, on any thread.
    package var watcher: (@Sendable (TreeMoment) -> Void)?
    /// Called for each body of a `withRunning` before it runs. The returned closure is called when the body has ended,
    /// with whether it has thrown.
    package var scopeWatcher: (@Sendable (any RunningScope) -> @Sendable (Bool) -> Void)?

    /// A host, for `install` or `with`.
    ///
    /// - Parameters:
    ///   - clock: by default the standard library's, whose sleep starts threads.
    ///   - executor: where starts, stops and background tasks run. If nil, the standard library decides.
    ///   - stopSource: what ends trees, besides `requestStop`. If nil, nothing else does.
    public init(
        clock: any ServiceClock = SystemServiceClock(), executor: (any TaskExecutor)? = nil,
        stopSource: (any StopSource)? = nil
    ) {
        self.clock = clock
        self.executor = executor
        self.stopSource = stopSource
    }

    private struct Hosts {
        var installed: ServiceHost?
        var provider: (@Sendable () -> ServiceHost)?
        var blockingStops: (any BlockingStops)?
    }

    private static let hosts = Mutex(Hosts())

    /// Makes it the host of every tree that is started from now on, except under `with`.
    public static func install(_ host: ServiceHost) {
        hosts.withLock { $0.installed = host }
    }

    /// Creates the metadata that `install` needs, in a process whose children will install a host.
    package static func prepareInstall() {
        hosts.withLock { hosts in
            let before = hosts.installed
            hosts.installed = ServiceHost()
            hosts.installed = before
        }
    }

    /// Calls `make` for the host of each tree that is started without an installed host.
    package static func provide(_ make: @escaping @Sendable () -> ServiceHost) {
        hosts.withLock { $0.provider = make }
    }

    /// What informs trees of blocking services of a stop, or nil if nothing does.
    package static var blockingStops: (any BlockingStops)? {
        get { hosts.withLock { $0.blockingStops } }
        set { hosts.withLock { $0.blockingStops = newValue } }
    }

    /// Whether a runtime has made itself this process's host.
    package static var isInstalled: Bool { hosts.withLock { $0.installed != nil } }

    /// The host of a tree that the caller would start now.
    public static var current: ServiceHost {
        if let host = ServiceContext.current.host { return host }
        let (installed, provider) = hosts.withLock { ($0.installed, $0.provider) }
        return installed ?? provider?() ?? ServiceHost()
    }

    /// Calls `body`. Trees that are started in it, and in tasks it makes, have this host.
    public func with<Result>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Result
    ) async rethrows -> Result {
        var context = ServiceContext.current
        context.host = self
        return try await ServiceContext.$current.withValue(context, operation: body)
    }
}

/// What a runtime must know of a tree. Each begins, and then either comes up or gives up.
package enum TreeMoment: Sendable {
    case begins, up, givesUp
}

/// The body of a `withRunning`.
package protocol RunningScope: Sendable {
    /// Whether a task waits for the tree's end, in the body or elsewhere, so that the body learns of a stop.
    var isWaitedFor: Bool { get }

    /// Cancels the body's task. Has no effect if the body has ended.
    func cancel()
}

/// Informs trees of blocking services, without tasks or threads, that their process must stop.
package protocol BlockingStops: Sendable {
    /// A tree is about to start.
    func begin()

    /// It is down.
    func end()

    /// Blocks the calling thread until a stop is requested.
    func wait() -> StopReason
}

/// What code that runs inside a service inherits.
struct ServiceContext: Sendable {
    @TaskLocal static var current = ServiceContext()

    var host: ServiceHost?
    /// The services that run this code, the outermost first: a tree that is started here must not need one of them.
    var owners: [Lifecycle] = []
}
