// Events in the life of services, as values.

/// A step in the life of a service. `Lifecycle.events()` gives them.
public struct ServiceEvent: Sendable {
    /// What happened to the service.
    public enum Kind: Sendable, Equatable {
        /// Its `start` is about to be called.
        case starting
        /// Up. `duration` is how long its start took.
        case started
        /// Its `stop` is about to be called.
        case stopping
        /// Down. `duration` is how long its stop took.
        case stopped
        /// Its start, its stop or a task failed: see `error`.
        case failed
        /// It failed and will be started again after `duration`.
        case restarting
    }

    /// What happened to the service.
    public let kind: Kind
    /// The service's name.
    public let name: String
    /// The service's path from the root of the tree that did this.
    public let service: String
    /// When, by the tree's clock.
    public let instant: Duration
    /// How long a start or stop took, for `.started` and `.stopped`. The wait before the next start, for `.restarting`.
    /// Otherwise nil.
    public let duration: Duration?
    /// What failed, for `.failed` and `.restarting`. Otherwise nil.
    public let error: ServiceError?

    init(
        _ kind: Kind, name: String, service: String, at instant: Duration, duration: Duration? = nil,
        error: ServiceError? = nil
    ) {
        self.kind = kind
        self.name = name
        self.service = service
        self.instant = instant
        self.duration = duration
        self.error = error
    }
}

/// How often things happened to a service, since its `Lifecycle` was made.
public struct ServiceCounters: Sendable, Equatable {
    /// Completed starts, restarts included.
    public package(set) var starts = 0
    /// Stops that have ended, including stops that threw and stops before a restart.
    public package(set) var stops = 0
    /// Failed starts, stops and tasks.
    public package(set) var failures = 0
    /// Starts that were begun again after a failure.
    public package(set) var restarts = 0

    package init() {}
}
