// The states of a managed process. Each case has only the data that is valid in it.

import PreforkSystem

/// What follows when a target that was asked to end has ended.
package enum TargetOrder: Hashable, Sendable {
    case stop
    case restart
}

/// Why the supervisor killed a managed process.
public enum TargetKillReason: Hashable, Sendable {
    /// It was not ready within its start timeout.
    case startTimeout
    /// It had not ended when its grace period was over.
    case grace
    /// It had crashed, and its backtrace took too long or too many backtracers were running were.
    case crashed
}

/// | state    | leaves it by                                                                              |
/// |----------|-------------------------------------------------------------------------------------------|
/// | stopped  | a start, code 1                                                                           |
/// | waiting  | its dependencies: ready (backoff, at once), unable (failed); a stop, code 0               |
/// | backoff  | its time (fork, then starting), a stop, code 0 (stopped)                                  |
/// | starting | ready, its exit, the start timeout (killed), a stop or a code (stopping)                  |
/// | running  | its exit, a stop or a code (stopping)                                                     |
/// | stopping | its exit (stopped; backoff, at once, when it must be restarted), the deadline (killed)    |
/// | killed   | its exit                                                                                  |
/// | failed   | a start, code 1; a stop (stopped)                                                         |
enum TargetState: Equatable {
    case stopped
    /// To be started when its dependencies are ready. Callers see it as `.starting`.
    case waiting
    case backoff(until: MonotonicInstant)
    case starting(WorkerProcess, deadline: MonotonicInstant)
    case running(WorkerProcess)
    case stopping(WorkerProcess, deadline: MonotonicInstant, then: TargetOrder, wasReady: Bool)
    /// SIGKILL was sent. `then` is nil if the target was not asked to end: its end is a crash.
    case killed(WorkerProcess, TargetKillReason, then: TargetOrder?, wasReady: Bool)
    case failed

    var process: WorkerProcess? {
        switch self {
        case .starting(let process, _), .running(let process), .stopping(let process, _, _, _),
            .killed(let process, _, _, _):
            process
        case .stopped, .waiting, .backoff, .failed: nil
        }
    }

    var wasReady: Bool {
        switch self {
        case .running: true
        case .stopping(_, _, _, let wasReady), .killed(_, _, _, let wasReady): wasReady
        case .stopped, .waiting, .backoff, .starting, .failed: false
        }
    }

    /// Its process must end, and another one follows.
    var isToRestart: Bool {
        switch self {
        case .stopping(_, _, .restart, _), .killed(_, _, .some(.restart), _): true
        default: false
        }
    }

    /// Its process was asked to end.
    var isAskedToEnd: Bool {
        switch self {
        case .stopping, .killed(_, _, .some, _): true
        default: false
        }
    }

    /// Nothing runs and nothing will, of itself.
    var isAtRest: Bool { self == .stopped || self == .failed }

    /// When something is due without an event.
    var deadline: MonotonicInstant? {
        switch self {
        case .backoff(let until): until
        case .starting(_, let deadline), .stopping(_, let deadline, _, _): deadline
        case .stopped, .waiting, .running, .killed, .failed: nil
        }
    }

    var phase: TargetPhase {
        switch self {
        case .stopped: .stopped
        case .waiting, .starting: .starting
        case .backoff: .backoff
        case .running: .running
        case .stopping, .killed: .stopping
        case .failed: .failed
        }
    }
}

/// What a managed process is doing, as its manager tells.
public enum TargetPhase: Hashable, Sendable {
    /// Never started, done (exit code 0), stopped on request, or crashed with `.ignore`.
    case stopped
    /// Waiting for its dependencies, or forked and not ready yet.
    case starting
    /// Its process is ready.
    case running
    /// Asked to end, and not gone yet.
    case stopping
    /// Waiting for its next start.
    case backoff
    /// Its policy allows no further restart, or a dependency of it cannot become ready.
    case failed
}
