// Which line is caused by whom.

extension PoolReport {
    /// Every report has its cause here: a new one is not logged before somebody has thought of who can cause it.
    var cause: LogCause {
        switch self {
        case .forked(let slot, _, _): .worker(slot, .start)
        // The kernel refuses for want of processes or memory, which children can use up.
        case .forkFailed(let slot, _, _): .worker(slot, .refusedStart)
        case .ready(let slot, _, _, _): .worker(slot, .readiness)
        case .exited(let report): .worker(report.taskID, .end)
        case .killing(let slot, _, _): .worker(slot, .kill)
        case .hung(let slot, _, _): .worker(slot, .hang)
        case .recovered(let slot, _): .worker(slot, .recovery)
        case .forkedBeside(let slot, _, _), .replaced(let slot, _, _, _), .replacementDropped(let slot, _):
            .worker(slot, .replacement)
        case .replacementFailed(let slot, _, _): .worker(slot, .failedReplacement)
        case .recycling(let slot, _, _): .worker(slot, .recycling)
        // By an operator, or by how busy workers are and how many clients wait.
        case .scaled: .pool(.scaling)
        // Children can keep the processors busy.
        case .stoodStill: .pool(.standstill)
        // `Pool` reports each of these once, the stop once for each kind.
        case .allReady, .stopping: .own(.life)
        // A reload is an operator's, and ends once.
        case .reloadStarted, .reloadFinished, .reloadAborted: .own(.order)
        }
    }
}

extension TargetReport {
    /// See `PoolReport.cause`.
    var cause: LogCause {
        switch self {
        case .forked(let name, _, _): .target(name, .start)
        case .forkFailed(let name, _, _): .target(name, .refusedStart)
        case .ready(let name, _, _): .target(name, .readiness)
        // Codes of other processes order it, too.
        case .stopping(let name, _): .target(name, .order)
        case .killing(let name, _, _): .target(name, .kill)
        case .exited(let exit): .target(exit.name, .end)
        case .dependencyFailed(let name, _): .target(name, .dependency)
        case .ignoredCode(let name, _, _): .target(name, .ignoredCode)
        case .strayControlPacket: .pool(.strayCode)
        // The program's hooks, which a process has run by its end, or by a code.
        case .hookFailed(let name, _, _), .hookWasSlow(let name, _, _): .target(name, .hook)
        case .restartPrevented(let name): .target(name, .preventedRestart)
        // Once until the program starts all again.
        case .treeCrashed: .own(.life)
        }
    }
}
