// The task that a connection belongs to. Its cancellation is watched once for all of its waits.

/// Remembers a task, to be recognised when it comes again.
struct TaskOwnership {
    private let task: UInt

    /// The calling task, or nil outside of tasks.
    ///
    /// The number is only ever compared. Its holder must forget it before the task ends, because another task may reuse
    /// the address.
    init?() {
        guard Self.current != 0 else { return nil }
        task = Self.current
    }

    var isCurrentTask: Bool { Self.current == task }

    /// The address of the calling task, or 0. The comparison of two values of `UnsafeCurrentTask` took some 700
    /// instructions, by the witnesses of its optional (Swift 6.3.1).
    private static var current: UInt {
        // Proof: the type has one stored property, a reference, so its optional is one word that is 0 for nil
        // (UnsafeCurrentTask in the runtime's Task.swift). Another size traps.
        withUnsafeCurrentTask { unsafeBitCast($0, to: UInt.self) }
    }
}
