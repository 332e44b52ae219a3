// The cause of each line.

extension PoolReport {
    /// Every report has its cause here: the compiler forces the author of a new report to name its cause.
    var cause: LogCause {
        switch self {
        case .forked(let slot, _, _): .worker(slot, .start)
        // The kernel refuses for want of processes or memory, which children can use up.
        case .forkFailed(let slot, _, _): .worker(slot, .refusedStart)
        case .ready(let slot, _, _, _): .worker(slot, .readiness)
        case .crashed(let slot, _, _): .worker(slot, .trap)
        case .exited(let report): .worker(report.taskID, .end)
        case .killing(let slot, _, _): .worker(slot, .kill)
        case .hung(let slot, _, _): .worker(slot, .hang)
        case .recovered(let slot, _): .worker(slot, .recovery)
        case .forkedBeside(let slot, _, let cause), .replaced(let slot, _, _, let cause):
            cause.logCause(slot, .replacement)
        // An order fails once. Recycling is tried again, for whatever reason it began.
        case .replacementFailed(_, _, .reload), .replacementFailed(_, _, .asked): .own(.order)
        case .replacementFailed(let slot, _, .recycling): .worker(slot, .failedReplacement)
        // Only an operator's is reported.
        case .replacementDropped: .own(.order)
        case .recycling(let slot, _, let reason): ReplacementCause.recycling(reason).logCause(slot, .recycling)
        case .scaled(_, _, .asked), .scaled(_, _, .program): .own(.order)
        // How busy workers are, and how many clients wait.
        case .scaled(_, _, .load): .pool(.scaling)
        // Children can keep the processors busy.
        case .stoodStill: .pool(.standstill)
        case .spare(let report): report.cause
        // `Pool` reports each of these once, the stop once for each kind.
        case .allReady, .stopDelayed, .stopping: .own(.life)
        // A reload is an operator's, and ends once.
        case .reloadStarted, .reloadOnProbation, .reloadFinished, .reloadAborted: .own(.order)
        }
    }
}

extension ReplacementCause {
    fileprivate func logCause(_ slot: Int, _ event: LogEvent) -> LogCause {
        switch self {
        case .reload, .asked: .own(.order)
        case .recycling(.lifetime): .own(.lifetime)
        // What a worker says of itself, or takes.
        case .recycling(.requests), .recycling(.memory): .worker(slot, event)
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
        case .crashed(let name, _, _, _): .target(name, .trap)
        case .exited(let exit): .target(exit.name, .end)
        case .dependencyFailed(let name, _): .target(name, .dependency)
        case .ignoredCode(let name, _, _): .target(name, .ignoredCode)
        case .strayControlPacket: .pool(.strayCode)
        // The program's hooks, which a process has run by its end, or by a code.
        case .hookFailed(let name, _, _), .hookWasSlow(let name, _, _): .target(name, .hook)
        case .restartPrevented(let name), .restartRefused(let name, _): .target(name, .preventedRestart)
        // Once until it is started again, which a code of another process can do.
        case .treeCrashed(let name): .target(name, .crash)
        }
    }
}
