// Timeouts and failure handling of a service.

/// How long a service may take, and what its failing means.
///
/// Times below zero count as zero, and no time is longer than 90 years, so no value of a policy is refused.
public struct ServicePolicy: Sendable {
    /// The longest its `start` may take, and with `Readiness.announced` the time until `ready()`. If nil, it may take
    /// as long as it likes. Zero cancels the start at once. What was started is then stopped with a separate budget,
    /// the root's `gracefulShutdownTimeout`: a late start takes nothing from it.
    public var startTimeout: Duration?

    /// The longest its stop may take. 10 seconds by default (facet: `graceful_shutdown_timeout`).
    ///
    /// The root's is the budget of the whole tree and is split so that every level gets a turn: the stop of a service
    /// that takes too long is cancelled, then left behind, and those below it are still stopped in time. A whole stop
    /// takes at most this and a tenth more, and less where its host's `StopSource` has a deadline: in a worker it is
    /// down before the supervisor's SIGKILL. Zero cancels each stop at once, but each is still called.
    public var gracefulShutdownTimeout: Duration

    /// What a failing task of this service means.
    public var onTaskFailure: FailureAction

    /// When those that depend on it may start.
    public var readiness: Readiness

    /// A policy. Without arguments it is the default of every service.
    ///
    /// - Parameters:
    ///   - startTimeout: the longest the start may take. If nil, it may take as long as it likes.
    ///   - gracefulShutdownTimeout: the longest the stop may take. For the root, the budget of the whole tree.
    ///   - onTaskFailure: what a failing task means.
    ///   - readiness: when services that depend on this one may start.
    public init(
        startTimeout: Duration? = nil, gracefulShutdownTimeout: Duration = .seconds(10),
        onTaskFailure: FailureAction = .crashTree, readiness: Readiness = .started
    ) {
        self.startTimeout = startTimeout
        self.gracefulShutdownTimeout = gracefulShutdownTimeout
        self.onTaskFailure = onTaskFailure
        self.readiness = readiness
    }
}

/// When a service counts as up.
public enum Readiness: Sendable {
    /// When its `start` has returned.
    case started
    /// When its `start` has returned and it has called `ready()`, as `Type=notify` of systemd.service(5).
    case announced
}

/// What is done when a task of a service throws.
public enum FailureAction: Sendable {
    /// The whole tree ends with the error, loudly (facet's only answer).
    case crashTree
    /// The service is stopped and started again, with others if `scope` says so. If it fails too often, the tree ends.
    case restart(ServiceBackoff, RestartScope = .one)
    /// An event, nothing else.
    case ignore
}

/// Which services are started again together with the failed one, within its tree. After Erlang's `one_for_one` and
/// `rest_for_one`.
public enum RestartScope: Sendable {
    /// The failed service alone. Services that depend on it stay up.
    case one
    /// Everything that came up after it, too.
    case rest
    /// Everything that depends on it, directly or not.
    case dependents
}

/// How soon and how often a failing service is started again.
///
/// Each failure adds 1 to a score that halves in every `window`. Above `limit` the service is given up. The wait before
/// a restart is `base`, doubled for each point of the score beyond the first, at most `cap`, less a random part of up
/// to `jitter` of it, so that many workers do not come back at the same moment. After suture's failure score.
public struct ServiceBackoff: Sendable {
    /// The first wait. A negative value counts as zero.
    public var base: Duration
    /// The longest wait.
    public var cap: Duration
    /// Which part of a wait is random, 0 through 1. Values outside count as the nearer of the two.
    public var jitter: Double
    /// The highest score that still allows a restart. With 0 or less, there is no restart.
    public var limit: Int
    /// The half-life of the score. With zero or less, no failure is remembered.
    public var window: Duration

    /// A backoff. No value is refused: a value out of range counts as the nearest valid one.
    ///
    /// - Parameters:
    ///   - base: the first wait.
    ///   - cap: the longest wait.
    ///   - jitter: which part of a wait is random, 0 through 1.
    ///   - limit: the highest score that still allows a restart.
    ///   - window: the half-life of the score.
    public init(
        base: Duration = .milliseconds(100), cap: Duration = .seconds(30), jitter: Double = 0.5, limit: Int = 5,
        window: Duration = .seconds(30)
    ) {
        self.base = base
        self.cap = cap
        self.jitter = jitter
        self.limit = limit
        self.window = window
    }
}

extension Duration {
    /// A time that can be calculated with: not below zero, and far from where a sum of times would overflow.
    var bounded: Duration { min(max(self, .zero), .seconds(90 * 366 * 86_400)) }
}
