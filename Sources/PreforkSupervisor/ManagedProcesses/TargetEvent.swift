// Events of managed processes, and the actions that follow.

import PreforkSystem

/// Something that happened, told to `TargetTable.handle`. Targets are named by their numbers.
enum TargetEvent: Equatable {
    /// A deadline may have passed.
    case tick
    /// The program wants it to run, and what it depends on.
    case start(Int)
    /// The kernel made the process that was asked for.
    case forked(Int, pid: Int32, spawn: UInt64)
    /// The kernel, or the check before it, refused.
    case forkFailed(Int, reason: String)
    /// The process says that it is ready.
    case ready(Int, spawn: UInt64)
    /// The process was reaped.
    case exited(Int, ProcessExit, TargetEndNotes = TargetEndNotes())
    /// The process says that it crashes. It may take its time to end.
    case crashed(Int, spawn: UInt64, CrashSign, CrashPolicy)
    /// A process that had said so was reaped.
    case crashedExited(spawn: UInt64, ProcessExit, TargetEndNotes)
    /// A process of the previous image was reaped.
    case elderExited(spawn: UInt64, ProcessExit, TargetEndNotes)
    /// Every target that must run in this image was started. Processes of the previous image are replaced.
    case successionBegan
    /// There is no way back to the previous image.
    case committed
    /// A code came on the control line: 0 stops, 1 restarts, others are counted. `isPaced`: from another process,
    /// which may send them without end. `obstacle`: why no process can be forked now.
    case control(Int, code: UInt8, isPaced: Bool = false, obstacle: String? = nil)
    /// The hooks of an order have run. `isPrevented`: a hook forbids it.
    case proceed(Int, TargetOrder, deadline: MonotonicInstant, isPrevented: Bool)
    /// The program wants it to end within a time, and not to come back.
    case stop(Int, within: Duration?)
    /// Everything ends, within one time for all targets. If nil, the longest of their own times.
    case stopAll(within: Duration?)
}

/// Something to be done, carried out by `TargetRunner`.
enum TargetAction: Equatable {
    case fork(Int, spawn: UInt64, generation: Int)
    /// Run the hooks, then tell `.proceed`.
    case hooks(Int, TargetOrder, deadline: MonotonicInstant)
    case signal(Int, Signal)
    /// SIGKILL to a process that has said that it crashes.
    case killCrashed(spawn: UInt64)
    /// Ask a process of the previous image to end; see `ProcessSlot.Order`.
    case askElder(spawn: UInt64, name: String, ProcessSlot.Order)
    /// SIGKILL to such a process.
    case killElder(spawn: UInt64)
    /// A process that this very program had forked when it ran here before is the target's again.
    case adopt(Int, spawn: UInt64)
    case report(TargetReport)
}
