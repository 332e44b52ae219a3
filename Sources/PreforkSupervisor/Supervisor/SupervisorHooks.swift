// The program's own code at turning points of its workers' lives.

/// A worker as hooks see it.
public struct WorkerInfo: Hashable, Sendable {
    /// The slot's number, 0 ..< count, the same for every worker that fills it.
    public var taskID: Int
    /// The worker's generation: 1 at the start, one more for each reload and upgrade.
    public var generation: Int
    /// Its process ID, or nil before the fork.
    public var pid: Int32?
}

/// What the supervisor calls at turning points of its workers' lives.
///
/// All but `afterFork` and `afterSpareFork` run in the supervisor, on its one thread: they must be quick, must not start threads (the next
/// fork would be refused) and must not block.
public struct SupervisorHooks: Sendable {
    /// In the supervisor, right before each fork of a worker, or right before a spare gets the worker's slot. A spare was
    /// forked earlier and does not see what the hook changes: with this hook, `SpareCount.automatic` is none.
    public var beforeFork: (@Sendable (WorkerInfo) -> Void)?
    /// In the new worker, before its body: the place to open what must not be shared, such as database connections. In a
    /// spare, when it gets its slot.
    public var afterFork: (@Sendable (WorkerInfo) -> Void)?
    /// In a new spare worker, which has given up its rights and has no task ID yet. The place for what takes time and needs
    /// none: it is done before a slot needs the spare. It has as long as a worker has to become ready. Channels and names
    /// need a slot and are not for it. See <doc:SpareWorkers>.
    public var afterSpareFork: (@Sendable () -> Void)?
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
    /// A reload to this generation is about to begin: the place to read a configuration anew, which the next workers
    /// inherit. If the hook throws, the reload is refused, and all workers stay.
    public var onReload: (@Sendable (Int) throws -> Void)?
    /// Reopen logs (SIGUSR1): the supervisor has just reopened its own.
    public var onReopenLogs: (@Sendable () -> Void)?
    /// A worker has given no heartbeat for `HangPolicy.soft`. It is killed after `HangPolicy.grace`.
    public var onHang: (@Sendable (WorkerInfo) -> Void)?
    /// The pool begins to end.
    public var onStop: (@Sendable (PoolStopReason) -> Void)?

    /// No hooks.
    public init() {}
}
