// The metrics of a pool in Prometheus' text format (version 0.0.4), or as OpenMetrics.

import PreforkSystem

/// Text for Prometheus: families of samples, each with its help and its type.
struct PrometheusText {
    private(set) var bytes: [UInt8] = []
    private var format = MetricFormat.prometheus
    /// When the pool's counters began, in seconds since 1970. If nil, that is not known.
    private var began: Double?

    /// A whole page for one pool, out of values only.
    static func metrics(
        _ status: PoolStatus, _ counters: PoolCounters, _ listeners: [ListenerStatus], _ usage: WorkerUsage,
        quarantined: Int = 0, managed: [TargetStatus] = [], tasks: [OnceStatus] = [],
        shared: SharedObjects = SharedObjects(), format: MetricFormat = .prometheus, began: Double? = nil
    ) -> [UInt8] {
        var text = PrometheusText()
        text.format = format
        text.began = began
        text.bytes.reserveCapacity(4096 + status.workers.count * 600)
        text.pool(status, counters, usage)
        text.troubles(counters, quarantined: quarantined)
        text.histogram("prefork_boot_seconds", "Time from fork to readiness of workers", counters.boots)
        text.histogram("prefork_drain_seconds", "Time from the request to drain to the end of workers", counters.drains)
        text.histogram(
            "prefork_http_request_duration_seconds",
            "Time from the turn of the loop that has read a request's head until its response is made",
            nanoseconds: counters.requestDurations)
        text.listeners(listeners)
        text.onceTasks(tasks)
        text.workers(status.workers, usage)
        text.managedProcesses(managed)
        text.sharedObjects(shared)
        return text.bytes
    }

    static func metrics(
        of delegate: any ControlDelegate, _ usage: WorkerUsageCache, _ format: MetricFormat = .prometheus
    ) -> [UInt8] {
        let status = delegate.status()
        let counters = delegate.counters()
        delegate.willShow(counters, requests: status.workers.reduce(counters.retiredRequests) { $0 &+ $1.requests })
        var text = metrics(
            status, counters, delegate.listeners(), usage.current(status.workers),
            quarantined: delegate.quarantined().count, managed: delegate.managedProcesses(),
            tasks: delegate.onceTasks(), shared: delegate.sharedObjects(), format: format, began: delegate.metricsBegan)
        delegate.writeMetrics(format, to: &text)
        if format == .openMetrics { text += "# EOF\n".utf8 }
        return text
    }

    private mutating func pool(_ status: PoolStatus, _ counters: PoolCounters, _ usage: WorkerUsage) {
        gauge("prefork_supervisor_uptime_seconds", "Uptime of the supervisor", status.uptime.seconds)
        gauge("prefork_generation", "Generation that new workers belong to", status.generation)
        gauge("prefork_workers_target", "Desired number of workers", status.target)
        gauge("prefork_spares", "Spare workers that wait for a slot", status.spares)
        family("prefork_workers", "gauge", "Workers by state")
        for state in WorkerStatus.State.allCases {
            sample("prefork_workers", [("state", state.rawValue)], status.workers.count { $0.state == state })
        }
        family("prefork_restarts_total", "counter", "Workers restarted after an unexpected exit, by cause")
        // Also those that have not happened: rate() and increase() do not see a series whose first value is 1.
        for cause in Set(counters.restarts.keys).union(PoolCounters.causes).sorted() {
            sample("prefork_restarts_total", [("cause", cause)], counters.restarts[cause] ?? 0)
        }
        family(
            "prefork_restart_kinds_total", "counter",
            "Workers restarted after an unexpected exit, by kind: while booting, in a request, other")
        for kind in ExitReport.Kind.allCases {
            sample("prefork_restart_kinds_total", [("kind", kind.rawValue)], counters.restartKinds[kind] ?? 0)
        }
        gauge("prefork_restarts_counted", "Restarts that count towards the limit", status.restarts)
        gauge("prefork_restarts_limit", "Number of counted restarts above which the pool ends", status.restartLimit)
        counter("prefork_failed_forks_total", "Forks that the kernel refused", counters.failedForks)
        family("prefork_reloads_total", "counter", "Finished rolling reloads, by result")
        sample("prefork_reloads_total", [("result", "done")], counters.finishedReloads)
        sample("prefork_reloads_total", [("result", "aborted")], counters.abortedReloads)
        let requests = status.workers.reduce(counters.retiredRequests) { $0 &+ $1.requests }
        counter("prefork_requests_total", "Requests answered by all workers, including those that have ended", requests)
        // Words that workers write: a stray one must not end the supervisor.
        let connections = status.workers.reduce(UInt64(0)) { $0 &+ UInt64(clamping: $1.connections) }
        gauge("prefork_connections", "Open connections of all workers", connections)
        gauge("prefork_busy_ratio", "CPU utilization of the ready workers", status.busyRatio(usage))
    }

