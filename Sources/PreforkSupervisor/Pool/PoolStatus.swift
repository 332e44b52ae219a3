// What there is to know of a pool at one moment, for operators.

package import PreforkSystem

/// A pool as it is: what `preforkctl status`, the metrics and the status page show.
public struct PoolStatus: Equatable, Sendable {
    public enum Phase: String, Hashable, Sendable {
        case running, reloading, stopping, finished
    }

    /// How far a reload is, or how the last one ended.
    public struct Reload: Equatable, Sendable {
        public enum State: String, Hashable, Sendable {
            case running
            /// All workers are replaced; the new ones must hold for `ReloadPolicy.probation`.
            case probation
            case done, aborted
        }

        public var state: State
        /// The generation that it brings.
        public var generation: Int
        /// Slots whose worker is of that generation and ready.
        public var replaced: Int
        public var total: Int
        /// Why it was aborted.
        public var reason: String?
        /// So far, or in all.
        public var duration: Duration
    }

    public var supervisor: Int32
    public var uptime: Duration
    public var phase: Phase
    /// The generation of workers that are forked now.
    public var generation: Int
    /// How many workers there are to be.
    public var target: Int
    /// The bounds of automatic scaling; nil when it is off.
    public var range: ClosedRange<Int>?
    /// Restarts of workers that had been ready, and how many are allowed.
    public var restarts: Int
    public var restartLimit: Int
    /// Restarts after a crash in a request that do not count.
    public var requestCrashes: Int
    /// How many workers the program says there are to be, where an operator has scaled the pool; else nil.
    public var programTarget: Int?
    /// What runs, what ran before, and what an upgrade starts; nil where it is not known.
    public var program: ProgramStatus?
    /// The last reload; nil when there was none.
    public var reload: Reload?
    /// Every worker that lives, and every slot without one, in the order of slots, present workers first.
    public var workers: [WorkerStatus]
}

/// The programs of a service.
public struct ProgramStatus: Equatable, Sendable {
    package var running: ProgramFile
    package var previous: ProgramFile?
    /// What `upgrade` starts.
    public var upgradePath: String
    /// What came with the running program, a phrase for each; empty for the first one.
    public var changes: [String]

    /// The path by which the running program was executed.
    public var path: String { running.path }
    /// Where that led, without symbolic links.
    public var file: String { running.file }
    /// In hexadecimal digits; nil: its linker gave it none.
    public var buildID: String? { running.buildID.isEmpty ? nil : running.buildID }
    /// When its file was last written, in UTC: `2026-11-21T03:00:00.042Z`.
    public var time: String { running.timestamp }
}

/// One worker, or a slot that waits for one.
public struct WorkerStatus: Equatable, Sendable {
    public enum State: String, CaseIterable, Hashable, Sendable {
        case booting, ready, draining, killed
        /// Without a worker: it waits for the next one; its last one ended with exit code 0, or as it was asked to; the
        /// policy allows no further one.
        case backingOff, ended, failed
    }

    /// The slot, which is the worker's task ID.
    public var slot: Int
    /// nil: the slot has no worker.
    public var pid: Int32?
    public var generation: Int
    public var state: State
    /// A replacement that boots, or an old worker that drains, beside the slot's present one.
    public var isBeside: Bool
    public var uptime: Duration
    /// Restarts of this slot.
    public var restarts: Int
    /// What the worker itself counts; see `Worker`.
    public var requests: UInt64
    public var connections: Int
    /// Since its last sign of life; nil without hang detection.
    public var heartbeatAge: Duration?
    /// How the slot's last worker ended.
    public var lastExit: ExitReport?
}

/// What operators can ask a running supervisor for.
public enum ControlCommand: Equatable, Sendable {
    case reload
    case scale(ScaleChange)
    /// Replaces one slot's worker, the new one ready first. Gives a slot whose worker ended with exit code 0 a new one.
    case restart(slot: Int)
    /// Has a managed process end and starts it again; one that does not run is started.
    case restartManaged(name: String)
    /// SIGKILL to a slot's worker, which is then restarted as after any death.
    case kill(slot: Int)
    /// Asks a slot's worker to finish and end; it gets a successor.
    case drain(slot: Int)
    /// Re-executes the program: what is at the path that the service was started by, or another one, this time or, with
    /// `keeps`, from now on.
    case upgrade(path: String?, keeps: Bool = false)
    /// Goes to the program that ran before the present one.
    case rollback
    case reopenLogs
    /// Refuses requests of a label, in all workers, until it is released.
    case quarantine(label: String)
    /// Serves requests of a label again.
    case release(label: String)
    case stop(quick: Bool)
}

/// How many workers there are to be.
public enum ScaleChange: Equatable, Sendable {
    case to(Int)
    case by(Int)
}

/// What came of a command.
public enum ControlOutcome: Equatable, Sendable {
    /// Done, or begun where nobody asked to wait; what was done as a sentence.
    case done(String)
    /// Refused or failed, and why.
    case failed(String)
}
