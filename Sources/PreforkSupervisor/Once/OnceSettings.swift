// Settings of a once-task, given when it is added.

import PreforkSystem

/// When a once-task is due.
package enum OnceSchedule: Hashable, Sendable {
    case every(Duration)
    case cron(CronSchedule)

    /// For operators.
    var text: String {
        switch self {
        case .every(let interval): "every \(interval.short)"
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
        if case .every(let interval) = schedule, interval < Self.shortestInterval || interval > Self.longest {
            problems.append(.init(name: "every", value: "\(interval)", expected: "from 10 ms to 366 days"))
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
        if case .every(let interval) = schedule { min(interval, .seconds(3600)) } else { .seconds(3600) }
    }
}
