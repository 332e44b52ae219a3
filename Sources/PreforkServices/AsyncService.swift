// What a service is.

/// A part of a program that is started and stopped, together with what it needs.
///
/// Only `lifecycle` must be written:
///
///     final class Server: AsyncService {
///         let lifecycle = Lifecycle("server")
///         let database = Database(), cache = Cache(), mail = Mail()
///         var dependencies: [DependencyGroup] { [.parallel([database, cache]), .one(mail)] }
///         func start() async throws { try addTask("tick") { ... } }
///     }
///     try await Server().run()
///
/// Needs no process and no event loop: it works in a worker, in a tool and in a test; not in a supervisor, which has no
/// tasks (`BlockingService` is for that). After facet's `AsyncioServiceMixin`.
public protocol AsyncService: AnyObject, Sendable {
    /// The state of this service: one stored property, of this instance alone.
    var lifecycle: Lifecycle { get }

    /// What must be up before this starts and is stopped after it: groups one after another, the members of a group at
    /// once. Read once for each start; the stop goes by what was read. None by default.
    var dependencies: [DependencyGroup] { get }

    /// How long things may take, and what failures mean. Read when it is needed.
    var policy: ServicePolicy { get }

    /// Brings the service up. Everything it needs is up. When it throws, `stop` is not called.
    ///
    /// Runs in a task of its own, which is cancelled when the start is given up. It may add background tasks.
    func start() async throws

    /// Brings the service down; called exactly once for each `start` that returned. Everything it needs is still up,
    /// and so are its background tasks, which are cancelled and awaited afterwards.
    ///
    /// Runs in a task of its own, which is cancelled when its time is over.
    func stop() async throws
}

/// A step of `AsyncService.dependencies`.
public enum DependencyGroup: Sendable {
    case one(any AsyncService)
    /// Started at once, and stopped at once; may be empty.
    case parallel([any AsyncService])

    var members: [any AsyncService] {
        switch self {
        case .one(let service): [service]
        case .parallel(let services): services
        }
    }
}

extension AsyncService {
    public var dependencies: [DependencyGroup] { [] }
    public var policy: ServicePolicy { ServicePolicy() }
    public func start() async throws {}
    public func stop() async throws {}
}

extension GraphTracing<any AsyncService>.Reading {
    /// Of a service that runs, what it needs is what it was started with.
    static var async: Self {
        Self(
            identity: { ObjectIdentifier($0) },
            groups: { $0.lifecycle.startedWith ?? $0.dependencies.map(\.members) },
            name: { $0.lifecycle.givenName },
            type: { Swift.type(of: $0) })
    }
}
