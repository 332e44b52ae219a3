// A place in the pool: its task ID outlives the workers that fill it.

import PreforkSystem

/// A worker process of a slot.
struct WorkerProcess: Equatable {
    var pid: Int32
    /// Which fork of the pool made it; no two workers share it.
    var spawn: UInt64
    var generation: Int
    var started: MonotonicInstant
}

/// What a slot is doing. Each case has only what is true in it.
enum SlotState: Equatable {
    /// No worker; the next one is forked at `until`.
    case backingOff(until: MonotonicInstant)
    /// Forked, not ready yet; killed at `deadline`.
    case booting(WorkerProcess, deadline: MonotonicInstant)
    case ready(WorkerProcess)
    /// Asked to stop, finishing what is in flight; killed at `deadline`.
    case draining(WorkerProcess, deadline: MonotonicInstant, wasReady: Bool)
    /// SIGKILL was sent; its end is all that can come.
    case killed(WorkerProcess, KillReason, wasReady: Bool)
    /// Final: its worker ended normally, or as it was asked to.
    case stopped
    /// Final: the policy allows no further worker.
    case failed
}

/// Why the supervisor killed a worker.
public enum KillReason: Hashable, Sendable {
    /// It was not ready within the boot timeout.
    case bootTimeout
    /// It had not ended when the drain timeout was over.
    case drainTimeout
    /// A second interrupt asked for the end of everything.
    case stopNow
}

struct Slot: Equatable {
    let taskID: Int
    var state: SlotState
    var record = SlotRecord()

    var worker: WorkerProcess? {
        switch state {
        case .booting(let worker, _), .ready(let worker), .draining(let worker, _, _), .killed(let worker, _, _): worker
        case .backingOff, .stopped, .failed: nil
        }
    }

    var wasReady: Bool {
        switch state {
        case .ready: true
        case .draining(_, _, let wasReady), .killed(_, _, let wasReady): wasReady
        case .booting, .backingOff, .stopped, .failed: false
        }
    }

    var isFinal: Bool { state == .stopped || state == .failed }

    /// When something is due without an event.
    var deadline: MonotonicInstant? {
        switch state {
        case .backingOff(let until): until
        case .booting(_, let deadline), .draining(_, let deadline, _): deadline
        case .ready, .killed, .stopped, .failed: nil
        }
    }
}
