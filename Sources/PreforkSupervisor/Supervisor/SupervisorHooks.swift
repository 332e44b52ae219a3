// The program's own code at turning points of its workers' lives.

/// A worker as hooks see it.
public struct WorkerInfo: Hashable, Sendable {
    /// The slot's number, 0 ..< count, the same for every worker that fills it.
    public var taskID: Int
    /// Which reload of the program it belongs to; 1 is the first.
    public var generation: Int
    /// Its process ID; nil before the fork.
    public var pid: Int32?
}

/// Called at turning points. All but `afterFork` run in the supervisor, on its one thread: they must be quick, must
/// not start threads (the next fork would be refused) and must not block.
public struct SupervisorHooks: Sendable {
    /// In the supervisor, right before each fork.
    public var beforeFork: (@Sendable (WorkerInfo) -> Void)?
    /// In the new worker, before its body: the place to open what must not be shared, such as database connections.
    public var afterFork: (@Sendable (WorkerInfo) -> Void)?
    /// A worker is ready.
    public var onReady: (@Sendable (WorkerInfo) -> Void)?
    /// Every worker is ready, for the first time.
    public var onAllReady: (@Sendable () -> Void)?
    /// A worker has ended and was reaped.
    public var onExit: (@Sendable (ExitReport) -> Void)?
    /// A worker has ended abnormally by itself (`ExitReport.isCrash`): by a signal, or with a non-zero exit code. A worker
    /// that the supervisor has killed is not among them. Called after `onExit`, with the same report: the place to tell
    /// an error tracker what the worker said last.
    public var onCrash: (@Sendable (ExitReport) -> Void)?
    /// A reload is about to begin, to this generation: the place to read a configuration anew, which the workers that
    /// follow inherit. What it throws refuses the reload, and all workers stay.
    public var onReload: (@Sendable (Int) throws -> Void)?
    /// Logs are to be reopened (SIGUSR1): the supervisor's own was.
    public var onReopenLogs: (@Sendable () -> Void)?
    /// A worker has given no sign of life for the soft deadline; it is killed after the grace.
    public var onHang: (@Sendable (WorkerInfo) -> Void)?
    /// The pool begins to end.
    public var onStop: (@Sendable (PoolStopReason) -> Void)?

    /// No hooks.
    public init() {}
}
