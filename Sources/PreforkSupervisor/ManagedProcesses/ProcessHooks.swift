// The program's own code at turning points of managed processes.

public import PreforkSystem

/// What a `ProcessManager` calls at turning points, in its process and on its thread, one after another.
///
/// Hooks must be quick (after one second a warning is logged), must not start threads, and must not call functions that
/// wait: `terminate`, `start`, `joinAll`. They may call `send` and `launch`, which do not wait. A hook that throws is
/// reported, and the operation continues.
///
/// Follows liteyuki's Lifespan, whose hooks got no name and, later, were never called.
public struct ProcessHooks {
    /// Before a living target is asked to end, for whatever reason: code 0, code 1, `terminate`, `terminateAll`.
    public var beforeProcessShutdown: [(_ name: String) throws -> Void] = []
    /// Before a living target is asked to end because of code 1. Called after `beforeProcessShutdown`.
    public var beforeProcessRestart: [(_ name: String) throws -> Void] = []
    /// A target's process has ended and was reaped: also after a crash. Its successor may have been forked before.
    public var afterExit: [(_ name: String, _ exit: TargetExit) throws -> Void] = []
    /// Everything that happens, as it is logged.
    public var onReport: [(_ report: TargetReport) -> Void] = []
    /// A `beforeProcessRestart` that throws prevents that restart: the process keeps running.
    public var throwingPreventsRestart = false

    /// No hooks.
    public init() {}
}

/// One of the hooks of a `ProcessManager`, as reports name it.
public enum ProcessHook: String, Hashable, Sendable {
    /// `ProcessHooks.beforeProcessShutdown`.
    case beforeProcessShutdown
    /// `ProcessHooks.beforeProcessRestart`.
    case beforeProcessRestart
    /// `ProcessHooks.afterExit`.
    case afterExit
}

/// A fact about a managed process.
public enum TargetReport: Equatable, Sendable {
    /// A process of the target was forked. `generation` is 1 for its first one.
    case forked(name: String, pid: Int32, generation: Int)
    /// The kernel refused the fork, for `reason`. The manager tries again after `retryIn`.
    case forkFailed(name: String, reason: String, retryIn: Duration)
    /// The process became ready, `after` its fork.
    case ready(name: String, pid: Int32, after: Duration)
    /// It is asked to end (SIGTERM), for good or to be restarted.
    case stopping(name: String, isRestart: Bool)
    /// It gets SIGKILL.
    case killing(name: String, pid: Int32, TargetKillReason)
    /// It says that it crashes. A successor is started now if its failure action says so. `.exited` follows when the
    /// process has ended, which takes longer while a backtracer runs.
    case crashed(name: String, pid: Int32, signal: Signal, hasBacktracer: Bool)
    /// The process has ended and was reaped.
    case exited(TargetExit)
    /// It will not be started: what it depends on has failed, crashed or was stopped.
    case dependencyFailed(name: String, dependency: String)
    /// A control code that has no meaning, or no meaning while everything is being stopped. `count` counts such codes
    /// of the target.
    case ignoredCode(name: String, code: UInt8, count: Int)
    /// A packet on the control line that no process of this package sends.
    case strayControlPacket(bytes: Int)
    /// A hook threw `error`. The operation continues, except as `ProcessHooks.throwingPreventsRestart` says.
    case hookFailed(name: String, ProcessHook, error: String)
    /// A hook ran for more than one second. Everything else waited for it.
    case hookWasSlow(name: String, ProcessHook, took: Duration)
    /// A `beforeProcessRestart` hook threw, and `ProcessHooks.throwingPreventsRestart` is set: the process keeps
    /// running.
    case restartPrevented(name: String)
    /// A restart was asked for and not begun, because no process can be forked: the target stays as it is.
    case restartRefused(name: String, reason: String)
    /// Everything ends because this target crashed.
    case treeCrashed(name: String)
}
