// The task that a connection belongs to. Its cancellation is watched once for all of its waits.

/// Remembers a task, to be recognised when it comes again.
struct TaskOwnership {
    private let task: UnsafeCurrentTask

    /// The calling task, or nil outside of tasks.
    ///
    /// The reference is only ever compared, never used. Its holder must forget it before the task ends, because another
    /// task may reuse the address.
    init?() {
        guard let task = withUnsafeCurrentTask(body: { $0 }) else { return nil }
        self.task = task
    }

    var isCurrentTask: Bool {
        withUnsafeCurrentTask { $0 == task }
    }
}
