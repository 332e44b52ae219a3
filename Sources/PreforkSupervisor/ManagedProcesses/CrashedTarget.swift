// A managed process that has said that it crashes.

import PreforkSystem

/// Such a process until it is reaped. Everything that follows from its crash has been decided, and its target may have
/// another process by now.
struct CrashedTarget: Equatable {
    /// Of its target.
    let number: Int
    let process: WorkerProcess
    let wasReady: Bool
    /// It may take its time to end.
    let hasBacktracer: Bool
    let consequence: TargetConsequence
    /// When it is killed.
    var deadline: MonotonicInstant
    /// SIGKILL was sent.
    var killReason: TargetKillReason?
}
