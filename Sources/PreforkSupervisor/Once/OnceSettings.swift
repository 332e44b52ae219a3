// Settings of a once-task, given when it is added.

import PreforkSystem

/// When a once-task is due.
package enum OnceSchedule: Hashable, Sendable {
    case every(Duration)
    /// At the multiples of an interval since 1970 by the wall clock: the same instants on all machines.
    case aligned(Duration)
    case cron(CronSchedule)

    /// It follows the wall clock, and so what sets that.
    var isByWallClock: Bool { if case .every = self { false } else { true } }

    /// From one due time to the next, where that is the same for all.
    var interval: Duration? {
        switch self {
        case .every(let interval), .aligned(let interval): interval
        case .cron: nil
        }
    }

    /// For operators.
    var text: String {
        switch self {
        case .every(let interval): "every \(interval.short)"
        case .aligned(let interval): "every \(interval.short) by the clock"
        case .cron(let schedule): schedule.text
        }
    }
}

/// A once-task as the supervisor knows it.
package struct OnceSettings: Hashable, Sendable {
    package var name: String
    package var schedule: OnceSchedule
    /// A run begins up to so much later than its due time, by chance.
    package var jitter: Duration
    /// How long a run may take. If nil, there is no limit.
    package var timeout: Duration?
    package var misfire: MisfirePolicy
    /// It runs in a worker: its place among the tasks that do. If nil, each run is a process of its own.
    package var workerIndex: Int?
    /// Its runs need a lease that a server has for all machines, and end with `OnceLeaseCode` without one.
    package var isLeased = false
    /// In a worker: from the order to end a run to SIGKILL.
    package var grace: Duration = .seconds(10)

    /// The shortest interval: the supervisor forks a process for each run.
    static let shortestInterval = Duration.milliseconds(10)
    /// A jitter or a time limit of a year is a mistake.
    static let longest = Duration.seconds(366 * 86_400)

    package init(
        name: String, _ schedule: OnceSchedule, jitter: Duration = .zero, timeout: Duration? = nil,
        misfire: MisfirePolicy = .runNow
    ) {
        self.name = name
        self.schedule = schedule
        self.jitter = jitter
        self.timeout = timeout
        self.misfire = misfire
    }

    /// - Throws: `.badSettings` with the task and each option that makes no sense.
    package func check() throws(ProcessError) {
        var problems: [EnvironmentSettingsError.Problem] = []
        if let interval = schedule.interval, interval < Self.shortestInterval || interval > Self.longest {
            problems.append(.init(name: "every", value: "\(interval)", expected: "from 10 ms to 366 days"))
        }
        if case .aligned(let interval) = schedule, interval.saturatedNanoseconds % 1_000_000 != 0 {
            problems.append(.init(name: "every", value: "\(interval)", expected: "whole milliseconds"))
        }
        if jitter < .zero || jitter > longestJitter {
            problems.append(
                .init(name: "jitter", value: "\(jitter)", expected: "zero or more, at most the interval and an hour"))
        }
        if let timeout, timeout <= .zero || timeout > Self.longest {
            problems.append(.init(name: "timeout", value: "\(timeout)", expected: "above zero, at most 366 days"))
        }
        if problems.isEmpty { return }
        throw ProcessError(
            .badSettings("once-task \"\(Escaping.brief(name))\": \(EnvironmentSettingsError(problems: problems))"))
    }

    private var longestJitter: Duration {
        min(schedule.interval ?? .seconds(3600), .seconds(3600))
    }
}
