// The report of a worker's end.

public import PreforkSystem

/// How one worker ended, for the log and `SupervisorHooks.onExit`.
public struct ExitReport: Equatable, Sendable {
    /// The slot, kept by the worker's successor.
    public var taskID: Int
    /// The process ID that the worker had.
    public var pid: Int32
    /// The worker's generation: 1 at the start, one more for each reload and upgrade.
    public var generation: Int
    /// From fork to end.
    public var uptime: Duration
    /// Exit code, or signal and core flag.
    public var status: ExitStatus
    /// Whether it had become ready.
    public var wasReady: Bool
    /// Why the supervisor killed it. If nil, it did not.
    public var killReason: KillReason?
    /// It died by a SIGKILL that the supervisor did not send, and the kernel's out-of-memory killer had counted a
    /// victim in this control group that no other child's end accounts for (memory.events). The kernel does not name
    /// its victims: within two seconds after it killed a process that is no child of the supervisor, a SIGKILL from
    /// elsewhere is taken for its work.
    public internal(set) var outOfMemory = false
    /// What it said of its crash. If nil, it said nothing, as at an end by SIGKILL.
    public internal(set) var crash: CrashReport?
    /// Its stack when it was last found to hang, innermost frame first. Empty if it never hung, or did not answer.
    public internal(set) var hangStack: [StackFrame] = []
    /// It ended abnormally with a request or a message of a connection in hand, and was not killed by the supervisor. A
    /// connection that was open and idle is no request.
    public internal(set) var hadRequest = false
    /// What it had in hand when it ended abnormally, at most `RequestReport.most`: what was executing first, then the
    /// others, oldest first.
    public internal(set) var requests: [RequestReport] = []
    /// How many it had in hand, `requests` included. The worker's own word.
    public internal(set) var requestCount = 0
    /// Whether the restart counts for `RestartPolicy.limit`, where it is a restart of a worker that had been ready.
    public internal(set) var isCounted = true
    /// When its end was reported, in UTC, as in the log: `2026-11-21T03:00:00.042Z`. Empty before.
    public internal(set) var time = ""
    /// What it wrote last. If nil, its output was not captured (`PREFORK_CAPTURE_OUTPUT=off`, or no descriptor was
    /// left).
    public internal(set) var lastWords: LastWords?
    /// Processor time and peak memory.
    public var usage: ResourceUsage
    /// What follows from it.
    public var consequence: ExitConsequence
}

extension ExitReport {
    /// The kinds of abnormal ends that the restart policy tells apart.
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        /// Before the worker was ready, and without a request.
        case boot
        /// With a request in hand.
        case request
        /// After the worker was ready, and without a request in hand.
        case other
    }

    /// Whether it ended abnormally by itself: by a signal or a non-zero exit code, and not killed by the supervisor.
    public var isCrash: Bool { !status.isSuccess && (killReason == nil || crash != nil) }

    /// Which of the three kinds this end is. Meaningful for an abnormal end only.
    public var kind: Kind { hadRequest ? .request : wasReady ? .other : .boot }
}

/// What a worker's end leads to.
public enum ExitConsequence: Hashable, Sendable {
    /// Nothing: it ended normally, or was asked to.
    case none
    /// A successor with the same task ID follows after a delay. `number` counts the pool's restarts so far.
    case restart(in: Duration, number: Int)
    /// The policy allows no further restart: the pool ends.
    case giveUp(PoolStopReason)
}
