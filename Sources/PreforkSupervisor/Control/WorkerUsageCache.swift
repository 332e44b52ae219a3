// Memory and processor time of all workers, read at most a few times a second however many ask.

import PreforkSystem

/// What workers use. The kernel is asked only when a client wants to know.
///
/// Without proportional sizes: the kernel takes the lock of a process's address space to find those, and a hostile
/// worker can keep it. Tools read them by themselves (`WorkerMemory`).
package final class WorkerUsageCache {
    /// Younger figures are given out again: many clients cost no more than one.
    private static let freshness: Duration = .milliseconds(200)

    private var reader = ProcessUsageReader()
    private var last: (instant: MonotonicInstant, usage: WorkerUsage)?

    package init() {}

    func current(_ workers: [WorkerStatus]) -> WorkerUsage {
        if let last, .now - last.instant < Self.freshness { return last.usage }
        var usage = WorkerUsage(minimumCapacity: workers.count)
        for worker in workers {
            if let pid = worker.pid { usage[pid] = reader.usage(of: pid) }
        }
        last = (.now, usage)
        return usage
    }
}
