// Once-tasks in the metrics.

import PreforkSystem

extension PrometheusText {
    /// Each series is there from the start, with 0.
    mutating func onceTasks(_ tasks: [OnceStatus]) {
        if tasks.isEmpty { return }
        func name(_ task: OnceStatus) -> (String, String) { ("task", task.name) }
        family("prefork_task_runs_total", "counter", "Runs of once-tasks that have ended, by result")
        for task in tasks {
            for result in OnceResult.allCases {
                let labels = [name(task), ("result", result.rawValue)]
                sample("prefork_task_runs_total", labels, task.counters.results[result] ?? 0)
            }
        }
        each("prefork_task_due_times_total", "counter", "Due times of once-tasks that have come", tasks) {
            "\($0.dueTimes)"
        }
        each(
            "prefork_task_coalesced_total", "counter", "Due times without a run of their own: a later run stands for them",
            tasks
        ) { "\($0.counters.coalesced)" }
        each("prefork_task_skipped_total", "counter", "Due times that were missed and have no run", tasks) {
            "\($0.counters.skipped)"
        }
        each("prefork_task_waiting", "gauge", "Runs that wait to begin", tasks) { "\($0.waiting)" }
        each("prefork_task_running", "gauge", "Whether a run is going: 1 or 0", tasks) { $0.pid == nil ? "0" : "1" }
        each("prefork_task_run_seconds_total", "counter", "Time that runs have taken", tasks) {
            "\($0.counters.duration.seconds)"
        }
        each("prefork_task_last_run_seconds", "gauge", "Time that the last run took, 0 before the first end", tasks) {
            "\($0.last?.duration.seconds ?? 0)"
        }
        each(
            "prefork_task_last_success_timestamp_seconds", "gauge",
            "When the last run without a failure ended, in seconds since 1970, 0 before the first one", tasks
        ) { "\(Double($0.lastSuccess ?? 0) / 1_000)" }
        each(
            "prefork_task_next_due_timestamp_seconds", "gauge", "When the next run is due, in seconds since 1970", tasks
        ) { "\(Double($0.nextDue) / 1_000)" }
    }

    private mutating func each(
        _ name: String, _ type: String, _ help: String, _ tasks: [OnceStatus], _ value: (OnceStatus) -> String
    ) {
        family(name, type, help)
        for task in tasks {
            line(name, "{task=\"\(ForeignText(task.name).escaped(for: .prometheus))\"}", value(task))
        }
    }
}