    /// Request labels are left out: clients can make any number of them. `preforkctl` names them.
    private mutating func troubles(_ counters: PoolCounters, quarantined: Int) {
        family("prefork_crashes_total", "counter", "Crashes that processes reported, by kind of process")
        sample("prefork_crashes_total", [("process", "worker")], counters.crashedWorkers)
        sample("prefork_crashes_total", [("process", "managed")], counters.crashedManagedProcesses)
        counter("prefork_slow_requests_total", "Requests slower than PREFORK_SLOW_REQUEST", counters.slowRequests)
        counter(
            "prefork_loop_stalls_total", "Event loops that stood still for PREFORK_LOOP_STALL", counters.loopStalls)
        gauge("prefork_quarantined_labels", "Request labels that are in quarantine now", quarantined)
        counter(
            "prefork_quarantines_total", "Request labels put in quarantine because of crashes",
            counters.quarantinedLabels)
        counter(
            "prefork_refused_requests_total", "Requests refused because their label is in quarantine",
            counters.refusedRequests)
        counter("prefork_lost_output_bytes_total", "Discarded bytes of process output", counters.lostOutputBytes)
        counter("prefork_lost_output_lines_total", "Discarded lines of process output", counters.lostOutputLines)
    }

    private mutating func listeners(_ listeners: [ListenerStatus]) {
        guard !listeners.isEmpty else { return }
        family("prefork_listener_backlog", "gauge", "Connections waiting to be accepted")
        for listener in listeners {
            if let waiting = listener.waiting {
                sample("prefork_listener_backlog", [("listener", listener.address)], waiting)
            }
        }
        family("prefork_listener_backlog_limit", "gauge", "Largest number of connections that may wait to be accepted")
        for listener in listeners {
            if let limit = listener.limit {
                sample("prefork_listener_backlog_limit", [("listener", listener.address)], limit)
            }
        }
    }

    private mutating func workers(_ workers: [WorkerStatus], _ usage: WorkerUsage) {
        // A slot may have two workers for a while: the process ID tells their samples apart.
        let living = workers.compactMap { worker in
            worker.pid.map { (labels: "{slot=\"\(worker.slot)\",pid=\"\($0)\"}", worker: worker, usage: usage[$0]) }
        }
        func each(_ name: String, _ type: String, _ help: String, _ value: (WorkerStatus, ProcessUsage?) -> String?) {
            family(name, type, help)
            for (labels, worker, usage) in living {
                if let value = value(worker, usage) { line(name, labels, value) }
            }
        }
        each("prefork_worker_requests_total", "counter", "Requests answered") { worker, _ in "\(worker.requests)" }
        each("prefork_worker_connections", "gauge", "Open connections") { worker, _ in "\(worker.connections)" }
        each("prefork_worker_uptime_seconds", "gauge", "Time since its fork") { worker, _ in
            "\(worker.uptime.seconds)"
        }
        each("prefork_worker_generation", "gauge", "Generation of the worker") { worker, _ in "\(worker.generation)" }
        each("prefork_worker_blocking_threads", "gauge", "Threads for blocking work") { worker, _ in
            "\(worker.blocking.threads)"
        }
        each("prefork_worker_blocking_queue", "gauge", "Blocking closures that wait for a thread") { worker, _ in
            "\(worker.blocking.queued)"
        }
        each("prefork_worker_heartbeat_age_seconds", "gauge", "Time since the last heartbeat") { worker, _ in
            worker.heartbeatAge.map { "\($0.seconds)" }
        }
        each("prefork_worker_resident_bytes", "gauge", "Resident memory, including shared pages") { _, usage in
            usage.map { "\($0.resident)" }
        }
        each("prefork_worker_cpu_seconds_total", "counter", "CPU time, user and system") { _, usage in
            usage.map { "\($0.processorTime.seconds)" }
        }
    }

