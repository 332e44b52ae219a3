// A place in the pool: its task ID outlives the workers that fill it.

import PreforkSystem

/// A worker process of a slot, or the process of a managed target.
struct WorkerProcess: Equatable {
    var pid: Int32
    /// The fork of the pool, or of the manager, that made it. No two of its processes share the number.
    var spawn: UInt64
    var generation: Int
    var started: MonotonicInstant
}

/// What a slot is doing. Each case has only what is true in it.
enum SlotState: Equatable {
    /// No worker. The next one is forked at `until`.
    case backingOff(until: MonotonicInstant)
    /// Forked and not ready yet. Killed at `deadline`.
    case booting(WorkerProcess, deadline: MonotonicInstant)
    case ready(WorkerProcess)
    /// Asked to stop, finishing what is in flight. Killed at `deadline`.
    case draining(WorkerProcess, deadline: MonotonicInstant, wasReady: Bool)
    /// SIGKILL was sent. Only its end can follow.
    case killed(WorkerProcess, KillReason, wasReady: Bool)
    /// Its worker ended with exit code 0, or as it was asked to. Only an operator's order fills it again.
    case ended
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
    /// It gave no heartbeat for too long.
    case hung
    /// An operator asked for it.
    case asked
    /// Too many generations lived at once, and this was of the oldest.
    case oldGeneration
    /// It had crashed, and had not ended in time, or too many others were being traced. See `CrashPolicy`.
    case crashed
}

struct Slot: Equatable {
    let taskID: Int
    var state: SlotState
    /// What the next worker of this slot belongs to.
    var generation = 1
    /// The worker that will replace the present one, which still serves.
    var replacement: Replacement?
    /// Old workers that finish what they have in hand.
    var leaving: [LeavingWorker] = []
    /// The next worker is forked only when those have ended.
    var waitsForLeaving = false
    /// The fork that the supervisor was asked for and has not made yet: a second check of the same slot must not ask
    /// for another fork, whose process no slot would know.
    var askedFork: UInt64?
    /// The pool was made smaller: this slot goes when its workers have.
    var isRetired = false
    var record = SlotRecord()
    /// The worker whose end is reported next, and which had a request in hand.
    var endedInRequest: UInt64?

    init(taskID: Int, state: SlotState, generation: Int = 1) {
        self.taskID = taskID
        self.state = state
        self.generation = generation
    }

    var worker: WorkerProcess? {
        switch state {
        case .booting(let worker, _), .ready(let worker), .draining(let worker, _, _), .killed(let worker, _, _): worker
        case .backingOff, .ended, .failed: nil
        }
    }

    var wasReady: Bool {
        switch state {
        case .ready: true
        case .draining(_, _, let wasReady), .killed(_, _, let wasReady): wasReady
        case .booting, .backingOff, .ended, .failed: false
        }
    }

    var isReady: Bool { if case .ready = state { true } else { false } }

    /// Old workers that the slot's next one may have to wait for. One that has crashed does nothing any more.
    var hasOldWorkers: Bool { leaving.contains { $0.ended == nil } }

    /// Nothing is left, and nothing will come by itself.
    var isFinal: Bool { (state == .ended || state == .failed) && replacement == nil && leaving.isEmpty }

    /// All its workers, the present one first.
    var workers: [WorkerProcess] {
        [worker, replacement?.worker].compactMap { $0 } + leaving.map(\.worker)
    }

    /// Those that have not said yet that they are ready.
    var bootingWorkers: [WorkerProcess] {
        var booting: [WorkerProcess] = []
        if case .booting(let worker, _) = state { booting.append(worker) }
        if case .booting(let worker, _) = replacement?.stage { booting.append(worker) }
        return booting
    }

    /// The generation of the worker that this fork makes. If nil, the fork is no longer wanted.
    func generation(ofFork spawn: UInt64) -> Int? {
        if case .forking(spawn) = replacement?.stage { return replacement?.generation }
        if case .backingOff = state, askedFork == spawn { return generation }
        return nil
    }

    /// When something is due without an event.
    var deadline: MonotonicInstant? {
        let own: MonotonicInstant? =
            switch state {
            case .backingOff(let until): waitsForLeaving && hasOldWorkers ? nil : until
            case .booting(_, let deadline), .draining(_, let deadline, _): deadline
            case .ready, .killed, .ended, .failed: nil
            }
        let others = leaving.lazy.compactMap { $0.killReason == nil ? $0.deadline : nil }.min()
        return [own, replacement?.deadline, others].lazy.compactMap { $0 }.min()
    }
}
