// What happens to services, as values.

/// A step in the life of a service. `Lifecycle.events()` gives them.
public struct ServiceEvent: Sendable {
    public enum Kind: Sendable, Equatable {
        case starting
        /// Up. `duration` is how long its start took.
        case started
        case stopping
        /// Down. `duration` is how long its stop took.
        case stopped
        /// Its start, its stop or a task failed: see `error`.
        case failed
        /// It failed and will be started again after `duration`.
        case restarting
    }

    public let kind: Kind
    /// The service's name.
    public let name: String
    /// The service's path from the root of the tree that did this.
    public let service: String
    /// When, by the tree's clock.
    public let instant: Duration
    public let duration: Duration?
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
    public package(set) var starts = 0
    public package(set) var stops = 0
    /// Failed starts, stops and tasks.
    public package(set) var failures = 0
    public package(set) var restarts = 0

    package init() {}
}
