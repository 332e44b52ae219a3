// The reasons why a tree of services ends.

/// Why a tree of services ended, or is about to.
public enum StopReason: Sendable, Equatable {
    /// A caller requested it, its scope ended, or the task that ran it was cancelled.
    case requested
    /// A signal requested it.
    case signal(Int32)
    /// A background task failed: the path of its service and the task's name.
    case taskFailed(String)
    /// A service's start failed or took too long. The error names it.
    case startFailed
    /// The time given to it was over. This package never uses it. It is for a host that limits how long a tree may run.
    case deadline
}
