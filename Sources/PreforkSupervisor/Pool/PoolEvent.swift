// Events of a pool, and the actions that follow.

import PreforkSystem

/// Something that happened, told to `Pool.handle`.
enum PoolEvent: Equatable {
    /// A deadline may have passed. Also the first event of all.
    case tick
    /// The kernel made the worker that was asked for.
    case forked(slot: Int, pid: Int32, spawn: UInt64)
    /// The kernel, or the check before it, refused.
    case forkFailed(slot: Int, spawn: UInt64, reason: String)
    /// The worker says that it can serve.
    case ready(slot: Int, spawn: UInt64)
    /// The worker has ended abnormally with a request in hand. Comes before its end.
    case endedInRequest(slot: Int, spawn: UInt64)
    /// The worker has announced its crash. Its process has not ended yet.
    case crashed(slot: Int, spawn: UInt64, CrashSign)
    /// The worker was reaped.
    case exited(slot: Int, spawn: UInt64, ProcessExit)
    /// A sample of the ready workers, and of the connections that wait to be accepted.
    case sample([WorkerSample], backlog: Int)
    /// A signal or an operator ends the pool.
    case stop(StopRequestKind)
    case spare(SpareEvent)
}

/// How a pool is asked to end.
enum StopRequestKind: Hashable {
    /// Workers finish what is in flight, until the drain timeout.
    case graceful
    /// Workers drop what is in flight. Asked for a second time, they are killed.
    case quick
}

/// Something to be done, carried out by `Supervisor`.
enum PoolAction: Equatable {
    /// To be asked `Pool.generation(ofFork:slot:)` about first.
    case fork(slot: Int, spawn: UInt64)
    case signal(slot: Int, spawn: UInt64, Signal)
    /// Fork a spare worker of that number.
    case forkSpare(UInt64)
    /// Have it end.
    case letSpareGo(UInt64)
    case killSpare(UInt64)
    /// Write the stack of a hung worker to the log.
    case dumpStack(slot: Int, spawn: UInt64)
    case report(PoolReport)
    /// No worker is left, and none will be forked.
    case finish(SupervisorOutcome)
}

/// A fact for the log and the hooks.
enum PoolReport: Equatable {
    case forked(taskID: Int, pid: Int32, restart: Int)
    case forkFailed(taskID: Int, reason: String, retryIn: Duration)
    case ready(taskID: Int, pid: Int32, generation: Int, after: Duration)
    case allReady(workers: Int)
    /// A worker has crashed, and its process is still there.
    case crashed(taskID: Int, pid: Int32, CrashSign)
    case exited(ExitReport)
    /// A stop was asked for and will begin after that time.
    case stopDelayed(by: Duration)
    case stopping(PoolStopReason)
    case killing(taskID: Int, pid: Int32, KillReason)
    /// A replacement was forked beside the slot's worker.
    case forkedBeside(taskID: Int, pid: Int32, ReplacementCause)
    case replaced(taskID: Int, old: Int32, new: Int32, ReplacementCause)
    case replacementFailed(taskID: Int, reason: String, ReplacementCause)
    /// An operator's replacement is not needed any more.
    case replacementDropped(taskID: Int, reason: String)
    case reloadStarted(generation: Int, workers: Int)
    /// All workers are replaced, and must hold for a while.
    case reloadOnProbation(generation: Int, after: Duration, for: Duration)
    case reloadFinished(generation: Int, after: Duration)
    case reloadAborted(generation: Int, replaced: Int, total: Int, reason: String)
    case scaled(from: Int, to: Int, ScalingCause)
    case recycling(taskID: Int, pid: Int32, RecyclingReason)
    case hung(taskID: Int, pid: Int32, silent: Duration)
    case recovered(taskID: Int, pid: Int32)
    /// The whole machine, or the supervisor, did not run for a while.
    case stoodStill(for: Duration)
    case spare(SpareReport)
}

/// How a supervisor ended.
public enum SupervisorOutcome: Hashable, Sendable {
    /// Every worker ended normally (exit code 0).
    case ended
    /// A signal asked for the end.
    case stopped
    /// Workers died more often than the policy allows.
    case tooManyRestarts
    /// Workers died before any was ready.
    case startFailed
    /// A managed process crashed, and its failure action ends everything.
    case targetFailed

    /// The exit code for a process that has nothing else to say: 0, 0, 70 (EX_SOFTWARE), 75 (EX_TEMPFAIL), 70.
    public var exitCode: Int32 {
        switch self {
        case .ended, .stopped: 0
        case .tooManyRestarts, .targetFailed: 70
        case .startFailed: 75
        }
    }
}

/// Why a pool ends.
public enum PoolStopReason: Hashable, Sendable {
    /// An operator's order: workers finish what they have in hand (SIGTERM, SIGQUIT, `preforkctl stop`).
    case graceful
    /// An operator's order: workers drop what they have in hand (SIGINT, `preforkctl stop --quick`).
    case quick
    /// A restart would have exceeded a limit of `RestartPolicy`.
    case tooManyRestarts
    /// Workers died too often before any worker was ready.
    case startFailed

    /// An operator or a signal asked for it.
    var isOrder: Bool { self == .graceful || self == .quick }
}
