// Adding once-tasks that run on one of many machines.

#if Valkey
    public import PreforkSupervisor
    import PreforkSystem
    public import PreforkValkey

    extension ProcessManager {
        /// Adds a task that runs at fixed intervals, in one process of all machines at a time.
        ///
        /// As without a lease, each machine's supervisor forks a process for each due time. The process asks the server
        /// for the lease. One gets it and runs the body, the others end without it: their run counts as `elsewhere`. A
        /// process that gets no answer ends without it, too, and counts as `noLease`. <doc:OnceTasks> says what follows
        /// when a machine or the server dies.
        ///
        /// Due times are the multiples of the interval since 1970 by the wall clock, so that they are the same on all
        /// machines.
        ///
        /// ```swift
        /// let lease = ValkeyLease(ValkeySettings(.tcp(host: "10.0.0.5"), prefix: "shop:"))
        /// try runtime.manager.once("clean-up", every: .seconds(60), lease: lease) { run in
        ///     print("token \(run.fencingToken ?? 0)")
        /// }
        /// ```
        ///
        /// - Parameters:
        ///   - name: as without a lease. Services of all machines share the lease by this name.
        ///   - interval: from 10 ms to 366 days, in whole milliseconds.
        ///   - lease: where the lease is, and how long it lives.
        ///   - place: as without a lease.
        ///   - jitter: as without a lease. The machine whose delay is the shortest gets the run.
        ///   - timeout: as without a lease. The wait for the lease counts.
        ///   - misfire: as without a lease, for due times of this machine.
        ///   - grace: as without a lease.
        ///   - body: as without a lease. Its run has a `fencingToken`. It is cancelled when the lease is lost.
        /// - Throws: `.badSettings`, `.duplicate`, `.badName`, `.alreadyForked`, `.wrongOwner`, `.system`.
        public func once(
            _ name: String, every interval: Duration, lease: ValkeyLease, in place: OncePlace = .process,
            jitter: Duration = .zero, timeout: Duration? = nil, misfire: MisfirePolicy = .runNow,
            grace: Duration? = nil, _ body: @escaping @Sendable (OnceRun) async throws -> Void
        ) throws(ProcessError) {
            let settings = OnceSettings(
                name: name, .aligned(interval), jitter: jitter, timeout: timeout, misfire: misfire)
            try addLeased(settings, lease, in: place, grace: grace, body)
        }

        /// Adds a task that runs at the times of a cron schedule, in one process of all machines at a time. See
        /// `once(_:every:lease:...)` for the lease, and `once(_:cron:...)` for the schedule.
        ///
        /// - Parameters:
        ///   - name: as for an interval.
        ///   - schedule: as without a lease.
        ///   - lease: as for an interval.
        ///   - place: as for an interval.
        ///   - jitter: as for an interval. At most an hour.
        ///   - timeout: as for an interval.
        ///   - misfire: as for an interval.
        ///   - grace: as for an interval.
        ///   - body: as for an interval.
        /// - Throws: as for an interval, and `.badSchedule`.
        public func once(
            _ name: String, cron schedule: String, lease: ValkeyLease, in place: OncePlace = .process,
            jitter: Duration = .zero, timeout: Duration? = nil, misfire: MisfirePolicy = .runNow,
            grace: Duration? = nil, _ body: @escaping @Sendable (OnceRun) async throws -> Void
        ) throws(ProcessError) {
            let times: CronSchedule
            do throws(CronError) {
                times = try CronSchedule(schedule)
            } catch {
                throw ProcessError(.badSchedule(name, error))
            }
            let settings = OnceSettings(name: name, .cron(times), jitter: jitter, timeout: timeout, misfire: misfire)
            try addLeased(settings, lease, in: place, grace: grace, body)
        }

        private func addLeased(
            _ task: OnceSettings, _ lease: ValkeyLease, in place: OncePlace, grace: Duration?,
            _ body: @escaping @Sendable (OnceRun) async throws -> Void
        ) throws(ProcessError) {
            do throws(ValkeyError) {
                try lease.check()
            } catch {
                throw ProcessError(.badSettings("lease of once-task \"\(Escaping.brief(task.name))\": \(error)"))
            }
            var task = task
            task.isLeased = true
            // Here, in the supervisor: its processes have its name.
            let leased = LeasedRun(lease: lease, owner: ServiceName.current, isOwnProcess: place == .process)
            try addOnce(task, in: place, grace: grace) { run in try await leased.perform(run, body) }
        }
    }

    extension ForkRuntime {
        /// Adds a task that runs at fixed intervals in one process of all machines at a time.
        ///
        /// The same as `manager.once(_:every:lease:in:jitter:timeout:misfire:grace:_:)`, which says everything about
        /// runs and about the parameters. To be called before `run`.
        ///
        /// - Throws: `.badSettings`, `.duplicate`, `.badName`, `.alreadyForked`, `.wrongOwner`, `.system`.
        public func once(
            _ name: String, every interval: Duration, lease: ValkeyLease, in place: OncePlace = .process,
            jitter: Duration = .zero, timeout: Duration? = nil, misfire: MisfirePolicy = .runNow,
            grace: Duration? = nil, _ body: @escaping @Sendable (OnceRun) async throws -> Void
        ) throws(ProcessError) {
            try manager.once(
                name, every: interval, lease: lease, in: place, jitter: jitter, timeout: timeout, misfire: misfire,
                grace: grace, body)
        }

        /// Adds a task that runs at the times of a cron schedule in one process of all machines at a time.
        ///
        /// The same as `manager.once(_:cron:lease:in:jitter:timeout:misfire:grace:_:)`. To be called before `run`.
        ///
        /// - Throws: as for an interval, and `.badSchedule`.
        public func once(
            _ name: String, cron schedule: String, lease: ValkeyLease, in place: OncePlace = .process,
            jitter: Duration = .zero, timeout: Duration? = nil, misfire: MisfirePolicy = .runNow,
            grace: Duration? = nil, _ body: @escaping @Sendable (OnceRun) async throws -> Void
        ) throws(ProcessError) {
            try manager.once(
                name, cron: schedule, lease: lease, in: place, jitter: jitter, timeout: timeout, misfire: misfire,
                grace: grace, body)
        }
    }
#endif
