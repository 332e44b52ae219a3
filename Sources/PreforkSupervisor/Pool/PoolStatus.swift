// A snapshot of a pool, for operators.

package import PreforkSystem

/// A pool as it is: what `preforkctl status`, the metrics and the status page show.
package struct PoolStatus: Equatable, Sendable {
    /// What the pool as a whole is doing.
    package enum Phase: String, Hashable, Sendable {
        /// The pool serves, or its first workers boot.
        case running
        /// A reload replaces workers, and the pool serves.
        case reloading
        /// The pool will stop and serves until then, and its readiness check says no.
        case delayingStop
        /// The pool ends: workers finish what they have in hand.
        case stopping
        /// Every worker has ended.
        case finished
    }

    /// How far a reload is, or how the last one ended.
    package struct Reload: Equatable, Sendable {
        /// How far the reload is.
        package enum State: String, Hashable, Sendable {
            /// Workers are being replaced.
            case running
            /// All workers are replaced. The new ones must hold for `ReloadPolicy.probation`.
            case probation
            /// The new workers have held.
            case done
            /// A new worker failed, or the pool ended first. `reason` says which.
            case aborted
        }

        /// How far the reload is.
        package var state: State
        /// The generation that it brings.
        package var generation: Int
        /// Slots whose worker is of that generation and ready.
        package var replaced: Int
        /// Slots that the reload replaces.
        package var total: Int
        /// Why it was aborted.
        package var reason: String?
        /// So far, or in all.
        package var duration: Duration
    }

    /// The supervisor's process ID, as the supervisor's PID namespace has it.
    package var supervisor: Int32
    /// The time since the supervisor started. An upgrade does not reset it.
    package var uptime: Duration
    /// What the pool as a whole is doing.
    package var phase: Phase
    /// The generation of workers that are forked now.
    package var generation: Int
    /// The desired number of workers.
    package var target: Int
    /// Spare workers that wait for a slot.
    package var spares = 0
    /// The bounds of automatic scaling. If nil, it is off.
    package var range: ClosedRange<Int>?
    /// Restarts of workers that had been ready, and how many are allowed.
    package var restarts: Int
    /// The number of such restarts that the policy allows.
    package var restartLimit: Int
    /// Restarts after a crash in a request that do not count.
    package var requestCrashes: Int
    /// The number of workers that the program wants, if an operator has scaled the pool. Otherwise nil.
    package var programTarget: Int?
    /// The program that runs, the one that ran before, and the one that an upgrade starts. If nil, they are not known.
    package var program: ProgramStatus?
    /// The last reload. If nil, there was none.
    package var reload: Reload?
    /// Every worker that lives, and every slot without one, in the order of slots, present workers first.
    package var workers: [WorkerStatus]
}

/// The programs of a service.
package struct ProgramStatus: Equatable, Sendable {
    package var running: ProgramFile
    package var previous: ProgramFile?
    /// What `upgrade` starts.
    package var upgradePath: String
    /// What the running program changed when it took over, a phrase for each. Empty for the first program.
    package var changes: [String]

    /// The path by which the running program was executed.
    package var path: String { running.path }
    /// Where that led, without symbolic links.
    package var file: String { running.file }
    /// In hexadecimal digits. If nil, its linker gave it none.
    package var buildID: String? { running.buildID.isEmpty ? nil : running.buildID }
    /// When its file was last written, in UTC: `2026-11-21T03:00:00.042Z`.
    package var time: String { running.timestamp }
}

/// One worker, or a slot that waits for one.
package struct WorkerStatus: Equatable, Sendable {
    /// Where a worker is between fork and end, or why its slot is empty.
    package enum State: String, CaseIterable, Hashable, Sendable {
        /// Forked and not ready yet.
        case booting
        /// Ready to serve.
        case ready
        /// Asked to end. It finishes what it has in hand.
        case draining
        /// SIGKILL was sent, and the process has not been reaped yet.
        case killed
        /// The slot has no worker and waits for its next one.
        case backingOff
        /// The slot has no worker: its last one ended with exit code 0, or on request.
        case ended
        /// The slot has no worker, and the restart policy allows no further one.
        case failed
    }

    /// The slot, which is the worker's task ID.
    package var slot: Int
    /// If nil, the slot has no worker.
    package var pid: Int32?
    /// The worker's generation: 1 at the start, one more for each reload and upgrade.
    package var generation: Int
    /// Where the worker is between fork and end, or why the slot is empty.
    package var state: State
    /// A replacement that boots, or an old worker that drains, beside the slot's present one.
    package var isBeside: Bool
    /// The time since the worker's fork. Zero for a slot without a worker.
    package var uptime: Duration
    /// Restarts of this slot.
    package var restarts: Int
    /// Requests by the worker's own count. See `Worker.countRequest(_:)`.
    package var requests: UInt64
    /// Connections that are open in the worker now, by its own count. Zero for a slot without a worker.
    package var connections: Int
    /// The time since its last heartbeat. If nil, hang detection is off.
    package var heartbeatAge: Duration?
    /// Its threads for blocking work, and the closures that wait for one, by its own word.
    package var blocking = ThreadPool.Load()
    /// Whether its event loop stands still, as far as was reported.
    package var isStalled = false
    /// How the slot's last worker ended.
    package var lastExit: ExitReport?
}

/// What operators can ask a running supervisor for.
package enum ControlCommand: Equatable, Sendable {
    /// Replaces all workers by new ones, forked from the supervisor as it is.
    case reload
    /// Changes the number of workers. The change holds over reloads and upgrades.
    case scale(ScaleChange)
    /// Replaces one slot's worker, the new one ready first. Gives a slot whose worker ended with exit code 0 a new one.
    case restart(slot: Int)
    /// Ends a managed process and starts it again. A process that does not run is started.
    case restartManaged(name: String)
    /// Has a once-task run now.
    case runTask(name: String)
    /// SIGKILL to a slot's worker, which is then restarted as after any death.
    case kill(slot: Int)
    /// Asks a slot's worker to finish and end. It gets a successor.
    case drain(slot: Int)
    /// Re-executes the program: what is at the path that the service was started by, or another one, this time or, with
    /// `keeps`, from now on.
    case upgrade(path: String?, keeps: Bool = false)
    /// Goes to the program that ran before the present one.
    case rollback
    /// Moves connections from workers with many to workers with few.
    case rebalance
    /// Opens the log file anew, as SIGUSR1 does, after logrotate(8) has moved it.
    case reopenLogs
    /// Refuses requests of a label, in all workers, until it is released.
    case quarantine(label: String)
    /// Serves requests of a label again.
    case release(label: String)
    /// Ends the pool. With `quick`, workers drop what they have in hand after `RuntimeSettings.quickTimeout` at most.
    case stop(quick: Bool)
}

/// A new number of workers.
package enum ScaleChange: Equatable, Sendable {
    /// To exactly so many.
    case to(Int)
    /// By so many more, or below zero, by so many fewer.
    case by(Int)
}

/// The result of a command.
package enum ControlOutcome: Equatable, Sendable {
    /// Done, or begun if the client does not wait. The sentence says what was done.
    case done(String)
    /// Refused or failed, and why.
    case failed(String)
}
