// Once-tasks of a pool, in the short form.

import PreforkEventLoop
public import PreforkSupervisor

extension ForkRuntime {
    /// Adds a task that runs at fixed intervals in exactly one process of the service, however many workers it has.
    ///
    /// ```swift
    /// try runtime.once("clean-up", every: .seconds(60), jitter: .seconds(5), timeout: .seconds(30)) {
    ///     try await removeOldSessions()
    /// }
    /// ```
    ///
    /// The same as `manager.once(_:every:in:jitter:timeout:misfire:grace:_:)`, which says everything about runs and about
    /// the parameters. To be called before `run`.
    ///
    /// - Throws: `.badSettings`, `.duplicate`, `.badName`, `.alreadyForked`, `.wrongOwner`, `.system`.
    public func once(
        _ name: String, every interval: Duration, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable (OnceRun) async throws -> Void
    ) throws(ProcessError) {
        try manager.once(
            name, every: interval, in: place, jitter: jitter, timeout: timeout, misfire: misfire, grace: grace, body)
    }

    /// The same for a body that does not ask which run it is.
    public func once(
        _ name: String, every interval: Duration, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable () async throws -> Void
    ) throws(ProcessError) {
        try manager.once(
            name, every: interval, in: place, jitter: jitter, timeout: timeout, misfire: misfire, grace: grace, body)
    }

    /// Adds a task that runs at the times of a cron schedule (UTC) in exactly one process of the service.
    ///
    /// ```swift
    /// try runtime.once("report", cron: "0 3 * * MON-FRI") { run in
    ///     print("report of due time \(run.dueNumber)")
    /// }
    /// ```
    ///
    /// The same as `manager.once(_:cron:in:jitter:timeout:misfire:grace:_:)`, which says everything about the clock and
    /// about the parameters. To be called before `run`.
    ///
    /// - Throws: as for an interval. `.badSchedule` with the place of what makes no sense in the schedule.
    public func once(
        _ name: String, cron schedule: String, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable (OnceRun) async throws -> Void
    ) throws(ProcessError) {
        try manager.once(
            name, cron: schedule, in: place, jitter: jitter, timeout: timeout, misfire: misfire, grace: grace, body)
    }

    /// The same for a body that does not ask which run it is.
    public func once(
        _ name: String, cron schedule: String, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable () async throws -> Void
    ) throws(ProcessError) {
        try manager.once(
            name, cron: schedule, in: place, jitter: jitter, timeout: timeout, misfire: misfire, grace: grace, body)
    }
}
