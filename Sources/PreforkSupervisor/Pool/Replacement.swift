// Workers beside a slot's present one: replacements that boot, and old workers that drain.

import PreforkSystem

/// Why a worker that serves is replaced.
package enum ReplacementCause: Hashable, Sendable {
    /// A reload or an upgrade replaces all workers.
    case reload
    /// It has reached its limit of requests, time or memory.
    case recycling(RecyclingReason)
    /// An operator asked for it.
    case asked
}

/// A worker that boots while the worker that it will replace still serves.
struct Replacement: Equatable {
    enum Stage: Equatable {
        case due(MonotonicInstant)
        /// The supervisor was asked for the fork.
        case forking(spawn: UInt64)
        case booting(WorkerProcess, deadline: MonotonicInstant)
        case killed(WorkerProcess, KillReason)
    }

    var stage: Stage
    var cause: ReplacementCause
    var generation: Int

    var worker: WorkerProcess? {
        switch stage {
        case .booting(let worker, _), .killed(let worker, _): worker
        case .due, .forking: nil
        }
    }

    /// Whether an operator ordered it, by a reload or for itself.
    var isOrdered: Bool { if case .recycling = cause { false } else { true } }

    var killReason: KillReason? { if case .killed(_, let reason) = stage { reason } else { nil } }

    var deadline: MonotonicInstant? {
        switch stage {
        case .due(let instant): instant
        case .booting(_, let deadline): deadline
        case .forking, .killed: nil
        }
    }
}

/// A worker that was asked to end, and whose slot another worker has.
struct LeavingWorker: Equatable {
    var worker: WorkerProcess
    /// When it is killed.
    var deadline: MonotonicInstant
    var wasReady: Bool
    var killReason: KillReason?
    /// It is of a generation too many: a reload waits for its end, and it has less time.
    var isTooOld = false
    /// It has announced its crash: only its end follows.
    var ended: EndedWorker?

    /// A backtracer may be at work on its process.
    var isTraced: Bool { ended?.sign.hasBacktracer == true && killReason == nil }
}
