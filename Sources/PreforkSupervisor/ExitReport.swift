// The report of a worker's end.

public import PreforkSystem

/// How one worker ended, for the log and `SupervisorHooks.onExit`.
public struct ExitReport: Equatable, Sendable {
    /// The slot, kept by the worker's successor.
    public var taskID: Int
    public var pid: Int32
    public var generation: Int
    /// From fork to end.
    public var uptime: Duration
    /// Exit code, or signal and core flag.
    public var status: ExitStatus
    /// Whether it had become ready.
    public var wasReady: Bool
    /// Why the supervisor killed it; nil when it did not.
    public var killReason: KillReason?
    /// The kernel's out-of-memory killer was at work in this control group when it died by SIGKILL: the verdict is
    /// the counter in memory.events, not a guess from the signal.
    public internal(set) var outOfMemory = false
    /// Processor time and peak memory.
    public var usage: ResourceUsage
    /// What follows from it.
    public var consequence: ExitConsequence
}

/// What a worker's end leads to.
public enum ExitConsequence: Hashable, Sendable {
    /// Nothing: it ended normally, or was asked to.
    case none
    /// A successor with the same task ID after a delay; `number` counts the pool's restarts so far.
    case restart(in: Duration, number: Int)
    /// The policy allows no further restart: the pool ends.
    case giveUp(PoolStopReason)
}
