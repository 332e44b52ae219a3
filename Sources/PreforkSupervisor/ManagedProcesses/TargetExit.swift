// The report of a managed process's end.

public import PreforkSystem

/// How one managed process ended: for `ProcessHooks.afterExit`, the log, and the caller that terminated it.
public struct TargetExit: Equatable, Sendable {
    /// The target's name.
    public var name: String
    /// The process ID that the process had.
    public var pid: Int32
    /// 1 for the target's first process.
    public var generation: Int
    /// Exit code, or signal and core flag.
    public var status: ExitStatus
    /// From fork to end.
    public var uptime: Duration
    /// Whether it had become ready.
    public var wasReady: Bool
    /// Why the supervisor killed it (SIGKILL). If nil, it did not have to.
    public var killReason: TargetKillReason?
    /// What it said of its crash. If nil, it said nothing, as at an end by SIGKILL. The process may have ended by
    /// another signal, such as the SIGKILL that its supervisor sent when its stack was being read for too long.
    public internal(set) var crash: CrashReport?
    /// As `ExitReport.outOfMemory`. Always false without a pool.
    public internal(set) var outOfMemory = false
    /// What it wrote last. If nil, its output was not captured. Without a pool, output is captured only in
    /// `ProcessManager.run`.
    public internal(set) var lastWords: LastWords?
    /// Processor time and peak memory.
    public var usage: ResourceUsage
    /// What follows from it.
    public var consequence: TargetConsequence
}

/// What the end of a managed process leads to.
public enum TargetConsequence: Hashable, Sendable {
    /// Nothing: it ended with exit code 0, or was asked to end.
    case none
    /// It crashed, and its failure action says that nothing follows.
    case ignored
    /// It was asked to restart, or its failure action says so. `number` counts the restarts after crashes.
    case restart(in: Duration, number: Int)
    /// Its restart policy allows no further restart.
    case failed
    /// It crashed, and everything ends with it.
    case crashTree
}

/// A managed process as its manager sees it.
public struct TargetStatus: Equatable, Sendable {
    /// The target's name.
    public var name: String
    /// Where the target is between its start and its end.
    public var phase: TargetPhase
    /// It has ended with exit code 0 since it was last started: its work is done.
    public var isCompleted: Bool
    /// Why it was not started: this dependency cannot become ready.
    public var missingDependency: String?
    /// The process ID of the living process, or nil.
    public var pid: Int32?
    /// How many processes the target has had.
    public var generation: Int
    /// Restarts after crashes.
    public var restarts: Int
    /// Control codes other than 0 and 1, which were ignored.
    public var ignoredCodes: Int
    /// How its last process ended, or nil before the first end.
    public var lastExit: TargetExit?
    /// Processes of it that have crashed and have not been reaped yet. Their ends are reported then. A successor does
    /// not wait for them.
    public internal(set) var crashedProcesses: [Int32] = []
    /// Living processes that were forked before an upgrade: one may be what `pid` names, until its successor is
    /// forked.
    public internal(set) var olderProcesses: [Int32] = []

    /// Whether those that depend on it may start.
    package var isReady: Bool { phase == .running || phase == .stopped && isCompleted }
    /// It has no process, and will have none without an order.
    package var isIdle: Bool { phase == .stopped || phase == .failed }
    /// Idle, and the ends of all its processes are known.
    package var isAtRest: Bool { isIdle && crashedProcesses.isEmpty && olderProcesses.isEmpty }
    /// Those that exist.
    package var processes: [Int32] {
        (pid.map { [$0] } ?? []) + crashedProcesses + olderProcesses.filter { $0 != pid }
    }
}

/// What a process has said of its end, in the report of it.
struct TargetEndNotes: Equatable {
    var crash: CrashReport?
    var lastWords: LastWords?
    var outOfMemory = false
}
