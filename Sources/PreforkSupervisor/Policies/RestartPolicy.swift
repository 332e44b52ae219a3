// Restarts of workers that died: their delays, and the limits that end the pool.

import PreforkSystem

/// What happens after workers die.
///
/// Only an abnormal end (a signal, a non-zero exit code) is followed by a restart. Exit code 0 means that the worker's
/// work is done, as in tornado. Its slot stays empty, and is `ended` in `preforkctl status`, until an operator orders
/// new workers: a reload, an upgrade, or `preforkctl restart SLOT`.
public struct RestartPolicy: Equatable, Sendable {
    /// So many restarts per slot within a period are too many.
    public struct Window: Equatable, Sendable {
        /// Restarts that are still allowed within `period`.
        public var count: Int
        /// The length of the sliding window, above zero.
        public var period: Duration

        /// At most `count` restarts of one slot within any `period`, which must be above zero.
        public init(count: Int, per period: Duration) {
            self.count = count
            self.period = period
        }
    }

    /// How many restarts the pool may need in its whole life. One more, and all workers are stopped: the supervisor
    /// ends with exit code 70. Tornado's `max_restarts`.
    ///
    /// While it is not set (100), crashes in a request do not count: one bad request, repeated, must not end a service.
    /// Once it is set, by this property or `PREFORK_MAX_RESTARTS`, every abnormal end counts.
    public var limit: Int {
        didSet { countsRequestCrashes = true }
    }
    /// Whether a crash with a request in hand counts as any other end does. If it does not, the worker is replaced
    /// within 100 ms (`RestartHistory.nextRequestDelay`), however often.
    public private(set) var countsRequestCrashes: Bool
    /// If nil, `limit` is not set.
    var limitThatWasSet: Int? {
        get { countsRequestCrashes ? limit : nil }
        set {
            limit = newValue ?? Self.standardLimit
            countsRequestCrashes = newValue != nil
        }
    }
    /// A second bound, per slot and time. If nil, there is no second bound.
    public var window: Window?
    /// How many times in a row one slot's worker may die before it was ready. These deaths do not count for `limit`.
    /// One more ends the pool: with exit code 75 when no worker was ever ready, which is a failed start, else with 70.
    public var bootLimit: Int
    /// How long a restart waits.
    public var backoff: Backoff

    private static let standardLimit = 100

    /// - Parameter limit: if nil, 100, and crashes in a request do not count.
    public init(limit: Int? = nil, window: Window? = nil, bootLimit: Int = 10, backoff: Backoff = Backoff()) {
        self.limit = limit ?? Self.standardLimit
        countsRequestCrashes = limit != nil
        self.window = window
        self.bootLimit = bootLimit
        self.backoff = backoff
    }
}

/// How long a slot waits before its worker is started again.
///
/// The first restarts are immediate, because most deaths are single ones. A worker that keeps dying waits longer and
/// longer, by a random share of the delay, so that slots that died together do not come back together.
public struct Backoff: Equatable, Sendable {
    /// So many restarts within `immediatePeriod` do not wait. Not below zero.
    public var immediate: Int
    /// Above zero.
    public var immediatePeriod: Duration
    /// The first delay, above zero. Each further one doubles it.
    public var base: Duration
    /// No delay is longer. Zero turns delays off: every restart is immediate. Not below zero.
    public var maximum: Duration
    /// A worker that was ready for so long clears its slot's record. Above zero.
    public var resetAfter: Duration

    /// The defaults: three immediate restarts within 10 s, then delays from 100 ms to 30 s, cleared after 30 s of being
    /// ready.
    public init(
        immediate: Int = 3, immediatePeriod: Duration = .seconds(10), base: Duration = .milliseconds(100),
        maximum: Duration = .seconds(30), resetAfter: Duration = .seconds(30)
    ) {
        self.immediate = immediate
        self.immediatePeriod = immediatePeriod
        self.base = base
        self.maximum = maximum
        self.resetAfter = resetAfter
    }

    /// The longest delay of step `step` (0 is the first): base × 2^step, at most `maximum`.
    func ceiling(step: Int) -> Duration {
        if base <= .zero || maximum <= .zero { return .zero }
        // 2^40 times any base above a nanosecond is beyond every maximum that makes sense.
        let factor = 1 << min(max(0, step), 40)
        let (product, overflow) = base.saturatedNanoseconds.multipliedReportingOverflow(by: Int64(factor))
        return overflow ? maximum : min(maximum, .nanoseconds(product))
    }
}

// What makes no sense in a policy, by the names of its parts.
extension RestartPolicy {
    /// - Parameter name: of the policy itself, for example `onFailure`.
    package func problems(of name: String) -> [EnvironmentSettingsError.Problem] {
        var problems = backoff.problems(of: "\(name).backoff")
        for (part, value) in [("limit", limit), ("bootLimit", bootLimit)] where value < 0 {
            problems.append(.init(name: "\(name).\(part)", value: "\(value)", expected: "a number from 0"))
        }
        if let window, window.count < 1 || window.period < .milliseconds(1) {
            let value = "\(window.count) in \(window.period)"
            problems.append(
                .init(name: "\(name).window", value: value, expected: "a number from 1 and a time of at least 1 ms"))
        }
        return problems
    }
}

extension Backoff {
    func problems(of name: String) -> [EnvironmentSettingsError.Problem] {
        var problems: [EnvironmentSettingsError.Problem] = []
        if immediate < 0 {
            problems.append(.init(name: "\(name).immediate", value: "\(immediate)", expected: "a number from 0"))
        }
        for (part, time) in [("immediatePeriod", immediatePeriod), ("base", base), ("resetAfter", resetAfter)]
        where time <= .zero {
            problems.append(.init(name: "\(name).\(part)", value: "\(time)", expected: "above zero"))
        }
        if maximum < .zero {
            problems.append(.init(name: "\(name).maximum", value: "\(maximum)", expected: "zero or above"))
        }
        return problems
    }
}
