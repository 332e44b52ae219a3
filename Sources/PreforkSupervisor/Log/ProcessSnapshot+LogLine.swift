// Log lines about a hung worker.

package import PreforkSystem

extension ProcessSnapshot {
    /// The snapshot of a worker as lines of the log, each with the worker's task ID, because they mix with lines about
    /// other workers.
    ///
    /// One at the soft deadline, and one with the first as `earlier` before SIGKILL: together they tell whether the
    /// worker computes or waits.
    package func logLines(taskID: Int, since earlier: ProcessSnapshot? = nil) -> [LogLine] {
        lines(since: earlier).map { LogLine(.warning, "worker \(taskID): \($0)") }
    }
}
