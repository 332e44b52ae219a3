// Log lines about reloads and replacements.

import PreforkSystem

extension PoolReport {
    /// The events of replacing, as sentences for the operator.
    var replacementLine: LogLine {
        switch self {
        case .forkedBeside(let taskID, let pid, let cause):
            LogLine(.info, "worker \(taskID): its replacement started (pid \(pid)), \(cause.text)")
        case .replaced(let taskID, let old, let new, let cause):
            LogLine(.info, "worker \(taskID): pid \(new) has replaced pid \(old), \(cause.text)")
        case .replacementFailed(let taskID, let reason, _):
            LogLine(.error, "worker \(taskID) stays, its replacement failed: \(reason)")
        case .replacementDropped(let taskID, let reason):
            LogLine(.info, "worker \(taskID) will not be replaced: \(reason)")
        case .recycling(let taskID, let pid, let reason):
            LogLine(.info, "worker \(taskID) (pid \(pid)) is recycled: limit of \(reason.rawValue) reached")
        case .reloadStarted(let generation, let workers):
            LogLine(.info, "reload: replacing \(workers) workers with generation \(generation)")
        case .reloadOnProbation(let generation, let after, let probation):
            LogLine(
                .info,
                "reload: generation \(generation) serves, after \(after.short), and is on probation for \(probation.short)")
        case .reloadFinished(let generation, let after):
            LogLine(.info, "reload: generation \(generation) serves, after \(after.short)")
        case .reloadAborted(let generation, let replaced, let total, let reason) where replaced == total:
            LogLine(.error, "reload: generation \(generation) serves, but \(reason)")
        case .reloadAborted(let generation, let replaced, let total, let reason):
            LogLine(
                .error,
                "reload to generation \(generation) aborted, \(total - replaced) of \(total) old workers stay: \(reason)"
            )
        default:
            LogLine(.info, "\(self)")
        }
    }
}

extension ReplacementCause {
    fileprivate var text: String {
        switch self {
        case .reload: "reload"
        case .recycling(let reason): "recycling (\(reason.rawValue))"
        case .asked: "asked for"
        }
    }
}
