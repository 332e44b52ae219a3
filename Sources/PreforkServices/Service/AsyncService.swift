// The protocol of services that are started and stopped in tasks.

/// A part of a program that is started and stopped, together with what it needs.
///
/// Only `lifecycle` must be written:
///
///     final class Server: AsyncService {
///         let lifecycle = Lifecycle("server")
///         let database = Database(), cache = Cache(), mail = Mail()
///         var dependencies: [[any AsyncService]] { [[database, cache], [mail]] }
///         func start() async throws { try addTask("tick") { ... } }
///     }
///     try await Server().run()
///
/// Make the class `final`. One that others inherit from declares `start`, `stop`, `dependencies`, `policy` and
/// `gracefulShutdownTimeout` itself: a default is settled with the class that conforms, and what a subclass declares in
/// its place would never be called. The compiler enforces this. To give several services a common policy, write a
/// protocol:
///
///     protocol PatientService: AsyncService {}
///     extension PatientService { var gracefulShutdownTimeout: Duration { .seconds(60) } }
///
/// Needs no process and no event loop: it works in a worker, in a tool and in a test. It does not work in a supervisor,
/// which has no tasks (use `BlockingService` there). After facet's `AsyncioServiceMixin`.
public protocol AsyncService: _AsyncServiceShape, _ServiceMisplacements, Sendable {
    /// `[any AsyncService]`, `[[any AsyncService]]` or `[DependencyGroup]`, or arrays of one type of service.
    associatedtype Dependencies = [Never]
    associatedtype _FinalSelf: AnyObject = Self

    /// The state of this service: one stored property, of this instance alone.
    var lifecycle: Lifecycle { get }

    /// What must be up before this starts and is stopped after it. Empty by default.
    ///
    /// The members of an array start one after another: `[database, cache]`. The members of an inner array start at
    /// once: `[[database, cache], [mail]]`. These are facet's first and second level. `DependencyGroup` mixes both:
    /// `[.parallel([database, cache]), .one(mail)]`. Read once for each start. The stop uses what was read.
    var dependencies: Dependencies { get }

    /// How long things may take, and what failures mean. Read when it is needed.
    var policy: ServicePolicy { get }

    /// The longest its stop may take. By default `policy` decides, with 10 seconds. For the root, it applies to the
    /// whole tree. See `ServicePolicy.gracefulShutdownTimeout`, which this replaces. After facet's
    /// `graceful_shutdown_timeout`.
    var gracefulShutdownTimeout: Duration { get }

    /// Brings the service up. Everything it needs is up. When it throws, `stop` is not called.
    ///
    /// Runs in a separate task, which is cancelled when the start is given up. It may add background tasks.
    func start() async throws

    /// Brings the service down. Called exactly once for each `start` that returned. Everything it needs is still up,
    /// and so are its background tasks, which are cancelled and awaited afterwards.
    ///
    /// Runs in a separate task, which is cancelled when its time is over.
    func stop() async throws

    /// `dependencies` in one form.
    func _dependencyGroups() -> [[any AsyncService]]
}

/// A step of `AsyncService.dependencies`.
///
/// An array literal is `.parallel`: `[[database, cache], .one(mail)]`.
public enum DependencyGroup: Sendable {
    /// A single service. The members of the next step start after it.
    case one(any AsyncService)
    /// Started at once, and stopped at once. May be empty.
    case parallel([any AsyncService])

    var members: [any AsyncService] {
        switch self {
        case .one(let service): [service]
        case .parallel(let services): services
        }
    }
}

extension DependencyGroup: ExpressibleByArrayLiteral {
    public init(arrayLiteral services: any AsyncService...) {
        self = .parallel(services)
    }
}

extension AsyncService where Dependencies == [Never] {
    /// The default for a service that needs no other: empty.
    public var dependencies: [Never] { [] }
}

extension AsyncService where Self == _FinalSelf {
    public var policy: ServicePolicy { ServicePolicy() }
    public var gracefulShutdownTimeout: Duration { policy.gracefulShutdownTimeout }
    public func start() async throws {}
    public func stop() async throws {}
}

extension GraphTracing<any AsyncService>.Reading {
    /// Of a service that runs, what it needs is what it was started with.
    static var async: Self {
        Self(
            identity: { ObjectIdentifier($0) },
            groups: { $0.lifecycle.startedWith ?? $0._dependencyGroups() },
            name: { $0.lifecycle.givenName },
            type: { Swift.type(of: $0) })
    }
}