    private mutating func histogram(_ name: String, _ help: String, _ histogram: DurationHistogram) {
        let sum = "\(histogram.sum.seconds)"
        self.histogram(name, help, DurationHistogram.bounds, histogram.counts, sum: sum)
    }

    private mutating func histogram(_ name: String, _ help: String, nanoseconds histogram: HistogramCounts) {
        let ranges = histogram.ranges
        let bounds = (0..<ranges.boundedCount).map { Double(ranges.bound($0)) / 1e9 }
        self.histogram(name, help, bounds, histogram.counts, sum: "\(Double(histogram.sum) / 1e9)")
    }

    /// - Parameters:
    ///   - bounds: of all ranges but the last.
    ///   - counts: of each range alone.
    private mutating func histogram(
        _ name: String, _ help: String, _ bounds: [Double], _ counts: [UInt64], sum: String
    ) {
        family(name, "histogram", help)
        var below: UInt64 = 0
        for (bound, count) in zip(bounds.map { "\($0)" } + ["+Inf"], counts) {
            below &+= count
            sample("\(name)_bucket", [("le", bound)], below)
        }
        line("\(name)_sum", "", sum)
        line("\(name)_count", "", "\(below)")
        created(name, "")
    }

    private mutating func gauge(_ name: String, _ help: String, _ value: some CustomStringConvertible) {
        family(name, "gauge", help)
        line(name, "", value.description)
    }

    private mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        family(name, "counter", help)
        line(name, "", value.description)
        created(name, "")
    }

    mutating func family(_ name: String, _ type: String, _ help: String) {
        // In OpenMetrics the ending belongs to a counter's samples, not to its name.
        let name = format == .openMetrics && type == "counter" ? Self.family(name) : name
        bytes += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n".utf8
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: some BinaryInteger) {
        let text = labels.map { "\($0)=\"\(ForeignText($1).escaped(for: .prometheus))\"" }.joined(separator: ",")
        line(name, "{\(text)}", "\(value)")
        if name.hasSuffix(Self.counterEnding) { created(name, "{\(text)}") }
    }

    private static let counterEnding = "_total"

    private static func family(_ name: String) -> String {
        name.hasSuffix(counterEnding) ? String(name.dropLast(counterEnding.count)) : name
    }

    private mutating func created(_ name: String, _ labels: String) {
        guard format == .openMetrics, let began else { return }
        line("\(Self.family(name))_created", labels, "\(began)")
    }

    mutating func line(_ name: String, _ labels: String, _ value: String) {
        bytes += name.utf8
        bytes += labels.utf8
        bytes.append(UInt8(ascii: " "))
        bytes += value.utf8
        bytes.append(UInt8(ascii: "\n"))
    }
}

extension PoolStatus {
    /// The mean over the whole lives of the workers with known figures.
    fileprivate func busyRatio(_ usage: WorkerUsage) -> Double {
        var (lifetime, work) = (0.0, 0.0)
        for worker in workers where worker.state == .ready {
            guard let used = worker.pid.flatMap({ usage[$0] }) else { continue }
            lifetime += worker.uptime.seconds
            work += used.processorTime.seconds
        }
        return lifetime > 0 ? min(1, work / lifetime) : 0
    }
}
