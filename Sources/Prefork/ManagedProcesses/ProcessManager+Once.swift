// Adding once-tasks: work that must run in one process of the program at a time.

import PreforkEventLoop
import PreforkStore
public import PreforkSupervisor
import PreforkSystem

extension ProcessManager {
    /// Adds a task that runs at fixed intervals, in one process at a time.
    ///
    /// Each run is a process that is forked for it, runs the body on its own event loop, and ends with it. The manager
    /// alone decides when a run begins, and no run of a task begins before the process of the run before was reaped.
    /// The process has what a managed process has: its rights, its title, its captured output, its exit report.
    ///
    /// The first due time is one interval after the manager has started its targets (`run`, `startAll`, or the pool's
    /// start). Later ones follow at exact intervals of the monotonic clock, however long a run takes.
    ///
    /// ```swift
    /// try runtime.manager.once("clean-up", every: .seconds(60), timeout: .seconds(30)) { run in
    ///     print("run \(run.number)")
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - name: another one than that of each other task and target of the manager.
    ///   - interval: from 10 ms to 366 days.
    ///   - place: where runs are: each in a process of its own, or in one of the pool's workers.
    ///   - jitter: each run begins up to so much later than its due time, by chance. At most the interval and an hour.
    ///   - timeout: how long a run may take. Then it is asked to end (SIGTERM), its body is cancelled, and it is killed
    ///     when the grace period is over. If nil, there is no limit. Above zero, at most 366 days.
    ///   - misfire: what becomes of due times that were missed, and of runs that were killed.
    ///   - grace: from SIGTERM to SIGKILL. If nil, the manager's. With zero or less, it is killed at once.
    ///   - body: if it throws, the run has failed. A failure is counted and logged, and the next due time is the next
    ///     run.
    /// - Throws: `.badSettings`, `.duplicate`, `.badName`, `.alreadyForked`, `.wrongOwner`, `.system`.
    public func once(
        _ name: String, every interval: Duration, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable (OnceRun) async throws -> Void
    ) throws(ProcessError) {
        let settings = OnceSettings(name: name, .every(interval), jitter: jitter, timeout: timeout, misfire: misfire)
        try addOnce(settings, in: place, grace: grace, body)
    }

    /// The same for a body that does not ask which run it is.
    public func once(
        _ name: String, every interval: Duration, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable () async throws -> Void
    ) throws(ProcessError) {
        try once(name, every: interval, in: place, jitter: jitter, timeout: timeout, misfire: misfire, grace: grace) {
            (_: OnceRun) in try await body()
        }
    }

    /// Adds a task that runs at the times of a cron schedule, in one process at a time. See `once(_:every:...)` for the
    /// runs.
    ///
    /// The schedule follows the wall clock, in UTC, and notices at once when that is set. Minutes that are left out when
    /// it is set forward, or while the machine sleeps, are missed: `misfire` says what follows. When it is set back by
    /// three hours or less, minutes that have come do not come again. When it is set back further, the schedule begins
    /// anew at the new time.
    ///
    /// - Parameters:
    ///   - name: another one than that of each other task and target of the manager.
    ///   - schedule: five fields as in crontab(5), or a word such as `@hourly`. <doc:OnceTasks> has the rules.
    ///   - place: as for an interval.
    ///   - jitter: each run begins up to so much later than its due time, by chance. At most an hour.
    ///   - timeout: as for an interval.
    ///   - misfire: as for an interval.
    ///   - grace: as for an interval.
    ///   - body: as for an interval.
    /// - Throws: as for an interval. `.badSchedule` with the place of what makes no sense in the schedule.
    public func once(
        _ name: String, cron schedule: String, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable (OnceRun) async throws -> Void
    ) throws(ProcessError) {
        let times: CronSchedule
        do throws(CronError) {
            times = try CronSchedule(schedule)
        } catch {
            throw ProcessError(.badSchedule(name, error))
        }
        let settings = OnceSettings(name: name, .cron(times), jitter: jitter, timeout: timeout, misfire: misfire)
        try addOnce(settings, in: place, grace: grace, body)
    }

    /// The same for a body that does not ask which run it is.
    public func once(
        _ name: String, cron schedule: String, in place: OncePlace = .process, jitter: Duration = .zero,
        timeout: Duration? = nil, misfire: MisfirePolicy = .runNow, grace: Duration? = nil,
        _ body: @escaping @Sendable () async throws -> Void
    ) throws(ProcessError) {
        try once(name, cron: schedule, in: place, jitter: jitter, timeout: timeout, misfire: misfire, grace: grace) {
            (_: OnceRun) in try await body()
        }
    }

    func addOnce(
        _ task: OnceSettings, in place: OncePlace, grace: Duration?,
        _ body: @escaping @Sendable (OnceRun) async throws -> Void
    ) throws(ProcessError) {
        let targets = try used()
        if place == .worker { return try addInWorker(task, grace: grace, body) }
        var settings = TargetSettings(name: task.name)
        settings.grace = max(.zero, grace ?? standardGrace)
        FamilyNames.prepare()
        try targets.add(task, settings) { handle in
            let main = LoopMain(
                name: handle.name, supervisorPipe: handle.supervisorPipe, signalMask: handle.signalMask,
                drainTimeout: handle.grace, executor: .wholeProcess,
                orderedStop: { handle.isStopRequested ? .service : nil })
            main.run { loop in
                StoreRegistry.repairAll()
                handle.markReady()
                // Proof that there is a ticket: the manager forks this target only for a run.
                let run = OnceRun(handle.name, handle.run ?? .none, loop: loop)
                return { try await run.perform(within: task.timeout, body) }
            }
        }
        try noteLoopTarget()
    }

    private func addInWorker(
        _ task: OnceSettings, grace: Duration?, _ body: @escaping @Sendable (OnceRun) async throws -> Void
    ) throws(ProcessError) {
        guard isBesidePool else {
            let name = Escaping.brief(task.name)
            throw ProcessError(.badSettings("once-task \"\(name)\": a manager alone has no workers"))
        }
        var task = task
        task.workerIndex = tasksInWorkers.count
        task.grace = max(.zero, grace ?? standardGrace)
        try used().addInWorker(task)
        tasksInWorkers.append(WorkerTask(name: task.name, body: body))
    }
}

/// Where the runs of a once-task are.
public struct OncePlace: Hashable, Sendable {
    private enum Kind: Hashable { case process, worker }
    private let kind: Kind

    /// Each run is a process of its own, which the supervisor forks for it and which ends with it.
    public static let process = OncePlace(kind: .process)
    /// Each run is in a worker that the supervisor names: one that is ready and has no other run. A run has the
    /// worker's memory, its open connections and its caches, and shares its one thread: a run that crashes takes the
    /// worker along, and the requests in it. If the worker ends before the run does, another worker does the run again
    /// as `misfire` says.
    public static let worker = OncePlace(kind: .worker)
}
