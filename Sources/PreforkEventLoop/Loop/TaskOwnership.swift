// The task that a connection belongs to, whose cancellation is watched once for all of its waits.

/// Remembers a task, to be recognised when it comes again.
struct TaskOwnership {
    private let task: UnsafeCurrentTask

    /// The calling task; nil outside of tasks.
    ///
    /// The reference is only ever compared, never used, and the one who keeps it forgets it before the task ends: an
    /// address that is used again could otherwise pass for it.
    init?() {
        guard let task = withUnsafeCurrentTask(body: { $0 }) else { return nil }
        self.task = task
    }

    var isCurrentTask: Bool {
        withUnsafeCurrentTask { $0 == task }
    }
}
