// Memory and processor time of all workers, read at most a few times a second however many ask.

import PreforkSystem

/// What workers use, asked of the kernel only when somebody wants to know.
package final class ControlUsage {
    /// Younger figures are given out again: many clients cost no more than one.
    private static let freshness: Duration = .milliseconds(200)
    /// How long one look may take for the proportional sizes; the workers left come first in the next look.
    private static let budget: Duration = .milliseconds(10)

    private var reader = ProcessUsageReader()
    private var last: (instant: MonotonicInstant, detailed: Bool, usage: WorkerUsage)?
    private var firstDetailed = 0

    package init() {}

    func current(_ workers: [WorkerStatus], detailed: Bool) -> WorkerUsage {
        let now = MonotonicInstant.now
        if let last, now - last.instant < Self.freshness, last.detailed || !detailed { return last.usage }
        var usage = WorkerUsage(minimumCapacity: workers.count)
        for worker in workers {
            if let pid = worker.pid { usage[pid] = reader.usage(of: pid) }
        }
        if detailed { addProportional(workers, &usage) }
        last = (.now, detailed, usage)
        return usage
    }

    private func addProportional(_ workers: [WorkerStatus], _ usage: inout WorkerUsage) {
        let end = MonotonicInstant.now + Self.budget
        let start = firstDetailed
        for step in workers.indices {
            let index = (start + step) % workers.count
            if .now > end {
                firstDetailed = index
                return
            }
            guard let pid = workers[index].pid else { continue }
            usage[pid]?.proportional = reader.proportional(of: pid)
        }
    }
}
